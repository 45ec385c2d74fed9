// A small TCP proxy of the tests, in the test's own process: what stands between our programs and a service, and what the
// test tells it to do to the bytes.
//
//   const proxy = await Proxy.start({host, port});         // or Proxy.to(url, defaultPort)
//   proxy.url(redisUrl)                                    // the same url through the proxy
//   proxy.latency({up: 500}); proxy.blackhole(); proxy.heal(); proxy.cut(); proxy.refuse(); proxy.accept();
//   proxy.slice(1);                                        // every chunk in pieces of one byte
//   const rule = proxy.on({to: "server", match: /COMMIT/, skip: 0, times: 1, then: "cut-before" | "cut-after" | …});
//   await rule.waitHit();
//
// A match is a pattern over the bytes as latin1, or a function (chunk, text, link). Rules look at chunks as TCP hands them over, plus a tail of the one before, so that a pattern cut in two is found. `to` is
// the side the bytes travel to: "server" (requests) or "client" (answers). What a rule may do:
//   "cut-before"   both sockets are destroyed, the chunk is not passed on
//   "cut-after"    the chunk is passed on, then both sockets are destroyed when it has left: a request whose answer is lost
//   "drop"         the chunk is swallowed
//   "half"         half of the chunk is passed on, then both sockets are destroyed
//   "reset"        as cut-before, by a TCP reset
//   {answer: bytes}        (to: "server") the request is not passed on, these bytes are its answer; a function gets the chunk
//   {replace: bytes}       the chunk is replaced by these bytes; a function gets the chunk
//   {call: fn}             passed on after fn (may be async) has run
import {connect, createServer} from "node:net";
import {freePort} from "./ports.mjs";
import {until} from "./ws.mjs";

const TAIL_BYTES = 64;

/** One rule on a proxy's bytes. */
class Rule {
  hits = 0;
  seen = 0;

  constructor({to = "server", match, skip = 0, times = 1, then}) {
    Object.assign(this, {to, match, skip, times, then});
  }

  /** Does this chunk (with the tail of the one before) meet the rule, and is it its turn? */
  takes(to, text, chunk, link) {
    if (to !== this.to || this.hits >= this.times) return false;
    const found = this.match === undefined || (typeof this.match === "function" ? this.match(chunk, text, link) : this.match.test(text));
    if (!found) return false;
    this.seen += 1;
    if (this.seen <= this.skip) return false;
    this.hits += 1;
    return true;
  }

  waitHit(n = 1, timeoutMs = 20_000) {
    return until(() => `rule ${this.match} is met ${n} times; seen ${this.seen}, hit ${this.hits}`, () => this.hits >= n, {timeoutMs, everyMs: 5});
  }
}

/** A client's connection and the one to the service. */
class Link {
  constructor(proxy, client) {
    this.proxy = proxy;
    this.client = client;
    this.server = connect(proxy.target);
    this.lines = {server: Promise.resolve(), client: Promise.resolve()}; // bytes in order, per direction
    this.tails = {server: "", client: ""};
    for (const [socket, to] of [[client, "server"], [this.server, "client"]]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => this.destroy());
      socket.on("data", (chunk) => {
        // One after the other: a rule that waits holds everything behind it.
        this.lines[to] = this.lines[to].then(() => this.#pass(to, chunk)).catch(() => this.destroy());
      });
    }
  }

  #out(to) { return to === "server" ? this.server : this.client; }

  /** Resolves when the kernel has the bytes. */
  write(to, bytes) {
    const socket = this.#out(to);
    if (socket.destroyed || !bytes.length) return undefined;
    return new Promise((resolve) => { socket.write(bytes, resolve); });
  }

  async #send(to, bytes) {
    const size = this.proxy.sliceBytes;
    if (!size) return this.write(to, bytes);
    for (let at = 0; at < bytes.length; at += size) {
      await this.write(to, bytes.subarray(at, at + size));
      await new Promise((resolve) => { setImmediate(resolve); }); // so that each goes as a segment of its own
    }
    return undefined;
  }

  async #pass(to, chunk) {
    const {proxy} = this;
    const text = this.tails[to] + chunk.toString("latin1");
    this.tails[to] = text.slice(-TAIL_BYTES);
    const delay = proxy.delayMs[to];
    if (delay) await new Promise((resolve) => { setTimeout(resolve, delay); });
    // As a dead cable: nothing arrives, nothing is refused; what was swallowed is lost for good.
    if (proxy.black[to]) {
      proxy.swallowedBytes += chunk.length;
      return;
    }
    const rule = proxy.rules.find((r) => r.takes(to, text, chunk, this));
    if (!rule) {
      await this.#send(to, chunk);
      return;
    }
    this.tails[to] = ""; // the same bytes do not meet a rule twice
    await this.#apply(rule.then, to, chunk);
  }

  async #apply(then, to, chunk) {
    const bytes = (b) => (typeof b === "function" ? b(chunk) : Buffer.from(b));
    if (then === "drop") return;
    if (then === "cut-before") { this.destroy(); return; }
    if (then === "reset") { this.reset(); return; }
    if (then === "half") {
      await this.write(to, chunk.subarray(0, Math.max(1, chunk.length >> 1)));
      this.destroy();
      return;
    }
    if (then === "cut-after") {
      // The other end has it and works on it; its answer finds nobody.
      this.client.destroy();
      await this.write(to, chunk);
      this.server.end();
      return;
    }
    if (then.answer !== undefined) { await this.write("client", bytes(then.answer)); return; }
    if (then.replace !== undefined) { await this.#send(to, bytes(then.replace)); return; }
    if (then.call) {
      await then.call(this, chunk);
      await this.#send(to, chunk);
      return;
    }
    throw new Error(`what is ${JSON.stringify(then)}?`);
  }

  reset() {
    this.client.resetAndDestroy?.();
    this.destroy();
  }

  destroy() {
    this.client.destroy();
    this.server.destroy();
    this.proxy.links.delete(this);
  }
}

export class Proxy {
  links = new Set();
  rules = [];
  delayMs = {server: 0, client: 0};
  black = {server: false, client: false};
  swallowedBytes = 0; // by black holes, so far
  sliceBytes = 0;
  #server = null;
  #refusing = false;
  accepted = 0;

  static async start(target, {port} = {}) {
    const proxy = new Proxy();
    proxy.target = target;
    proxy.port = port ?? await freePort();
    await proxy.accept();
    return proxy;
  }

  /** In front of the service a url (or host:port) names. */
  static to(url, defaultPort) {
    const u = new URL(url.includes("://") ? url : `tcp://${url.split(",")[0]}`);
    return Proxy.start({host: u.hostname, port: Number(u.port || defaultPort)});
  }

  /** The same url, through here. */
  url(url) {
    const u = new URL(url);
    u.hostname = "127.0.0.1";
    u.port = String(this.port);
    return u.href;
  }

  get address() { return `127.0.0.1:${this.port}`; }

  #listen() {
    return new Promise((resolve, reject) => {
      this.#server = createServer((client) => {
        this.accepted += 1;
        this.links.add(new Link(this, client));
      });
      this.#server.once("error", reject);
      this.#server.listen(this.port, "127.0.0.1", resolve);
    });
  }

  /** Milliseconds that bytes wait on their way to the server (up) and back (down). */
  latency({up = 0, down = 0} = {}) { this.delayMs = {server: up, client: down}; }

  /** Nothing gets through any more and nobody is told: {up, down} one way, or both. What is sent meanwhile is lost. */
  blackhole({up = true, down = true} = {}) { this.black = {server: up, client: down}; }

  /** Every chunk in pieces of n bytes; 0: as they come. */
  slice(n) { this.sliceBytes = n; }

  /** See the head of this file. */
  on(spec) {
    const rule = new Rule(spec);
    this.rules.push(rule);
    return rule;
  }

  /** Every connection goes now; new ones are welcome. */
  cut() { for (const link of [...this.links]) link.destroy(); }
  reset() { for (const link of [...this.links]) link.reset(); }

  /** Connections go, new ones are refused until accept(). */
  async refuse() {
    if (this.#refusing) return;
    this.#refusing = true;
    const server = this.#server;
    this.#server = null;
    const closed = new Promise((resolve) => { server.close(resolve); });
    this.cut();
    await closed;
  }

  async accept() {
    if (this.#server) return;
    this.#refusing = false;
    await this.#listen();
  }

  /** Another service from now on; present connections go. */
  retarget(target) {
    this.target = target;
    this.cut();
  }

  /** Takes back everything that was told; a connection that lost bytes in a black hole is cut. */
  async heal() {
    const lost = this.black.server || this.black.client;
    this.rules = [];
    this.delayMs = {server: 0, client: 0};
    this.black = {server: false, client: false};
    this.sliceBytes = 0;
    if (lost) this.cut();
    await this.accept();
  }

  async close() {
    await this.refuse();
  }
}

// ---- MySQL ----

const SQLSTATE = {1213: "40001", 1205: "HY000", 1290: "HY000", 1040: "08004", 1053: "08S01", 1927: "70100"};

/** An ERR packet with the sequence number that answers `request` (one whole command packet). */
export function mysqlError(number, text = "injected by a test", request = undefined) {
  const seq = request ? (request[3] + 1) & 255 : 1;
  const body = Buffer.concat([Buffer.from([0xff, number & 255, number >> 8]), Buffer.from(`#${SQLSTATE[number] ?? "HY000"}${text}`)]);
  return Buffer.concat([Buffer.from([body.length & 255, (body.length >> 8) & 255, body.length >> 16, seq]), body]);
}

const COM_QUERY = 3;
const COM_STMT_PREPARE = 0x16;
const COM_STMT_EXECUTE = 0x17;

/** For a rule's match: a command packet (query, prepare; execute: true for executions too) whose text fits. */
export const mysqlCommand = (pattern, {execute = false} = {}) => (chunk) => chunk.length > 4 && chunk[3] === 0
  && ([COM_QUERY, COM_STMT_PREPARE].includes(chunk[4]) ? pattern.test(chunk.subarray(5).toString("latin1"))
    : execute && chunk[4] === COM_STMT_EXECUTE);

/** A rule's `then`: the server never sees the statement, the client gets this error. */
export const mysqlFails = (number, text) => ({answer: (chunk) => mysqlError(number, text, chunk)});

/** The greeting of a server that has no room: sent instead of its own. */
export const mysqlTooMany = () => {
  const e = mysqlError(1040, "Too many connections");
  e[3] = 0;
  // Before the handshake there is no SQLSTATE.
  const body = Buffer.concat([Buffer.from([0xff, 1040 & 255, 1040 >> 8]), Buffer.from("Too many connections")]);
  return Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]);
};

// ---- Redis ----

export const REDIS_ERROR = {
  LOADING: "LOADING Redis is loading the dataset in memory",
  READONLY: "READONLY You can't write against a read only replica.",
  MISCONF: "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
  OOM: "OOM command not allowed when used memory > 'maxmemory'.",
  NOSCRIPT: "NOSCRIPT No matching script. Please use EVAL.",
  CLUSTERDOWN: "CLUSTERDOWN The cluster is down",
  NOAUTH: "NOAUTH Authentication required.",
  BUSY: "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
};

/** How many commands a chunk of requests holds (our clients write whole commands at once). */
export function redisCommands(chunk) {
  const text = chunk.toString("latin1");
  let at = 0;
  let n = 0;
  while (at < text.length && text[at] === "*") {
    let args = Number(text.slice(at + 1, text.indexOf("\r\n", at)));
    at = text.indexOf("\r\n", at) + 2;
    for (; args > 0; args -= 1) {
      const bytes = Number(text.slice(at + 1, text.indexOf("\r\n", at)));
      at = text.indexOf("\r\n", at) + 2 + bytes + 2;
    }
    n += 1;
  }
  return Math.max(n, 1);
}

/** A rule's `then`: every command of the chunk is answered by this error, none is run. */
export const redisFails = (kind) => ({
  answer: (chunk) => Buffer.from(`-${REDIS_ERROR[kind] ?? kind}\r\n`.repeat(redisCommands(chunk))),
});

/** Bytes that are no RESP, and a length nobody may allocate. */
export const REDIS_GARBAGE = Buffer.from("\u0001\u0002garbage in the middle of nowhere\r\n", "latin1");
export const REDIS_HUGE_BULK = Buffer.from("$536870913\r\n");

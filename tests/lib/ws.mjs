// A client for tests: no cleverness, every frame visible. Also raw sockets for what a proper client never sends.
import {randomBytes} from "node:crypto";
import {connect as tcpConnect} from "node:net";
import {decode, encode} from "@msgpack/msgpack";
import WebSocket from "ws";
import {OP, RESULT, SUBPROTOCOL} from "../../web-demo/constants.js";

export {OP, RESULT, SUBPROTOCOL, encode, decode};

/** Names of the result codes: RESULT_NAME[0] is "OK". */
export const RESULT_NAME = Object.fromEntries(Object.entries(RESULT).map(([name, n]) => [n, name]));

const REPLY_MS = 10_000;
const CONNECT_MS = 10_000;

/** Resolves with fn()'s first truthy value; fails with `what` when there is none in time. */
export async function until(what, fn, {timeoutMs = 10_000, everyMs = 25} = {}) {
  const deadline = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const value = await fn();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const text = typeof what === "function" ? what() : what;
      throw new Error(`not within ${timeoutMs} ms: ${text}${last ? ` (${last.message})` : ""}`, {cause: last});
    }
    await new Promise((resolve) => { setTimeout(resolve, everyMs); });
  }
}

/** A promise with its resolve and reject. */
function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, {resolve, reject}));
  return d;
}

/** Fails with `what` when the promise is not settled in time. */
export async function within(promise, timeoutMs, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${timeoutMs} ms: ${typeof what === "function" ? what() : what}`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with test()'s first truthy value; test is run now and whenever somebody calls the set's functions. */
async function watch(watchers, what, test, timeoutMs) {
  let wake;
  const found = new Promise((resolve) => {
    wake = () => {
      const value = test();
      if (value) resolve(value);
    };
    watchers.add(wake);
    wake();
  });
  try {
    return await within(found, timeoutMs, what);
  } finally {
    watchers.delete(wake);
  }
}

export class Client {
  #ws;
  #waiting = new Map(); // id -> {first, final}
  #watchers = new Set();
  #id = 0;

  /** Every push in order of arrival: {room, epoch, seq, biz_code, payload}. */
  pushes = [];
  /** Every decoded frame, as it came. */
  frames = [];
  goaway = null;
  /** Resolves with {code, reason} when the socket is closed. */
  closed;
  isClosed = false;
  user = null;

  constructor(ws) {
    this.#ws = ws;
    const closed = deferred();
    this.closed = closed.promise;
    ws.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    ws.on("error", () => {});
    ws.on("close", (code, reason) => {
      this.isClosed = true;
      for (const {first, final} of this.#waiting.values()) {
        const error = new Error(`closed with ${code} before the answer`);
        first.reject(error);
        final.reject(error);
      }
      this.#waiting.clear();
      closed.resolve({code, reason: reason.toString()});
      for (const wake of this.#watchers) wake();
    });
  }

  /**
   * @param {string} url ws://…/ws
   * @param {object} [o]
   * @param {string} [o.origin]
   * @param {string[]} [o.protocols]
   * @param {object} [o.headers]
   * @param {string} [o.localAddress] 127.0.0.x, for more than 28,000 sockets
   */
  static async open(url, o = {}) {
    const {origin, protocols = [SUBPROTOCOL], headers, perMessageDeflate = false, ...rest} = o;
    const ws = new WebSocket(url, protocols, {origin, headers, perMessageDeflate, ...rest});
    const client = new Client(ws);
    await within(new Promise((resolve, reject) => {
      ws.once("open", resolve);
      ws.once("error", reject);
      ws.once("unexpected-response", (_request, response) => {
        response.resume();
        reject(Object.assign(new Error(`HTTP ${response.statusCode}`), {status: response.statusCode}));
      });
    }), CONNECT_MS, `connection to ${url}`);
    return client;
  }

  get socket() { return this.#ws; }
  get extensions() { return this.#ws.extensions; }

  #onMessage(data, isBinary) {
    const frame = isBinary ? decode(data) : {text: data.toString()};
    this.frames.push(frame);
    const [op, id, body] = Array.isArray(frame) ? frame : [];
    if (op === OP.PUSH) this.pushes.push(body);
    else if (op === OP.GOAWAY) this.goaway = body ?? {};
    else if (op === OP.REPLY) this.#onReply(id, body);
    for (const wake of this.#watchers) wake();
  }

  #onReply(id, body) {
    const waiting = this.#waiting.get(id);
    const reply = {...body, name: RESULT_NAME[body.result] ?? `?${body.result}`};
    // HELLO's answer has a name of its own; the code's name is kept beside it.
    if (body.name !== undefined) reply.nick = body.name;
    if (!waiting) return;
    waiting.first.resolve(reply);
    if (body.result !== RESULT.PENDING) {
      this.#waiting.delete(id);
      waiting.final.resolve(reply);
    }
  }

  nextId() {
    this.#id += 1;
    return this.#id;
  }

  sendRaw(bytes, options) { this.#ws.send(bytes, options); }
  send(op, id, body) { this.#ws.send(encode([op, id, body])); }

  /** Sends; {first, final} are promises of the first reply and of the one that is not PENDING. */
  ask(op, body = {}) {
    const id = this.nextId();
    const first = deferred();
    const final = deferred();
    // Nobody may be listening to one of them.
    first.promise.catch(() => {});
    final.promise.catch(() => {});
    if (this.isClosed) {
      first.reject(new Error("the socket is closed"));
      final.reject(new Error("the socket is closed"));
    } else {
      this.#waiting.set(id, {first, final});
      this.send(op, id, body);
    }
    return {id, first: first.promise, final: final.promise};
  }

  /** The first reply: {name: "OK", …}. */
  request(op, body = {}, timeoutMs = REPLY_MS) {
    return within(this.ask(op, body).first, timeoutMs, `reply to op ${op} ${JSON.stringify(body)}`);
  }

  /** The reply that is not PENDING. */
  requestFinal(op, body = {}, timeoutMs = REPLY_MS) {
    return within(this.ask(op, body).final, timeoutMs, `final reply to op ${op} ${JSON.stringify(body)}`);
  }

  hello(token, more = {}) { return this.request(OP.HELLO, {token, ver: 1, ...more}); }
  join(room, more = {}) { return this.request(OP.JOIN, {room, ...more}); }
  grab(code, seq = 0, again = undefined) {
    return this.requestFinal(OP.GRAB, again === undefined ? {code, seq} : {code, seq, again});
  }

  /** Resolves when test() is truthy, looked at after each frame. */
  when(what, test, timeoutMs = REPLY_MS) { return watch(this.#watchers, what, test, timeoutMs); }

  /** The first push of this biz_code (from index `from` of pushes) that fits. */
  push(bizCode, fits = () => true, {timeoutMs = REPLY_MS, from = 0} = {}) {
    return this.when(() => `push ${bizCode}; there were ${this.pushes.map((p) => p.biz_code).join(" ")}${this.isClosed ? "; closed" : ""}`,
      () => this.pushes.slice(from).find((p) => p.biz_code === bizCode && fits(p.payload, p)), timeoutMs);
  }

  pushesOf(bizCode) { return this.pushes.filter((p) => p.biz_code === bizCode); }

  /** {code, reason} within the time. */
  waitClosed(timeoutMs = REPLY_MS) { return within(this.closed, timeoutMs, "the socket is closed"); }

  async close() {
    if (this.isClosed) return;
    this.#ws.close(1000);
    await Promise.race([this.closed, new Promise((resolve) => { setTimeout(resolve, 2000).unref(); })]);
    if (!this.isClosed) this.#ws.terminate();
  }

  /** Without a close frame, as when the network goes. */
  cut() { this.#ws.terminate(); }
}

/** Connects, says HELLO and joins: what most tests start with. */
export async function enter(stack, user, {room, role = "viewer", rooms, name, maySend = false, ...more} = {}) {
  const client = await Client.open(stack.wsUrl, {origin: stack.origin, ...more});
  const hello = await client.hello(stack.mint(user, {role, rooms: rooms ?? (room ? [room] : "*"), name, maySend}));
  if (hello.name !== "OK") throw new Error(`HELLO of ${user}: ${JSON.stringify(hello)}`);
  client.user = String(user);
  client.helloReply = hello;
  if (room) {
    client.joinReply = await client.join(room);
    if (client.joinReply.name !== "OK") throw new Error(`JOIN of ${user}: ${JSON.stringify(client.joinReply)}`);
  }
  return client;
}

/** Runs fn over the items, at most `width` at once; results in order. */
export async function pooled(items, width, fn) {
  const results = new Array(items.length);
  let next = 0;
  const runner = async () => {
    while (next < items.length) {
      const i = next;
      next += 1;
      results[i] = await fn(items[i], i);
    }
  };
  await Promise.all(Array.from({length: Math.min(width, items.length)}, runner));
  return results;
}

// ---- raw sockets ----

/** A masked client frame. `announce` overrides the length in the header. */
export function rawFrame({fin = true, rsv1 = false, opcode = 2, payload = Buffer.alloc(0), masked = true, announce}) {
  const head = [(fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode];
  const length = BigInt(announce ?? payload.length);
  const bit = masked ? 0x80 : 0;
  if (length < 126n) {
    head.push(bit | Number(length));
  } else if (length < 65536n) {
    head.push(bit | 126, Number(length >> 8n), Number(length & 255n));
  } else {
    head.push(bit | 127);
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((length >> shift) & 255n));
  }
  if (!masked) return Buffer.concat([Buffer.from(head), payload]);
  const mask = randomBytes(4);
  const body = Buffer.from(payload);
  for (let i = 0; i < body.length; i += 1) body[i] ^= mask[i % 4];
  return Buffer.concat([Buffer.from(head), mask, body]);
}

/** A TCP connection that speaks only the bytes it is given. */
export class RawSocket {
  bytes = Buffer.alloc(0);
  ended = false;
  #socket;
  #watchers = new Set();

  static open(url) {
    const {hostname, port} = new URL(url);
    const raw = new RawSocket();
    raw.#socket = tcpConnect({host: hostname, port: Number(port)});
    raw.#socket.on("data", (data) => {
      raw.bytes = Buffer.concat([raw.bytes, data]);
      for (const wake of raw.#watchers) wake();
    });
    const end = () => {
      raw.ended = true;
      for (const wake of raw.#watchers) wake();
    };
    raw.#socket.on("end", end);
    raw.#socket.on("close", end);
    raw.#socket.on("error", end);
    return within(new Promise((resolve, reject) => {
      raw.#socket.once("connect", () => resolve(raw));
      raw.#socket.once("error", reject);
    }), CONNECT_MS, `connection to ${url}`);
  }

  write(data) { if (!this.#socket.destroyed) this.#socket.write(data); }
  destroy() { this.#socket.destroy(); }

  when(what, test, timeoutMs = REPLY_MS) { return watch(this.#watchers, what, test, timeoutMs); }

  /** Sends a request, resolves with {status, headers}; what follows the headers stays in `bytes`. */
  async request(lines, timeoutMs = REPLY_MS) {
    this.write(`${lines.join("\r\n")}\r\n\r\n`);
    await this.when("an HTTP answer", () => this.bytes.includes("\r\n\r\n") || this.ended, timeoutMs);
    const end = this.bytes.indexOf("\r\n\r\n");
    if (end < 0) return {status: 0, headers: {}};
    const [first, ...rest] = this.bytes.subarray(0, end).toString("latin1").split("\r\n");
    this.bytes = this.bytes.subarray(end + 4);
    const headers = Object.fromEntries(rest.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    return {status: Number(first.split(" ")[1]), headers};
  }

  /** The upgrade, with any header replaced or (by null) left out. */
  upgrade(stack, changed = {}, path = "/ws") {
    const headers = {
      Host: new URL(stack.url).host, Upgrade: "websocket", Connection: "Upgrade", Origin: stack.origin,
      "Sec-WebSocket-Key": randomBytes(16).toString("base64"), "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Protocol": SUBPROTOCOL, ...changed,
    };
    const lines = Object.entries(headers).filter(([, value]) => value !== null)
      .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${name}: ${one}`));
    return this.request([`GET ${path} HTTP/1.1`, ...lines]);
  }

  /** Server frames in `bytes` so far: [{opcode, payload}]. */
  frames() {
    const found = [];
    let at = 0;
    while (at + 2 <= this.bytes.length) {
      const opcode = this.bytes[at] & 15;
      let length = this.bytes[at + 1] & 127;
      let head = 2;
      if (length === 126) {
        if (at + 4 > this.bytes.length) break;
        length = this.bytes.readUInt16BE(at + 2);
        head = 4;
      } else if (length === 127) {
        if (at + 10 > this.bytes.length) break;
        length = Number(this.bytes.readBigUInt64BE(at + 2));
        head = 10;
      }
      if (at + head + length > this.bytes.length) break;
      found.push({opcode, payload: this.bytes.subarray(at + head, at + head + length)});
      at += head + length;
    }
    return found;
  }

  /** The close code the server sent; 0 when it closed without one. */
  async closeCode(timeoutMs = REPLY_MS) {
    await this.when("a close frame or the end",
      () => this.ended || this.frames().some((f) => f.opcode === 8), timeoutMs);
    const close = this.frames().find((f) => f.opcode === 8);
    return close && close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 0;
  }
}

// What the suites share: the product with its limits out of the way, crowds that obey, references, CPU and memory of processes.
import {execFileSync, spawn} from "node:child_process";
import {readFileSync, readdirSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {createInterface} from "node:readline";
import {setTimeout as sleep} from "node:timers/promises";
import {freePort, runDir} from "../lib/services.mjs";
import {program, startStack} from "../lib/stack.mjs";
import {until} from "../lib/ws.mjs";

export {freePort, program, sleep};
export const ROOM = "bench";
export const SENDER = "9001";
const FIRST_USER = 200_000;
const NUMBER = /^-?\d+(\.\d+)?$/;

const live = new Set();
process.once("exit", () => { for (const child of live) child.kill("SIGKILL"); });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(130));

export const note = (text) => process.stderr.write(`${text}\n`);
export const round = (value, digits = 3) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null);
export const ms = (us) => round(us / 1000, 2);
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
}
export const sum = (list) => list.reduce((a, b) => a + b, 0);

/** CPU time in µs of all threads of these processes so far. */
export function cpuUs(pids) {
  let ns = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return ns / 1000;
}

/** The services of this run folder that run, by name: what else the cores are busy with. */
export function servicePids() {
  const found = {};
  for (const name of ["redis", "kafka", "mariadb"]) {
    try {
      const pid = Number(readFileSync(join(runDir, "pids", name), "utf8").split(" ")[0]);
      cpuUs([pid]);
      found[name] = [pid];
    } catch { /* somebody else's */ }
  }
  return found;
}

/** µs of CPU that each of `who` ({name: pids}) spent while `work` ran: {result, cpu: {name: us}}. */
export async function cpuWhile(who, work) {
  const before = Object.fromEntries(Object.entries(who).map(([name, pids]) => [name, cpuUs(pids)]));
  const result = await work();
  return {result, cpu: Object.fromEntries(Object.entries(who).map(([name, pids]) => [name, cpuUs(pids) - before[name]]))};
}

/** Proportional set size of these processes, KiB. */
export const pssKib = (pids) => sum(pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1])));
export const rssKib = (pids) => sum(pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)));

/** Every limit on how much one client may do, as far up as the configuration lets it: a bench is one client. */
function noLimits() {
  const text = execFileSync(program("redrain-server"), ["--print-default-config"], {encoding: "utf8"});
  const conf = {};
  let section = "";
  let max = null;
  for (const line of text.split("\n")) {
    section = /^\[(\w+)\]/.exec(line)?.[1] ?? section;
    if (line.startsWith("#")) max = /\(\d+ to (\d+)/.exec(line)?.[1] ?? null;
    const key = /^(\w+) =/.exec(line)?.[1];
    if (key && section === "limits" && max && NUMBER.test(max) && /(per_s|per_min|per_ip|per_user|per_address|joins|conn|handshake)/.test(key)) {
      conf[`limits.${key}`] = max;
    }
  }
  return conf;
}

/** The product for a measurement. o.hook: the server that measures inside itself. */
export async function startLab(o = {}) {
  const stack = await startStack({
    ...o,
    program: o.hook ? "redrain-bench-server" : undefined,
    conf: {
      "server.allow_no_origin": true, "server.web_root": "", "log.level": "notice", ...noLimits(),
      "shed.lag_ms": 200, "risk.hold_grab_fen": 0, "risk.hold_user_day_fen": 0, "risk.hold_accounts_per_address": 0, "risk.hold_fresh_s": 0, ...o.conf,
    },
  });
  if (o.ready === false && o.server !== false) {
    await until(() => `every worker has Redis; ${stack.server.tail()}`, () => stack.server.events().filter((e) => e.event === "redis_up").length >= (o.workers ?? 2));
  }
  stack.serverPids = () => [stack.server.pid, ...stack.childPids("worker"), ...stack.childPids("admin")];
  return stack;
}

/** "user token" lines; resolves with the file. */
export function tokensFile(stack, n, name = "tokens") {
  const file = join(stack.dir, name);
  const lines = Array.from({length: n}, (_, i) => `${FIRST_USER + i} ${stack.mint(String(FIRST_USER + i))}`);
  writeFileSync(file, `${lines.join("\n")}\n`, {mode: 0o600});
  return file;
}

/** A crowd that obeys lines: see redrain-bench swarm. */
export class Swarm {
  #waiting = [];

  constructor(args) {
    this.child = spawn(program("redrain-bench"), ["swarm", ...args.map(String)], {stdio: ["pipe", "pipe", "inherit"]});
    live.add(this.child);
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        live.delete(this.child);
        for (const w of this.#waiting.splice(0)) w.reject(new Error(`the swarm ended with ${code ?? signal}`));
        resolve();
      });
    });
    this.child.stdin.on("error", () => {});
    createInterface({input: this.child.stdout}).on("line", (line) => {
      const answer = JSON.parse(line);
      const i = this.#waiting.findIndex((w) => w.event === answer.event);
      if (i >= 0) this.#waiting.splice(i, 1)[0].resolve(answer);
      if (answer.event === "ready") this.readyWas = answer;
    });
  }

  #expect(event, timeoutMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the swarm said no "${event}" within ${timeoutMs} ms`)), timeoutMs);
      const done = (fn) => (value) => { clearTimeout(timer); fn(value); };
      this.#waiting.push({event, resolve: done(resolve), reject: done(reject)});
    });
  }

  /** All sockets are open, or were refused. */
  async ready(n, timeoutMs = 180_000) {
    const answer = this.readyWas ?? await this.#expect("ready", timeoutMs);
    if (answer.in < n) throw new Error(`${answer.in} of ${n} sockets came in`);
    return answer;
  }

  #ask(event, line, timeoutMs) {
    const answer = this.#expect(event, timeoutMs);
    this.child.stdin.write(`${line}\n`);
    return answer;
  }

  run(what, o) {
    return this.#ask("run", ["run", what, ...Object.entries(o).map(([k, v]) => `${k}=${v}`)].join(" "), o.secs * 1000 + 60_000);
  }

  storm(o) { return this.#ask("storm", `storm secs=${o.secs} conns=${o.conns}`, o.secs * 1000 + 60_000); }
  seen() { return this.#ask("seen", "seen", 60_000); }
  reset() { this.child.stdin.write("reset\n"); }

  async end() {
    this.child.stdin.end("quit\n");
    await this.ended;
  }
}

/** A swarm on the product, or on whatever else speaks o.dialect at o.url. */
export async function startSwarm(o) {
  const swarm = new Swarm(["--url", o.url, "--tokens-file", o.tokens, "--room", ROOM, "--conns", o.conns,
    "--dialect", o.dialect ?? "redrain", "--entering", o.entering ?? 200]);
  if (o.entering !== 0) await swarm.ready(o.conns);
  return swarm;
}

/** A child that says "ready"; {pid, stop}. */
export async function startServer(command, args, o = {}) {
  const child = spawn(command, args.map(String), {stdio: ["ignore", "pipe", "inherit"], ...o});
  live.add(child);
  const gone = new Promise((resolve) => { child.once("close", () => { live.delete(child); resolve(); }); });
  await new Promise((resolve, reject) => {
    createInterface({input: child.stdout}).on("line", (line) => { if (line.includes("ready")) resolve(); });
    child.once("error", reject);
    gone.then(() => reject(new Error(`${command} ended`)));
  });
  const pids = () => [child.pid, ...readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)];
  return {pid: child.pid, pids, async stop() { child.kill("SIGTERM"); await gone; }};
}

/** The bare echo server, on a port of its own. */
export async function startEcho(processes = 1) {
  const port = await freePort();
  const server = await startServer(program("redrain-ref-ws-echo"), [port, processes]);
  return {...server, url: `ws://127.0.0.1:${port}/ws`};
}

/** Values of the admin listener's metrics, by name without prefix. */
export async function metrics(stack) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const found = {};
  for (const line of text.split("\n")) {
    const m = /^redrain_(\w+) (\S+)$/.exec(line);
    if (m) found[m[1]] = Number(m[2]);
  }
  return found;
}

/** A rain that is open for a long time; resolves with its code. */
export async function openRain(stack, {count, limit = 1000, shards, fen = 10}) {
  await stack.deposit(SENDER, count * fen);
  const spec = {sender: SENDER, room: ROOM, room_id: ROOM, count, total: count * fen, limit, biz_id: `bench-${process.hrtime.bigint()}`};
  if (shards) spec.shards = shards;
  const {code} = await stack.must("POST", "/api/v1/rains", spec);
  await stack.must("POST", `/api/v1/rains/${code}/prepare`, {});
  for (;;) {
    const rain = await stack.must("GET", `/api/v1/rains/${code}`);
    if (rain.status === "PREPARED") break;
    await sleep(50);
  }
  await stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 500, duration_ms: 1_800_000});
  await sleep(1200);
  return code;
}

const RAINS_MAX = 30;
const WINS_EACH = 10;

/**
 * Rains for a pass of so many wins by so many viewers, {codes, each} for Swarm.run(): a viewer wins `each` of one and goes on to the
 * next. Some dozens of one rain at most: that is life, hundreds are not, and what Redis remembers of a user's wins grows with each of them.
 */
export async function openRains(stack, {wins, conns, least = WINS_EACH}) {
  const each = Math.max(least, Math.ceil(wins / conns / RAINS_MAX));
  const count = Math.ceil(conns * each * 1.2);
  const codes = await Promise.all(Array.from({length: Math.ceil(wins / conns / each)}, () => openRain(stack, {count, limit: each})));
  return {codes, each};
}

/** Now on CLOCK_MONOTONIC in µs, the clock of the stamps. */
export const monoUs = () => Number(process.hrtime.bigint() / 1000n);

/** A payload of 200 bytes whose end says when it was due. */
export const stamped = (dueUs) => `${".".repeat(183)}@${String(dueUs).padStart(16, "0")}`;

// What is hurt: private Redis, MariaDB and Kafka, two servers and two settlers, each program behind proxies of its own, and an
// init system that starts again what ended.
import {execFile, spawn} from "node:child_process";
import {createHmac, randomBytes} from "node:crypto";
import {cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {createServer} from "node:net";
import {join} from "node:path";
import {promisify} from "node:util";
import mysql from "mysql2/promise";
import {Proxy} from "./proxy.mjs";

const run = promisify(execFile);
const RESTART_MS = 150;
const LEFTOVER_MS = 2500; // what a dead supervisor leaves gets this long after its SIGTERM
export const SERVERS = ["a", "b"];
export const SETTLERS = ["settler-a", "settler-b"];
export const SERVICES = ["redis", "kafka", "mariadb"];
export const WORKERS = 2;

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Resolves with fn()'s first truthy value, or with null when there is none in time. */
export async function soon(fn, timeoutMs, everyMs = 50) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await Promise.resolve().then(fn).catch(() => null);
    if (value) return value;
    if (Date.now() > deadline) return null;
    await sleep(everyMs);
  }
}

async function freePort() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 15000 + Math.floor(Math.random() * 17000);
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no free port");
}

/** {state, start} of a process, or null; start names it together with its pid. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : {state: fields[0], start: fields[19]};
  } catch {
    return null;
  }
}

const alive = (p) => Boolean(p && stat(p.pid)?.start === p.start);

/** Signals that very process; false when it is gone. */
function signal(p, name) {
  if (!alive(p)) return false;
  try {
    process.kill(p.pid, name);
    return true;
  } catch {
    return false;
  }
}

function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function roleOf(pid) {
  try {
    const env = Object.fromEntries(readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").map((kv) => kv.split("=")));
    return env.REDRAIN_CHILD_ROLE && {role: env.REDRAIN_CHILD_ROLE, slot: Number(env.REDRAIN_CHILD_SLOT)};
  } catch {
    return null;
  }
}

/** One program of ours that is started again whenever it ends. */
class Unit {
  constructor(world, name, file, config) {
    Object.assign(this, {world, name, file, config, child: null, wanted: false, starts: 0, exits: []});
    this.pidFile = join(world.dir, "units", name);
  }

  start() {
    this.wanted = true;
    if (this.child) return;
    const log = openSync(join(this.world.logs, `${this.name}.log`), "a");
    const child = spawn(this.file, ["--config", this.config], {stdio: ["ignore", log, log], detached: true});
    this.starts += 1;
    this.child = child;
    this.process = {pid: child.pid, start: stat(child.pid)?.start};
    this.known = new Map();
    writeFileSync(this.pidFile, `${this.process.pid} ${this.process.start}\n`);
    child.once("error", (error) => this.world.note(`${this.name}: ${error.message}`));
    child.once("exit", (code, sig) => this.#ended(code, sig));
  }

  async #ended(code, sig) {
    this.exits.push({at: Date.now(), code, sig});
    await this.#endChildren();
    this.child = null;
    if (!this.wanted) return;
    await sleep(RESTART_MS);
    if (this.wanted) this.start();
  }

  /** The processes of this unit by role: {worker: [slot → process], admin: process}. */
  processes() {
    const out = {worker: [], admin: null};
    if (!this.child) return out;
    for (const pid of childrenOf(this.child.pid)) {
      const role = roleOf(pid);
      const process = role && {pid, start: stat(pid)?.start};
      if (!role || !process.start) continue;
      this.known.set(pid, process);
      if (role.role === "admin") out.admin = process;
      else out.worker[role.slot] = process;
    }
    return out;
  }

  /** As an init system ends what is left of a unit whose main process died. */
  async #endChildren() {
    const left = () => [...(this.known?.values() ?? [])].filter(alive);
    for (const p of left()) signal(p, "SIGCONT");
    for (const p of left()) signal(p, "SIGTERM");
    await soon(() => left().length === 0, LEFTOVER_MS, 20);
    for (const p of left()) signal(p, "SIGKILL");
    await soon(() => left().length === 0, 2000, 10);
  }

  async stop(ms) {
    this.wanted = false;
    const child = this.child;
    if (!child) return;
    this.processes();
    signal(this.process, "SIGCONT");
    signal(this.process, "SIGTERM");
    if (!await soon(() => !this.child, ms)) {
      signal(this.process, "SIGKILL");
      await soon(() => !this.child, 5000);
    }
  }
}

export class World {
  /** dir: the run folder; bin: path of a build folder; note: a function for lines of the log. */
  constructor({root, dir, bin, policy = "recover", note = () => {}, servicesScript}) {
    Object.assign(this, {root, dir, bin, policy, note, logs: join(dir, "logs"), units: {}, links: {}, paused: new Map()});
    this.script = servicesScript ?? join(root, "tools", "dev", "services.sh");
    this.fsync = "always";
    this.namespace = "";
    this.dbName = "redrain";
    this.running = new Set(); // of services.sh: an end waits for them, so that nothing starts after it
  }

  #services(...args) {
    const env = {...process.env, REDRAIN_RUN: this.dir, REDRAIN_APPENDFSYNC: this.fsync};
    for (const name of ["REDIS_URL", "MYSQL_URL", "KAFKA_BOOTSTRAP"]) delete env[name];
    if (this.links.kafka) env.REDRAIN_KAFKA_ADVERTISED = `127.0.0.1:${this.links.kafka.port}`;
    const running = run(this.script, args, {env, maxBuffer: 1 << 24});
    this.running.add(running);
    running.finally(() => this.running.delete(running)).catch(() => {});
    return running;
  }

  #program(name) {
    const folders = [this.bin];
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      for (const entry of readdirSync(folder, {withFileTypes: true})) {
        const path = join(folder, entry.name);
        if (entry.isDirectory() && entry.name !== "CMakeFiles") folders.push(path);
        else if (entry.isFile() && entry.name === name) return path;
      }
    }
    throw new Error(`${name} is not built in ${this.bin}`);
  }

  /** Programs of a run in this folder that was itself killed. Each leads a process group of its own. */
  async #endLeftOver() {
    const folder = join(this.dir, "units");
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      const [pid, start] = readFileSync(join(folder, name), "utf8").trim().split(" ");
      if (!alive({pid: Number(pid), start})) continue;
      process.kill(-Number(pid), "SIGKILL");
      await soon(() => !alive({pid: Number(pid), start}), 5000);
    }
    rmSync(folder, {recursive: true, force: true});
    mkdirSync(folder, {recursive: true});
  }

  async begin() {
    await this.#endLeftOver();
    await this.#services("wipe");
    mkdirSync(this.logs, {recursive: true});
    const kafkaPort = await freePort();
    // The broker tells its clients one address: the proxy's.
    this.links.kafka = await Proxy.open(0);
    writeFileSync(join(this.dir, "ports"), `kafka=${kafkaPort}\n`);
    this.links.kafka.targetPort = kafkaPort;
    await this.#services("up");
    this.env = Object.fromEntries(readFileSync(join(this.dir, "env"), "utf8").trim().split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1).replace(/\\(.)/g, "$1")];
    }));
    this.broker = this.env.REDRAIN_BROKER;
    this.redisUrl = new URL(this.env.REDIS_URL);
    this.mysqlUrl = new URL(this.env.MYSQL_URL);
    await this.#configs();
    await this.ctl(["migrate"]);
    for (const unit of Object.values(this.units)) unit.start();
    if (!await soon(() => this.ready(), 60_000, 100)) throw new Error("the servers did not become ready");
  }

  async #configs() {
    const secret = randomBytes(32);
    const keys = {keys: [{kid: "k1", kty: "oct", alg: "HS256", k: secret.toString("base64url")}]};
    this.secret = secret;
    writeFileSync(join(this.dir, "keys.json"), JSON.stringify(keys), {mode: 0o600});
    this.adminToken = randomBytes(24).toString("hex");
    writeFileSync(join(this.dir, "admin.token"), `${this.adminToken}\n`, {mode: 0o600});
    this.servers = {};
    for (const name of SERVERS) this.servers[name] = {port: await freePort(), adminPort: await freePort()};
    this.origin = "http://chaos.test";
    for (const name of [...SERVERS, ...SETTLERS]) {
      this.links[`${name}/redis`] = await Proxy.open(Number(this.redisUrl.port));
      this.links[`${name}/mariadb`] = await Proxy.open(Number(this.mysqlUrl.port));
      const file = join(this.dir, `${name}.conf`);
      writeFileSync(file, this.#config(name), {mode: 0o600});
      const program = this.#program(name.startsWith("settler") ? "redrain-settler" : "redrain-server");
      this.units[name] = new Unit(this, name, program, file);
    }
    writeFileSync(join(this.dir, "ctl.conf"), this.#config("ctl"), {mode: 0o600});
  }

  #config(name) {
    const via = (service, url) => {
      const u = new URL(url);
      if (this.links[`${name}/${service}`]) u.port = this.links[`${name}/${service}`].port;
      return u.toString();
    };
    const server = this.servers[name] ?? this.servers.a;
    // The broker in memory advertises its own address: no proxy is in its way.
    const kafka = this.broker === "memory" ? this.env.KAFKA_BOOTSTRAP : `127.0.0.1:${this.links.kafka.port}`;
    return `[server]
workers = ${WORKERS}
port = ${server.port}
origins = ${this.origin}

[drain]
ready_wait_ms = 0
spread_ms = 500
wait_rain_ms = 0
timeout_ms = 2000

[admin]
port = ${server.adminPort}
token_file = ${join(this.dir, "admin.token")}

[token]
keys_file = ${join(this.dir, "keys.json")}

[redis]
url = ${via("redis", this.redisUrl)}
timeout_ms = 1000

[kafka]
bootstrap = ${kafka}
partitions = 4
message_timeout_ms = 2500

[mysql]
url = ${via("mariadb", this.mysqlUrl)}
timeout_ms = 1000

[fence]
policy = ${this.policy}

[limits]
grab_per_s = 1000
command_per_s = 1000

[risk]
# The crowd taps like a clock.
hold_steady_pct = 0
deny_grabs_per_min = 0
deny_early_grabs = 0

[settler]
verify_interval_s = 0

[log]
level = info
`;
  }

  /** redrainctl on the services themselves: no proxy between. */
  async ctl(args) {
    const all = ["--config", join(this.dir, "ctl.conf"), ...args];
    try {
      return {code: 0, ...await run(this.#program("redrainctl"), all, {maxBuffer: 1 << 26, timeout: 120_000})};
    } catch (error) {
      if (typeof error.code !== "number") throw error;
      if (args[0] === "migrate") throw new Error(`redrainctl migrate: ${error.stderr || error.stdout}`);
      return {code: error.code, stdout: error.stdout, stderr: error.stderr};
    }
  }

  #mysql() {
    return this.pool ??= mysql.createPool({
      host: "127.0.0.1", port: Number(this.mysqlUrl.port), user: this.mysqlUrl.username,
      password: decodeURIComponent(this.mysqlUrl.password), database: this.dbName, connectionLimit: 2, supportBigNumbers: true,
    });
  }

  async sql(query, params = []) { return (await this.#mysql().query(query, params))[0]; }
  connection() { return this.#mysql().getConnection(); }

  async api(method, path, body) {
    let last;
    for (const name of SERVERS) {
      try {
        const answer = await fetch(`http://127.0.0.1:${this.servers[name].adminPort}${path}`, {
          method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(5000),
          headers: {authorization: `Bearer ${this.adminToken}`, ...(body ? {"content-type": "application/json"} : {})},
        });
        return {status: answer.status, body: await answer.json().catch(() => null)};
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  mint(user, role, room) {
    const now = Math.floor(Date.now() / 1000);
    const b64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${b64({alg: "HS256", typ: "JWT", kid: "k1"})}.${b64({
      sub: String(user), exp: now + 86_400, iat: now, aud: "redrain", role, rooms: [room], may_send: false})}`;
    return `${signed}.${createHmac("sha256", this.secret).update(signed).digest("base64url")}`;
  }

  wsUrl(name) { return `ws://127.0.0.1:${this.servers[name].port}/ws`; }

  async ready() {
    for (const name of SERVERS) {
      const answer = await fetch(`http://127.0.0.1:${this.servers[name].adminPort}/readyz`, {signal: AbortSignal.timeout(2000)});
      if (answer.status !== 200) return false;
    }
    return true;
  }

  // ---- services ----

  service(name) {
    try {
      const [pid, start] = readFileSync(join(this.dir, "pids", name), "utf8").trim().split(" ");
      const p = {pid: Number(pid), start};
      return alive(p) ? p : null;
    } catch {
      return null;
    }
  }

  async startService(name) {
    await this.#services("start", name);
  }

  async stopService(name) { await this.#services("stop", name); }

  /** What Redis has on disk now, as a disk that kept nothing written later would show it. */
  redisSnapshot() {
    rmSync(join(this.dir, "redis-earlier"), {recursive: true, force: true});
    cpSync(join(this.dir, "redis", "appendonlydir"), join(this.dir, "redis-earlier"), {recursive: true});
    return Date.now();
  }

  redisPutBack() {
    rmSync(join(this.dir, "redis", "appendonlydir"), {recursive: true, force: true});
    cpSync(join(this.dir, "redis-earlier"), join(this.dir, "redis", "appendonlydir"), {recursive: true});
  }

  redisForget() { rmSync(join(this.dir, "redis", "appendonlydir"), {recursive: true, force: true}); }

  // ---- signals ----

  /** The process a target names, or null while there is none. */
  process(target) {
    if (SERVICES.includes(target)) return this.service(target);
    const [name, part] = target.split(".");
    const unit = this.units[name];
    if (!unit.child || !alive(unit.process)) return null;
    const parts = unit.processes();
    if (part === undefined || part === "supervisor") return unit.process;
    if (part === "admin") return parts.admin;
    return parts.worker[Number(part.slice("worker".length))] ?? null;
  }

  signal(target, name) {
    const p = this.process(target);
    if (!p || !signal(p, name)) return null;
    if (name === "SIGSTOP") this.paused.set(target, p);
    return p;
  }

  resume(target) {
    const p = this.paused.get(target);
    this.paused.delete(target);
    if (p) signal(p, "SIGCONT");
  }

  gone(p) { return !alive(p); }

  // ---- ends ----

  async heal() {
    for (const link of Object.values(this.links)) link.set("pass");
    for (const target of [...this.paused.keys()]) this.resume(target);
    for (const name of SERVICES) if (!this.service(name)) await this.startService(name);
    for (const unit of Object.values(this.units)) unit.start();
    return soon(() => this.ready(), 60_000, 100);
  }

  async end() {
    for (const target of [...this.paused.keys()]) this.resume(target);
    await Promise.all(Object.values(this.units).map((unit) => unit.stop(8000)));
    await this.pool?.end().catch(() => {});
    for (const link of Object.values(this.links)) link.close();
    await Promise.allSettled([...this.running]);
    if (existsSync(this.dir)) await this.#services("down").catch((error) => this.note(`services: ${error.message}`));
  }
}

// One private redrain for a test: its own namespace, keys, ports and folder, on the services of services.mjs.
import {execFile, spawn} from "node:child_process";
import {createHmac, randomBytes} from "node:crypto";
import {existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {promisify} from "node:util";
import Redis from "ioredis";
import mysql from "mysql2/promise";
import {freePort, kafkaBootstrap, mysqlUrl, redisUrl, root} from "./services.mjs";
import {until} from "./ws.mjs";

const run = promisify(execFile);
const START_MS = 30_000;
const STOP_MS = 25_000;
const TOKEN_TTL_S = 3600;
const LOG_LINES_IN_ERROR = 40;

const found = new Map();

/** Path of one of our programs in REDRAIN_BIN_DIR (a build folder). */
export function program(name) {
  if (found.has(name)) return found.get(name);
  const dir = process.env.REDRAIN_BIN_DIR ?? join(root, "build", "asan");
  const folders = [dir];
  for (let folder = folders.pop(); folder; folder = folders.pop()) {
    for (const entry of existsSync(folder) ? readdirSync(folder, {withFileTypes: true}) : []) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && entry.name !== "CMakeFiles") folders.push(path);
      if (entry.isFile() && entry.name === name && (statSync(path).mode & 0o111)) {
        found.set(name, path);
        return path;
      }
    }
  }
  throw new Error(`${name} is not built in ${dir} (REDRAIN_BIN_DIR)`);
}

/** {host, port, user, password, database} of mysql://…; the database's name gets the namespace. */
export function mysqlOptions(url, namespace) {
  const u = new URL(url);
  return {
    host: u.hostname, port: Number(u.port || 3306), user: decodeURIComponent(u.username),
    password: decodeURIComponent(u.password), database: namespace + u.pathname.slice(1),
    ...(u.searchParams.get("socket") ? {socketPath: u.searchParams.get("socket")} : {}),
  };
}

const base64url = (value) => Buffer.from(value).toString("base64url");

/** A JWT with any header and claims, signed by HS256. */
export function signJwt(header, claims, secret) {
  const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** An ini file's text of {"section.key": value}. */
function iniText(conf) {
  const sections = new Map();
  for (const [name, value] of Object.entries(conf)) {
    const [section, key] = name.split(".");
    if (!sections.has(section)) sections.set(section, []);
    sections.get(section).push(`${key} = ${value}`);
  }
  return [...sections].map(([section, lines]) => `[${section}]\n${lines.join("\n")}\n`).join("\n");
}

/** A child program whose output is kept, and whose end is known. */
class Program {
  #pid = 0; // of the generation after the one we started

  constructor(name, args, dir, env = {}, o = {}) {
    this.name = name;
    this.lines = [];
    this.exit = null; // {code, signal}
    this.child = spawn(o.file ?? program(name), args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {...process.env, ...sanitizerEnv(dir), ...env},
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8");
      stream.on("data", (data) => {
        const lines = (rest + data).split("\n");
        rest = lines.pop();
        this.lines.push(...lines);
      });
    }
    this.exited = new Promise((resolve) => {
      this.child.once("error", (error) => this.lines.push(`cannot start: ${error.message}`));
      this.child.once("close", (code, signal) => {
        this.exit = {code, signal};
        resolve(this.exit);
      });
    });
  }

  get pid() { return this.#pid || this.child.pid; }

  /** SIGUSR2: resolves with true when another process took over: it is this program from then on. */
  async upgrade(timeoutMs = START_MS) {
    const old = this.pid;
    const from = this.lines.length;
    process.kill(old, "SIGUSR2");
    const event = await until(() => `the upgrade of pid ${old} ends; ${this.tail()}`, () =>
      this.events(from).find((e) => e.event === "upgraded" || e.event === "upgrade_failed"), {timeoutMs});
    if (event.event === "upgrade_failed") return false;
    this.#pid = Number(/pid (\d+)/.exec(event.msg)[1]);
    return true;
  }

  tail() { return `${this.name}:\n${this.lines.slice(-LOG_LINES_IN_ERROR).join("\n")}`; }
  events(from = 0) {
    return this.lines.slice(from).flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });
  }

  #kill(name) {
    try {
      process.kill(this.pid, name);
    } catch { /* gone already */ }
  }

  async signal(name, timeoutMs = STOP_MS) {
    if (this.exit) return this.exit;
    this.#kill(name);
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(() => resolve(null), timeoutMs); });
    const exit = await Promise.race([this.exited, late]);
    clearTimeout(timer);
    if (exit) return exit;
    this.#kill("SIGKILL");
    await this.exited;
    throw new Error(`did not end within ${timeoutMs} ms of ${name}: ${this.tail()}`);
  }
}

/** Reports go into files of the stack's folder, so that stop() can see the ones of workers too. */
function sanitizerEnv(dir) {
  const path = `log_path=${join(dir, "sanitizer")}:log_suffix=.txt`;
  const add = (name) => [name, process.env[name] ? `${process.env[name]}:${path}` : path];
  return Object.fromEntries(["ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"].map(add));
}

function sanitizerReports(dir) {
  return readdirSync(dir).filter((name) => name.startsWith("sanitizer"))
    .map((name) => readFileSync(join(dir, name), "utf8")).filter((text) => text.trim());
}

/**
 * @param {object} [o]
 * @param {number} [o.workers]
 * @param {boolean} [o.server]   start redrain-server
 * @param {string} [o.program]   instead of redrain-server
 * @param {boolean} [o.settler]  start redrain-settler
 * @param {boolean} [o.migrate]  make database and topic first
 * @param {boolean} [o.ready]    wait until /readyz answers 200
 * @param {"default"} [o.limits] the limits of a user as they are when nothing is configured
 * @param {object} [o.conf]      {"section.key": value} beside or instead of the usual ones
 * @param {object} [o.env]       environment of server and settler; {server: {…}, settler: {…}} for one of them
 */
export async function startStack(o = {}) {
  const stack = new Stack(o);
  try {
    await stack.begin(o);
  } catch (error) {
    await stack.abandon();
    throw error;
  }
  return stack;
}

class Stack {
  #o;
  #secret = randomBytes(32);
  #pool = null;
  #redis = null;
  #programs = [];
  #settler = null;
  #server = null;

  constructor(o) {
    this.#o = o;
    this.dir = mkdtempSync(join(tmpdir(), "redrain-test-"));
    this.namespace = `t${randomBytes(5).toString("hex")}_`;
    this.adminToken = randomBytes(24).toString("hex");
    this.kid = "k1";
    this.settlerConf = {};
    this.settler = {
      start: () => this.#startSettler(),
      kill9: () => this.#settler.signal("SIGKILL"),
      stop: () => this.#settler.signal("SIGTERM"),
      get pid() { return this.current().pid; },
      current: () => this.#settler,
    };
  }

  get server() { return this.#server; }
  get secret() { return this.#secret; }
  get configFile() { return join(this.dir, "redrain.conf"); }
  get settlerConfigFile() { return join(this.dir, "settler.conf"); }
  get keysFile() { return join(this.dir, "keys.json"); }
  get adminTokenFile() { return join(this.dir, "admin.token"); }

  async begin({migrate = true, server = true, settler = true, ready = true}) {
    await this.#writeFiles();
    if (migrate) await this.migrate();
    if (server) await this.startServer();
    if (settler) this.#startSettler();
    if (server && ready) await this.waitReady();
  }

  async #writeFiles() {
    const port = await freePort();
    this.origin = `http://127.0.0.1:${port}`;
    this.conf = {
      "server.namespace": this.namespace, "server.workers": this.#o.workers ?? 2, "server.host": "127.0.0.1",
      "server.port": port, "server.origins": this.origin, "server.web_root": join(root, "web-demo"),
      "admin.host": "127.0.0.1", "admin.port": 0, "admin.token_file": this.adminTokenFile,
      "token.keys_file": this.keysFile, "redis.url": redisUrl, "kafka.bootstrap": kafkaBootstrap,
      "kafka.partitions": 4, "mysql.url": mysqlUrl, "settler.verify_interval_s": 0, "log.level": "info",
      // Ends at once: what waits is for the tests of it.
      "drain.ready_wait_ms": 0, "drain.spread_ms": 0, "drain.wait_rain_ms": 0, "drain.timeout_ms": 10000,
      // Programs tap faster and more evenly than people: a test of these rules turns them on.
      "risk.hold_steady_pct": 0, "risk.deny_grabs_per_min": 0, "risk.deny_early_grabs": 0,
      // Machines that run tests are late all the time; the test of it turns it on.
      "shed.lag_ms": 0,
      // One user of a test has more sockets, and comes and goes faster, than anybody.
      ...(this.#o.limits === "default" ? {} : {"limits.connections_per_user": 1000, "limits.join_per_s": 1000}),
      ...this.#o.conf,
    };
    const keys = [{kid: this.kid, kty: "oct", alg: "HS256", k: base64url(this.#secret)}];
    writeFileSync(this.keysFile, JSON.stringify({keys}), {mode: 0o600});
    writeFileSync(this.adminTokenFile, `${this.adminToken}\n`, {mode: 0o600});
    this.writeConfig();
  }

  /** Writes the configuration files again, from this.conf; the settler's has this.settlerConf on top. */
  writeConfig() {
    writeFileSync(this.configFile, iniText(this.conf), {mode: 0o600});
    writeFileSync(this.settlerConfigFile, iniText({...this.conf, ...this.settlerConf}), {mode: 0o600});
  }

  async migrate() {
    const {code, stderr, stdout} = await this.ctl(["migrate"]);
    if (code !== 0) throw new Error(`redrainctl migrate ended with ${code}: ${stderr || stdout}`);
  }

  /** file: another program than ours, e.g. a script that starts it. */
  async startServer({file} = {}) {
    const server = new Program(this.#o.program ?? "redrain-server", ["--config", this.configFile], this.dir, this.#env("server"), {file});
    this.#server = server;
    this.#programs.push(server);
    const ports = await until(() => `redrain-server listens; ${server.tail()}`, () => {
      if (server.exit) throw new Error(`it ended with ${server.exit.code}`);
      const line = server.events().find((e) => e.event === "listening");
      return line && /public=(\S+):(\d+) admin=(\S+):(\d+)/.exec(line.msg);
    }, {timeoutMs: START_MS});
    this.url = `http://127.0.0.1:${ports[2]}`;
    this.wsUrl = `ws://127.0.0.1:${ports[2]}/ws`;
    this.adminUrl = `http://127.0.0.1:${ports[4]}`;
    this.adminPort = Number(ports[4]);
  }

  #env(part) {
    const {server, settler, ...both} = this.#o.env ?? {};
    return {...both, ...(part === "server" ? server : settler)};
  }

  #startSettler() {
    this.#settler = new Program("redrain-settler", ["--config", this.settlerConfigFile], this.dir, this.#env("settler"));
    this.#programs.push(this.#settler);
    return this.#settler;
  }

  async waitReady(timeoutMs = START_MS) {
    await until(() => `the stack is ready; ${this.#server.tail()}`, async () => {
      const answer = await fetch(`${this.adminUrl}/readyz?verbose`);
      if (answer.status !== 200) throw new Error(await answer.text());
      return true;
    }, {timeoutMs, everyMs: 100});
  }

  /** mint("7", {role, rooms, name, ttl, maySend, claims}) or mint("7", "viewer", ["r1"], {…}). */
  mint(user, roleOrOptions = {}, rooms = undefined, more = {}) {
    const o = typeof roleOrOptions === "string" ? {role: roleOrOptions, rooms, ...more} : roleOrOptions;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      sub: String(user), exp: now + (o.ttl ?? TOKEN_TTL_S), iat: now, aud: "redrain", role: o.role ?? "viewer",
      rooms: o.rooms ?? "*", may_send: o.maySend ?? o.may_send ?? false, ...o.claims,
    };
    if (o.name !== undefined) claims.name = o.name;
    return signJwt({alg: "HS256", typ: "JWT", kid: this.kid, ...o.header}, claims, o.secret ?? this.#secret);
  }

  /** The JSON API: {status, body}. token: null leaves the header out. */
  async api(method, path, body, token = this.adminToken) {
    const answer = await fetch(this.adminUrl + path, {
      method, body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        ...(token === null ? {} : {authorization: `Bearer ${token}`}),
        ...(body === undefined ? {} : {"content-type": "application/json"}),
      },
    });
    const text = await answer.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch { /* not JSON: body is null, text says what it was */ }
    return {status: answer.status, body: json, text};
  }

  /** The same, failing unless the status is 2xx; the body only. */
  async must(method, path, body) {
    const {status, body: answer, text} = await this.api(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: HTTP ${status} ${text}`);
    return answer;
  }

  deposit(user, amount, bizId = `d-${randomBytes(6).toString("hex")}`) {
    return this.must("POST", `/api/v1/wallets/${user}/deposit`, {amount, biz_id: bizId});
  }

  /** Rows of a statement on this stack's database. */
  async sql(query, params = []) {
    this.#pool ??= mysql.createPool({...mysqlOptions(mysqlUrl, this.namespace), connectionLimit: 2});
    const [rows] = await this.#pool.query(query, params);
    return rows;
  }

  /** ioredis; keys need the namespace in front. */
  get redis() {
    if (!this.#redis) {
      this.#redis = new Redis(redisUrl, {maxRetriesPerRequest: 3});
      this.#redis.on("error", () => {});
    }
    return this.#redis;
  }

  /** Runs redrainctl: {code, stdout, stderr, json (of the last line of stdout, or null)}. */
  async ctl(args, env = {}, {timeoutMs = 60_000} = {}) {
    const admin = this.adminPort ? ["--set", `admin.port=${this.adminPort}`] : [];
    const all = ["--config", this.configFile, ...admin, ...args];
    const options = {
      env: {...process.env, ...sanitizerEnv(this.dir), ...env}, maxBuffer: 1 << 26, timeout: timeoutMs,
    };
    let result;
    try {
      result = {code: 0, ...await run(program("redrainctl"), all, options)};
    } catch (error) {
      if (typeof error.code !== "number") throw error;
      result = {code: error.code, stdout: error.stdout, stderr: error.stderr};
    }
    let json = null;
    try {
      json = JSON.parse(result.stdout.trim().split("\n").at(-1));
    } catch { /* human output */ }
    return {...result, json};
  }

  /** The books by our own checker: fails on findings. */
  async verify(o) {
    const {code, json, stdout, stderr} = await this.ctl(["verify", "--all", "--json"], {}, o);
    if (code !== 0 || !json?.ok) throw new Error(`the books are not clean (${code}): ${stdout} ${stderr}`);
    return json;
  }

  /** Process ids of the children in a role: "worker" or "admin". */
  childPids(role) {
    const {pid} = this.#server;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
    return children.map(Number).filter((child) => {
      try {
        return readFileSync(`/proc/${child}/environ`, "utf8").split("\0").includes(`REDRAIN_CHILD_ROLE=${role}`);
      } catch {
        return false; // gone meanwhile
      }
    });
  }

  /** A file of /proc/<pid>. */
  proc(pid, file) { return readFileSync(`/proc/${pid}/${file}`, "utf8"); }

  workerPids() { return this.childPids("worker"); }

  /** Log lines of everything that was started, as text. */
  logs() { return this.#programs.flatMap((p) => p.lines); }

  async stopServer() {
    const exit = await this.#server.signal("SIGTERM");
    if (exit.code !== 0) throw new Error(`redrain-server ended with ${exit.code ?? exit.signal}: ${this.#server.tail()}`);
  }

  /** Ends everything; fails when a program did not end well or a sanitizer had something to say. */
  async stop() {
    const problems = [];
    for (const p of this.#programs) {
      if (p.exit?.signal === "SIGKILL") continue; // the test's own doing
      try {
        const {code, signal} = await p.signal("SIGTERM");
        if (code !== 0) problems.push(`${p.name} ended with ${code ?? signal}: ${p.tail()}`);
      } catch (error) {
        problems.push(error.message);
      }
    }
    problems.push(...sanitizerReports(this.dir));
    for (const line of this.logs()) {
      if (line.includes(this.adminToken)) problems.push(`a secret is in the log: ${line.slice(0, 200)}`);
    }
    await this.#dropNames();
    rmSync(this.dir, {recursive: true, force: true});
    if (problems.length) throw new Error(problems.join("\n\n"));
  }

  /** After a failed start: no checks. */
  async abandon() {
    for (const p of this.#programs) {
      if (!p.exit) p.child.kill("SIGKILL");
    }
    await Promise.all(this.#programs.map((p) => p.exited));
    await this.#dropNames().catch(() => {});
    rmSync(this.dir, {recursive: true, force: true});
  }

  async #dropNames() {
    await this.#pool?.end();
    const options = mysqlOptions(mysqlUrl, this.namespace);
    const connection = await mysql.createConnection({...options, database: undefined});
    await connection.query(`DROP DATABASE IF EXISTS \`${options.database}\``);
    await connection.end();
    const redis = this.redis;
    for await (const keys of redis.scanStream({match: `${this.namespace}*`, count: 1000})) {
      if (keys.length) await redis.unlink(...keys);
    }
    redis.disconnect();
  }
}

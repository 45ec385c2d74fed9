// Threats of docs/SECURITY.md that no other file plays, against one server that may do no more than configs/systemd and
// configs/mysql-users.sql leave it. At the end all it wrote anywhere is searched for what must not be there.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {promisify} from "node:util";
import {Client, OP, RawSocket, encode, enter, pooled, rawFrame, until} from "../lib/ws.mjs";
import {mysqlUrl, root} from "../lib/services.mjs";
import {rootSql, skipWithoutRoot} from "../lib/sql-log.mjs";
import {mysqlOptions, program, startStack} from "../lib/stack.mjs";
import {ANCHOR, assertAlive, assertBooks, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const run = promisify(execFile);
const DEADLINE_MS = 3000;
const TURNS_MS = 15_000; // a session is looked at every 5 s: asked at one look, closed at a later one
const CROWDED = "127.0.0.2"; // an address that comes with too many
const PROXY = "127.0.0.9";
const AWAY = "203.0.113."; // whom the proxy speaks for
const PER_ADDRESS = 40;
const dir = mkdtempSync(join(tmpdir(), "redrain-threats-"));
let stack;
let dbUser;

/** No capability, and no way to any: what the unit leaves. Who is not root has none anyway. */
function confined() {
  const file = join(dir, "confined");
  const drop = process.getuid() === 0 ? "setpriv --bounding-set=-all --inh-caps=-all " : "";
  writeFileSync(file, `#!/bin/sh\nexec ${drop}${program("redrain-server")} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

/** The second user of configs/mysql-users.sql, for this stack's database. */
async function leastUser() {
  const {database, password} = mysqlOptions(mysqlUrl, stack.namespace);
  const rights = /^GRANT ([A-Z, ]+) ON `redrain`\.\* TO 'redrain'@/m.exec(readFileSync(join(root, "configs", "mysql-users.sql"), "utf8"))[1];
  dbUser = `least_${stack.namespace}`;
  await rootSql(`CREATE USER '${dbUser}'@'127.0.0.1' IDENTIFIED BY '${password}'; GRANT ${rights} ON \`${database}\`.* TO '${dbUser}'@'127.0.0.1'`);
  const url = new URL(mysqlUrl);
  url.username = dbUser;
  stack.conf["mysql.url"] = url.href;
}

function webRoot() {
  const folder = join(dir, "web");
  mkdirSync(folder);
  writeFileSync(join(folder, "page.html"), "<p>a page");
  writeFileSync(join(dir, "outside.txt"), "not for the web");
  symlinkSync(join(dir, "outside.txt"), join(folder, "link.txt"));
  symlinkSync(dir, join(folder, "up"));
  return folder;
}

before(async () => {
  const key = join(dir, "address.key");
  writeFileSync(key, "0123456789abcdef0123456789abcdef", {mode: 0o600});
  stack = await startStack({workers: 2, limits: "default", server: false, settler: false,
    // What is freed is kept aside by the sanitizer: little of it, or memory is not seen to stay.
    env: {ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:quarantine_size_mb=1`},
    conf: {
      "server.web_root": webRoot(), "server.trusted_proxies": PROXY, "risk.address_key_file": key,
      "server.ping_interval_ms": 1000, "server.idle_timeout_ms": DEADLINE_MS, "server.join_timeout_ms": DEADLINE_MS,
      "limits.exempt": "127.0.0.1", "limits.connections_per_address": PER_ADDRESS, "risk.hold_accounts_per_address": 2,
    }});
  if (!skipWithoutRoot) await leastUser();
  stack.writeConfig();
  await stack.startServer({file: confined()});
  stack.settler.start();
  await stack.waitReady();
});

after(async () => {
  await stack?.stop();
  if (dbUser) await rootSql(`DROP USER '${dbUser}'@'127.0.0.1'`);
  rmSync(dir, {recursive: true, force: true});
});

const metrics = async () => (await fetch(`${stack.adminUrl}/metrics`)).text();
const metric = async (name) => Number(new RegExp(`^redrain_${name.replace(/[{}]/g, "\\$&")} (\\d+)`, "m").exec(await metrics())?.[1] ?? -1);
const open = (o = {}) => Client.open(stack.wsUrl, {origin: stack.origin, ...o});
const events = (name) => stack.logs().filter((line) => line.includes(`"event":"${name}"`));
/** KiB, over all workers. */
const memory = () => stack.workerPids().reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(stack.proc(pid, "status"))[1]), 0);

async function reload(changes) {
  Object.assign(stack.conf, changes);
  stack.writeConfig();
  const n = events("config_reloaded").length;
  process.kill(stack.server.pid, "SIGHUP");
  await until("the workers reloaded", () => events("config_reloaded").length >= n + 3);
}

async function rawSession(user) {
  const raw = await RawSocket.open(stack.url);
  assert.equal((await raw.upgrade(stack)).status, 101);
  raw.write(rawFrame({payload: Buffer.from(encode([OP.HELLO, 1, {token: stack.mint(user)}]))}));
  await raw.when("the answer to HELLO", () => raw.frames().length > 0);
  return raw;
}

test("T27: no capability, no new privileges, and a whole rain goes through", async () => {
  for (const pid of [stack.server.pid, ...stack.workerPids(), ...stack.childPids("admin")]) {
    const status = stack.proc(pid, "status");
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^CapEff:\s+0+$/m);
  }
  assert.match(stack.proc(stack.settler.pid, "status"), /^NoNewPrivs:\s+1$/m);
  const room = newRoom("t27");
  const viewers = await Promise.all(["501", "502"].map((user) => enter(stack, user, {room})));
  const {code} = await startRain(stack, {room, count: 6, total: 600, limit: 5, duration_ms: 20_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const wins = (await Promise.all(viewers.map(async (v) => (await grabAll(v, code)).wins))).flat();
  assert.equal(wins.length, 6);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 600});
  await stack.verify();
  await Promise.all(viewers.map((v) => v.close()));
});

test("T28: the books' user may read and write rows, nothing else", {skip: skipWithoutRoot}, async () => {
  const {default: mysql} = await import("mysql2/promise");
  const {database, host, port, password} = mysqlOptions(mysqlUrl, stack.namespace);
  const db = await mysql.createConnection({host, port, password, database, user: dbUser});
  for (const sql of ["DROP TABLE wallet", "ALTER TABLE wallet ADD x INT", "CREATE TABLE x (i INT)", "TRUNCATE wallet", "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT LOAD_FILE('/etc/passwd') IS NOT NULL AND 1", "SELECT * FROM mysql.user", "SET GLOBAL read_only = 1", "CREATE USER x"]) {
    const said = await db.query(sql).then(([rows]) => JSON.stringify(rows), (error) => error.message);
    assert.match(said, /denied|:0}|privilege/, sql);
  }
  await db.end();
});

test("T28: text that is SQL is text", async () => {
  const room = newRoom("t28");
  const text = "'); DROP TABLE wallet; -- \\' \" ` 红包";
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", name: text});
  const odd = await stack.api("POST", "/api/v1/rains", {room, sender: ANCHOR, biz_id: text, count: 1, total: 1});
  assert.deepEqual([odd.status, odd.body.field], [400, "biz_id"]);
  const {code} = await startRain(stack, {room, text, count: 1, total: 1});
  const shown = await anchor.push("RED_PACKET_CONFIG");
  assert.equal(shown.payload.text, text);
  const [row] = await stack.sql("SELECT text FROM t_red_packet_config WHERE config_code = ?", [code]);
  assert.equal(row.text, text);
  assert.equal((await anchor.request(OP.SAY, {text})).name, "OK");
  assert.equal((await anchor.push("SAY")).payload.name, text);
  const outside = await stack.api("GET", `/api/v1/rains?room=${encodeURIComponent("x' OR '1'='1")}`);
  assert.equal(outside.status, 400);
  await anchor.close();
});

test("T2: a token in the address opens nothing", async () => {
  const token = stack.mint("510");
  const raw = await RawSocket.open(stack.url);
  assert.equal((await raw.upgrade(stack, {Authorization: `Bearer ${token}`, Cookie: `token=${token}`}, `/ws?token=${token}`)).status, 101);
  raw.write(rawFrame({payload: Buffer.from(encode([OP.JOIN, 7, {room: "r"}]))}));
  await raw.when("an answer", () => raw.frames().length > 0);
  const {decode} = await import("@msgpack/msgpack");
  assert.equal(decode(raw.frames()[0].payload)[2].result, 15, "UNAUTHORIZED");
  raw.destroy();
});

test("T8: rooms look alike to who may not enter: one answer, no Redis call, and JOINs have a rate", async (t) => {
  const room = newRoom("t8");
  const member = await enter(stack, "520", {room});
  const stranger = await open();
  await stranger.hello(stack.mint("521", {rooms: ["mine"]}));
  await stranger.join("mine");
  const seen = [];
  const monitor = await stack.redis.monitor();
  t.after(() => monitor.disconnect());
  monitor.on("monitor", (_time, args) => seen.push(args.join(" ")));
  const answers = [];
  const none = newRoom("none");
  for (let i = 0; i < 8; i += 1) {
    const reply = await stranger.join(i % 2 ? room : `${none}-${i}`);
    answers.push(JSON.stringify({...reply, retry_after_ms: undefined}));
    if (reply.name === "RATE_LIMITED") await new Promise((resolve) => { setTimeout(resolve, reply.retry_after_ms); });
  }
  const kinds = new Set(answers.filter((a) => !a.includes("RATE_LIMITED")));
  assert.equal(kinds.size, 1, [...kinds].join(" "));
  assert.match([...kinds][0], /NOT_ELIGIBLE/);
  const probe = newRoom("probe");
  await stack.redis.get(probe);
  await until("what was sent until now is seen", () => seen.some((line) => line.includes(probe)));
  assert.deepEqual(seen.filter((line) => line.includes(none) || /\b521\b/.test(line)), []);
  const many = await Promise.all(Array.from({length: 60}, (_, i) => stranger.join(`guess-${i}`)));
  const limited = many.filter((r) => r.name === "RATE_LIMITED");
  assert.ok(limited.length >= 40, `${limited.length} of 60 are over the rate`);
  assert.ok(limited.every((r) => r.retry_after_ms > 0));
  await assertAlive(member);
  await Promise.all([member.close(), stranger.close()]);
});

// Made once: masking in JavaScript takes its time, and who floods must not be too busy to answer PINGs.
const FRAGMENTS = Buffer.concat(Array(500).fill(rawFrame({fin: false, opcode: 0, payload: Buffer.alloc(1)})));
const MEGABYTE = rawFrame({payload: Buffer.alloc(1 << 20)});
const CLOSES = Buffer.concat(Array(500).fill(rawFrame({opcode: 8, payload: Buffer.from([0x03, 0xe8])})));

const FLOODS = {
  "fragments of one byte": async (i) => {
    const raw = await rawSession(`53${i % 10}`);
    raw.write(rawFrame({fin: false, payload: Buffer.from([0x93])}));
    for (let n = 0; n < 20 && !raw.ended; n += 1) raw.write(FRAGMENTS);
    assert.equal(await raw.closeCode(), 1009);
    return raw;
  },
  "a length of 1 TiB": async (i) => {
    const raw = await rawSession(`54${i % 10}`);
    raw.write(rawFrame({announce: 2 ** 40, payload: Buffer.alloc(2000)}));
    assert.equal(await raw.closeCode(), 1009);
    return raw;
  },
  "messages of 1 MB": async (i) => {
    const raw = await rawSession(`55${i % 10}`);
    raw.write(MEGABYTE);
    assert.ok([0, 1009].includes(await raw.closeCode()));
    return raw;
  },
  "close frames": async (i) => {
    const raw = await rawSession(`56${i % 10}`);
    for (let n = 0; n < 20 && !raw.ended; n += 1) raw.write(CLOSES);
    await raw.when("the end", () => raw.ended);
    assert.ok(raw.frames().filter((f) => f.opcode === 8).length <= 1, "one answer");
    return raw;
  },
  "connections that come and go": async () => {
    const raw = await RawSocket.open(stack.url);
    await raw.upgrade(stack);
    return raw;
  },
};

test("T9, T15: floods of fragments, of sizes, of close frames, of connections: memory stays, others are served", async (t) => {
  const room = newRoom("t9");
  const others = await pooled(Array.from({length: 6}, (_, i) => String(570 + i)), 3, (user) => enter(stack, user, {room}));
  t.after(() => Promise.all(others.map((c) => c.close())));
  const pids = stack.workerPids();
  const wave = async () => {
    for (const [what, flood] of Object.entries(FLOODS)) {
      const raws = await pooled(Array.from({length: 20}, (_, i) => i), 10, flood);
      for (const raw of raws) raw.destroy();
      for (const c of others) await assertAlive(c);
      await until(`${what}: all are gone`, async () => await metric("connections") === others.length, {everyMs: 100});
    }
  };
  for (let i = 0; i < 3; i += 1) await wave(); // pools grow to their size once
  const before = memory();
  for (let i = 0; i < 3; i += 1) await wave();
  const grown = memory() - before;
  assert.ok(grown < 1024 * pids.length, `${grown} KiB for 300 floods`);
  assert.deepEqual(stack.workerPids(), pids, "no worker died");
});

test("T12: who answers no PING is closed with 4012, who enters no room with 1008, in time", async () => {
  const late = await Promise.all(["idle", "join"].map((phase) => metric(`connections_late_total{phase="${phase}"}`)));
  const begun = Date.now();
  const mute = await rawSession("580"); // a raw socket answers no PING
  mute.write(rawFrame({payload: Buffer.from(encode([OP.JOIN, 2, {room: newRoom("t12")}]))}));
  const nowhere = await open();
  assert.equal((await nowhere.hello(stack.mint("581"))).name, "OK");
  const inRoom = await enter(stack, "582", {room: newRoom("t12")});
  const [code, {code: other}] = await Promise.all([mute.closeCode(TURNS_MS), nowhere.waitClosed(TURNS_MS)]);
  assert.deepEqual([code, other], [4012, 1008]);
  const took = Date.now() - begun;
  assert.ok(took >= DEADLINE_MS, `${took} ms`);
  await assertAlive(inRoom);
  await until("both are counted", async () => {
    const now = await Promise.all(["idle", "join"].map((phase) => metric(`connections_late_total{phase="${phase}"}`)));
    return now[0] === late[0] + 1 && now[1] === late[1] + 1;
  });
  mute.destroy();
  await inRoom.close();
});

test("T14: one address has so many sockets, all together so many; who is over it is told 503", async () => {
  await until("nobody is left", async () => await metric("connections") === 0, {everyMs: 100});
  const room = newRoom("t14");
  const inPlace = await enter(stack, "590", {room});
  const tries = await pooled(Array(PER_ADDRESS + 10).fill(CROWDED), 10, (localAddress) =>
    open({localAddress}).then((c) => ({c}), (error) => ({error})));
  assert.equal(tries.filter((t) => t.c).length, PER_ADDRESS);
  assert.ok(tries.filter((t) => t.error).every((t) => t.error.status === 503), "each of the rest is told 503");
  await Promise.all(tries.filter((t) => t.c).map((t) => t.c.close()));
  await until("they are gone", async () => await metric("connections") === 1, {everyMs: 100});
  await reload({"limits.connections": 5});
  const few = await pooled(Array(12).fill(0), 1, () => open().then((c) => ({c}), (error) => ({error})));
  assert.equal(few.filter((t) => t.c).length, 4, "five with the one in place");
  assert.ok(few.filter((t) => t.error).every((t) => t.error.status === 503));
  await assertAlive(inPlace);
  await few[0].c.close();
  await until("a place that was left is free", () => open().then((c) => c.close().then(() => true), () => false));
  await reload({"limits.connections": 0});
  await Promise.all([inPlace, ...few.filter((t) => t.c).map((t) => t.c)].map((c) => c.close()));
});

test("T14: out of descriptors: who comes is told 503, who is there is served, and it heals", async () => {
  const inPlace = await enter(stack, "595", {room: newRoom("fds")});
  const pids = stack.workerPids();
  const limits = new Map(pids.map((pid) => [pid, /Max open files\s+(\d+)\s+(\d+)/.exec(stack.proc(pid, "limits")).slice(1)]));
  const refusedBefore = await metric("connections_refused_total{reason=\"descriptors\"}");
  try {
    for (const pid of pids) {
      const used = readdirSync(`/proc/${pid}/fd`).length;
      await run("prlimit", ["--pid", String(pid), `--nofile=${used}:${limits.get(pid)[1]}`]);
    }
    // Holes among the numbers in use are filled first.
    const held = [];
    let full = 0;
    for (let i = 0; i < 200 && full < 6; i += 1) {
      const raw = await RawSocket.open(stack.url);
      held.push(raw);
      const {status} = await raw.upgrade(stack);
      assert.ok([101, 503].includes(status), `status ${status}`);
      full = status === 503 ? full + 1 : full;
    }
    assert.equal(full, 6, "newcomers are told 503");
    await assertAlive(inPlace);
    for (const raw of held) raw.destroy();
  } finally {
    for (const pid of pids) await run("prlimit", ["--pid", String(pid), `--nofile=${limits.get(pid).join(":")}`]);
  }
  assert.ok(await metric("connections_refused_total{reason=\"descriptors\"}") >= refusedBefore + 6);
  await until("newcomers are welcome again", () => open().then((c) => c.close().then(() => true), () => false));
  assert.deepEqual(stack.workerPids(), pids);
  await inPlace.close();
});

test("T19: amounts and seeds are in nothing that is sent before the end; rains and their splits are not alike", async () => {
  const room = newRoom("t19");
  const viewer = await enter(stack, "600", {room});
  const spec = {room, count: 40, total: 1_000_000, limit: 1, shards: 1};
  const [one, two] = [await startRain(stack, spec), await startRain(stack, spec)];
  await viewer.push("RED_PACKET_CONFIG", (p) => p.config_code === two.code);
  const rows = await stack.sql("SELECT config_code AS code, HEX(seed) AS seed FROM t_red_packet_config WHERE config_code IN (?, ?)", [one.code, two.code]);
  const amounts = await Promise.all([one, two].map(({code}) => stack.redis.lrange(`${stack.namespace}redpkt:{${code}:0}:list`, 0, -1)));
  assert.deepEqual(amounts.map((a) => a.length), [40, 40]);
  assert.notDeepEqual(amounts[0], amounts[1], "the same request is split otherwise");
  assert.notEqual(rows[0].seed, rows[1].seed);
  const sent = JSON.stringify([viewer.frames, viewer.joinReply], (_, v) => (typeof v === "bigint" ? String(v) : v));
  const told = new Set(sent.match(/\d+/g));
  for (const a of amounts.flat().filter((x) => x.length >= 5)) assert.ok(!told.has(a), `amount ${a} was sent`);
  for (const {seed} of rows) assert.ok(!sent.toLowerCase().includes(seed.toLowerCase()));
  await viewer.close();
});

test("T22: the web root is all there is: no way up, no link, no method but GET and HEAD", async () => {
  const ask = async (method, path, more = []) => {
    const raw = await RawSocket.open(stack.url);
    const answer = await raw.request([`${method} ${path} HTTP/1.1`, "Host: x", "Connection: close", ...more]);
    await raw.when("the end", () => raw.ended, 1000).catch(() => {});
    raw.destroy();
    return {...answer, text: raw.bytes.toString("latin1")};
  };
  assert.equal((await ask("GET", "/page.html")).status, 200);
  const head = await ask("HEAD", "/page.html");
  assert.ok(head.status === 200 && !head.text.includes("a page"));
  for (const path of ["/../outside.txt", "/..%2foutside.txt", "/%2e%2e%2foutside.txt", "/..%252foutside.txt", "/.%2e/outside.txt", "//../outside.txt",
    "/page.html/../../outside.txt", "/..%5coutside.txt", "/%00/../outside.txt", "/page.html%00.txt", "/link.txt", "/up/outside.txt", "/up/address.key",
    `/${"a/".repeat(700)}`, `/${"%41".repeat(900)}`]) {
    const {status, text} = await ask("GET", path);
    assert.ok([0, 301, 400, 403, 404, 414].includes(status), `${path.slice(0, 60)}: ${status}`);
    assert.ok(!text.includes("not for the web") && !text.includes("0123456789abcdef"), path);
  }
  for (const method of ["PUT", "DELETE", "PATCH", "TRACE", "POST"]) {
    const {status, text} = await ask(method, "/page.html", ["Content-Length: 0"]);
    assert.ok(status !== 200, `${method}: ${status}`);
    assert.ok(!text.includes("a page"));
  }
});

test("T23: guesses of the admin token are counted, and do not fill the log", async () => {
  const [counted, logged] = [await metric("api_refused_total"), events("api_unauthorized").length];
  for (let i = 0; i < 40; i += 1) {
    assert.equal((await stack.api("GET", "/api/v1/rains", undefined, `${stack.adminToken.slice(0, -3)}g${10 + i}`)).status, 401);
  }
  await until("all are counted", async () => await metric("api_refused_total") === counted + 40);
  assert.ok(events("api_unauthorized").length <= logged + 1);
});

test("T20: what peers send is one JSON line, if it is logged at all", async () => {
  const nasty = "\"},{\"a\":\"\u202e\u2066\u009b31m";
  const raw = await RawSocket.open(stack.url);
  await raw.upgrade(stack, {Origin: `http://${nasty}`, "User-Agent": `${nasty}\x1b[2J`});
  raw.destroy();
  for (const path of ["/ws%0d%0a{}", `/${encodeURIComponent(nasty)}`, "/\xff\xfe"]) {
    const other = await RawSocket.open(stack.url);
    await other.upgrade(stack, {}, path);
    other.destroy();
  }
  for (const name of ["a\r\nb", "a\x1b[2J", "a\0b", "x\u009b"]) {
    const client = await open();
    client.send(OP.HELLO, 1, {token: stack.mint("610", {name})});
    assert.equal((await client.waitClosed()).code, 4501, JSON.stringify(name));
  }
  for (const line of stack.logs().filter(Boolean)) {
    assert.doesNotThrow(() => JSON.parse(line), line);
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffd]/, line);
  }
});

/** Three accounts behind one address: the third is marked, and with it the address is noted; then the address is banned. */
async function leaveTraces(away) {
  const room = newRoom("traces");
  const headers = {"x-forwarded-for": away};
  const clients = await pooled(["620", "621", "622", "623", "624", "625"], 1, (user) => enter(stack, user, {room, localAddress: PROXY, headers}));
  const {code} = await startRain(stack, {room, count: 60, total: 600, limit: 20, shards: 1});
  await Promise.all(clients.map((c) => c.push("RED_PACKET_CONFIG")));
  for (let seq = 0; seq < 3; seq += 1) {
    for (const c of clients) await c.grab(code, seq);
  }
  await until("somebody is marked for his address", async () =>
    (await stack.sql("SELECT address FROM rp_risk WHERE address <> ''")).length > 0, {timeoutMs: 15_000});
  const {code: done, stderr} = await stack.ctl(["--json", "ban", "add", "--address", away, "--reason", "scraper"]);
  assert.equal(done, 0, stderr);
  for (const c of clients) assert.equal((await c.waitClosed()).code, 4503);
}

/** Everything under our names in Redis, as text. */
async function redisText() {
  const found = [];
  for (const key of await stack.redis.keys(`${stack.namespace}*`)) {
    const type = await stack.redis.type(key);
    const read = {string: ["get"], hash: ["hgetall"], list: ["lrange", 0, -1], set: ["smembers"], zset: ["zrange", 0, -1], stream: ["xrange", "-", "+"]}[type];
    if (read) found.push(key, JSON.stringify(await stack.redis[read[0]](key, ...read.slice(1))));
  }
  return found.join("\n");
}

async function sqlText() {
  const tables = await stack.sql("SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()");
  const texts = await Promise.all(tables.map(async ({name}) => JSON.stringify(await stack.sql(`SELECT * FROM \`${name}\``),
    (_, v) => (v?.type === "Buffer" ? Buffer.from(v.data).toString("latin1") : v))));
  assert.ok(texts.length > 10);
  return texts.join("\n");
}

test("addresses and secrets are in no log line, row, key or metric; of addresses only keyed hashes", async () => {
  const away = `${AWAY}77`;
  await leaveTraces(away);
  const hash = JSON.parse((await stack.ctl(["--json", "ban", "list"])).stdout.trim().split("\n").at(-1)).bans[0].hash;
  assert.match(hash, /^[0-9a-f]{16}$/);
  const rows = await sqlText();
  assert.ok(rows.includes(hash), "the hash is what is known of him");
  const secrets = [stack.adminToken, stack.secret.toString("base64url"), new URL(mysqlUrl).password, "0123456789abcdef0123456789abcdef"];
  const tokens = ["510", "600", "610"].map((user) => Buffer.from(`{"sub":"${user}"`).toString("base64url").slice(0, 14));
  const places = {log: stack.logs().join("\n"), rows, redis: await redisText(), metrics: await metrics()};
  for (const [place, text] of Object.entries(places)) {
    assert.ok(text.length > 100, place);
    for (const what of [away, AWAY, CROWDED, PROXY, ...secrets, ...tokens]) {
      const at = text.indexOf(what);
      assert.ok(at < 0, `${place} has ${what}: ${text.slice(Math.max(0, at - 200), at + 40)}`);
    }
  }
  const pids = [stack.server.pid, stack.settler.pid, ...stack.workerPids(), ...stack.childPids("admin")];
  for (const pid of pids) {
    for (const file of ["cmdline", "environ"]) {
      const text = stack.proc(pid, file);
      for (const what of secrets.slice(0, 3)) assert.ok(!text.includes(what) || (file === "environ" && process.env.MYSQL_URL?.includes(what)), `${file} of ${pid}`);
    }
  }
});

// Bans: a row in SQL, every socket of the user or address closed on all workers at once, HELLO refused from memory.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {mkdtempSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {startBehindProxies} from "../lib/faults.mjs";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {assertAlive} from "./helpers.mjs";

const AWAY = "203.0.113.7"; // an address of nobody
const TRIES = 12; // the kernel spreads connections: so many reach each worker
const dir = mkdtempSync(join(tmpdir(), "redrain-bans-"));
let stack;
before(async () => {
  const key = join(dir, "address.key");
  writeFileSync(key, "0123456789abcdef0123456789abcdef", {mode: 0o600});
  // The list is read so rarely that what follows comes by the control channel, or by SIGHUP where a test says so.
  stack = await startBehindProxies({mysql: true, workers: 2, settler: false, conf: {
    "server.bans_every_ms": 600_000, "server.trusted_proxies": "127.0.0.1", "server.guests": true, "risk.address_key_file": key,
  }});
});
after(async () => {
  await stack?.end();
  rmSync(dir, {recursive: true, force: true});
});

const headers = {"x-forwarded-for": AWAY};
const events = (name) => stack.logs().filter((line) => line.includes(`"event":"${name}"`));
const ban = (args) => stack.ctl(["--json", "ban", ...args]);

async function must(args) {
  const {code, json, stderr} = await ban(args);
  assert.equal(code, 0, stderr);
  return json;
}

/** "OK" or the close code of a HELLO. */
async function helloOf(user, more = {}) {
  const client = await Client.open(stack.wsUrl, {origin: stack.origin, ...more});
  client.send(OP.HELLO, 1, user ? {token: stack.mint(user)} : {});
  const said = await Promise.race([client.closed.then((c) => c.code), client.when("an answer", () => client.frames.length > 0).then(() => "OK")]);
  await client.close();
  return said;
}

/** On each worker. */
async function always(wanted, ...args) {
  for (let i = 0; i < TRIES; i += 1) assert.equal(await helloOf(...args), wanted);
}

/** Soon on each worker. */
const soon = (wanted, ...args) => until(`each HELLO: ${wanted}`, async () => {
  for (let i = 0; i < TRIES; i += 1) if (await helloOf(...args) !== wanted) return false;
  return true;
}, {timeoutMs: 20_000});

async function reload() {
  const n = events("config_reloaded").length;
  stack.server.child.kill("SIGHUP");
  await until("all children reloaded", () => events("config_reloaded").length >= n + 3);
}

test("a ban closes all sockets of the user on every worker, and no other; HELLO is refused until it is lifted", async () => {
  const mine = await Promise.all(Array.from({length: TRIES}, (_, i) => enter(stack, "101", {room: i % 2 ? "bans" : undefined})));
  const other = await enter(stack, "102", {room: "bans"});
  const at = Date.now();
  const made = await must(["add", "--user", "101", "--reason", "刷单 'x'", "--by", "ops"]);
  assert.deepEqual([made.user, made.until, made.told, made.by], ["101", null, true, "ops"]);
  for (const client of mine) assert.equal((await client.waitClosed()).code, 4503);
  assert.ok(Date.now() - at < 5000, `${Date.now() - at} ms with the command`);
  await assertAlive(other);
  await always(4503, "101");
  assert.equal(await helloOf("102"), "OK");
  const {bans} = await must(["list"]);
  assert.deepEqual(bans.map((b) => [b.scope, b.user, b.reason]), [["user", "101", "刷单 'x'"]]);
  await until("it is counted", async () =>
    /redrain_banned_closed_total (2[4-9]|[3-9]\d)/.test(await (await fetch(`${stack.adminUrl}/metrics`)).text()));
  await must(["remove", "--user", "101", "--by", "ops2"]);
  await soon("OK", "101");
  assert.equal((await ban(["remove", "--user", "101"])).code, 1, "it was lifted");
  assert.deepEqual((await must(["list"])).bans, []);
  const [row] = await stack.sql("SELECT * FROM rp_ban WHERE subject = '101'");
  assert.deepEqual([row.made_by, row.reason, row.lifted_by], ["ops", "刷单 'x'", "ops2"], "the row stays");
  assert.equal(events("ban_made").length, 1);
  assert.equal(events("ban_lifted").length, 1);
  await other.close();
});

test("a ban ends at its time", async () => {
  const client = await enter(stack, "111", {});
  await must(["add", "--user", "111", "--reason", "a while", "--secs", "600"]);
  assert.equal((await client.waitClosed()).code, 4503);
  await always(4503, "111");
  const made = await must(["add", "--user", "111", "--reason", "shorter", "--secs", "2"]);
  await soon("OK", "111");
  assert.ok(Date.now() >= made.until, "not before");
  assert.deepEqual((await must(["list"])).bans, []);
});

test("a ban by address: whoever comes from there, known by a hash alone", async () => {
  const viewer = await enter(stack, "121", {headers});
  const guest = await Client.open(stack.wsUrl, {origin: stack.origin, headers});
  assert.equal((await guest.request(OP.HELLO, {})).name, "OK");
  const near = await enter(stack, "121", {headers: {"x-forwarded-for": "203.0.113.8"}});
  const {hash} = await must(["add", "--address", AWAY, "--reason", "scraper"]);
  assert.match(hash, /^[0-9a-f]{16}$/);
  assert.equal((await viewer.waitClosed()).code, 4503);
  assert.equal((await guest.waitClosed()).code, 4503);
  await assertAlive(near);
  await always(4503, "122", {headers});
  await always(4503, null, {headers});
  assert.equal(await helloOf("122"), "OK");
  const rows = JSON.stringify(await stack.sql("SELECT * FROM rp_ban"));
  assert.ok(rows.includes(hash) && !rows.includes(AWAY));
  assert.ok(!stack.logs().some((line) => line.includes(AWAY)));
  await must(["remove", "--hash", hash]);
  await soon("OK", "122", {headers});
  await near.close();
});

async function restartWorkers() {
  const before = stack.workerPids();
  for (const pid of before) process.kill(pid, "SIGKILL");
  await until("two new workers", () => {
    const now = stack.workerPids();
    return now.length === 2 && now.every((pid) => !before.includes(pid));
  });
}

test("KICK and MUTE are known to workers that start later", async () => {
  const room = "kept";
  const anchor = await enter(stack, "150", {room, role: "anchor"});
  const kicked = await enter(stack, "151", {room});
  const muted = await enter(stack, "152", {room});
  const free = await enter(stack, "153", {room});
  assert.equal((await anchor.request(OP.KICK, {user: "151", secs: 600})).name, "OK");
  assert.equal((await anchor.request(OP.MUTE, {user: "152", secs: 600})).name, "OK");
  assert.equal((await anchor.request(OP.MUTE, {user: "153", secs: 600})).name, "OK");
  assert.equal((await kicked.waitClosed()).code, 4503);
  await muted.push("MUTED");
  await free.push("MUTED", (p) => p.secs === 600);
  assert.equal((await anchor.request(OP.MUTE, {user: "153", secs: 0})).name, "OK");
  await free.push("MUTED", (p) => p.secs === 0);
  await restartWorkers();
  // The first JOIN of the room on a worker is the one that has to wait for what the room remembers.
  const outside = () => until("a connection", () => Client.open(stack.wsUrl, {origin: stack.origin}), {timeoutMs: 20_000});
  for (let i = 0; i < TRIES; i += 1) {
    const again = await outside();
    await again.hello(stack.mint("151"));
    const refused = await until("an answer that is not UNAVAILABLE", async () => {
      const reply = await again.join(room);
      return reply.name === "UNAVAILABLE" ? null : reply;
    });
    assert.equal(refused.name, "NOT_ELIGIBLE");
    assert.ok(refused.retry_after_ms > 0 && refused.retry_after_ms <= 600_000, `${refused.retry_after_ms}`);
    await again.close();
  }
  const quiet = await enter(stack, "152", {room});
  assert.equal((await quiet.request(OP.SAY, {text: "x"})).reason, "muted");
  const talks = await enter(stack, "153", {room});
  assert.equal((await talks.request(OP.SAY, {text: "x"})).name, "OK");
  await Promise.all([quiet.close(), talks.close()]);
});

test("a worker that starts reads the list; without MySQL the last one holds", async () => {
  await must(["add", "--user", "131", "--reason", "stays"]);
  await soon(4503, "131");
  await restartWorkers();
  await soon(4503, "131");
  const read = events("bans_not_read").length;
  await stack.proxies.mysql.refuse();
  await reload();
  await until("both workers could not read it", () => events("bans_not_read").length >= read + 2);
  await always(4503, "131");
  await stack.proxies.mysql.heal();
});

test("a ban that no message told of is read", async () => {
  const client = await enter(stack, "141", {});
  await stack.sql("INSERT INTO rp_ban (scope, subject, reason, made_by, created_at) VALUES ('user', '141', 'lost', 'x', 1)");
  await assertAlive(client);
  await reload();
  assert.equal((await client.waitClosed()).code, 4503);
  await stack.sql("UPDATE rp_ban SET lifted_at = 2, lifted_by = 'x' WHERE subject = '141'");
  await reload();
  await soon("OK", "141");
});

test("what is no ban is refused", async () => {
  const refused = async (body, field, path = "add", status = 400) => {
    const {status: got, body: answer} = await stack.api("POST", `/api/v1/bans/${path}`, body);
    assert.deepEqual([got, answer.field], [status, field], JSON.stringify(body));
  };
  await refused({reason: "x"}, "user");
  await refused({user: "1", address: AWAY, reason: "x"}, "user");
  for (const user of ["0", "-1", "01", "x", "9223372036854775808"]) await refused({user, reason: "x"}, "user");
  for (const address of ["127.0.0.1", "10.1.2.3", "nowhere"]) await refused({address, reason: "x"}, "address");
  await refused({hash: "0000000000000000", reason: "x"}, "hash");
  await refused({user: "1"}, "reason");
  await refused({user: "1", reason: "x".repeat(201)}, "reason");
  for (const secs of [0, -1, 1.5, "9"]) await refused({user: "1", reason: "x", secs}, "secs");
  await refused({user: "1", reason: "x", by: ""}, "by");
  await refused({user: "1"}, undefined, "remove", 404);
  assert.equal((await stack.api("GET", "/api/v1/bans", undefined, null)).status, 401);
});

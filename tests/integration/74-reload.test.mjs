// SIGHUP: what reloads is in force for whoever comes next, nobody who is there notices; a wrong file changes nothing at all.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {randomBytes} from "node:crypto";
import {chmodSync, writeFileSync} from "node:fs";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertAlive} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 2, settler: false, conf: {"token.leeway_s": 0}}); });
after(() => stack?.stop());

const events = (name, text = "") => stack.logs().filter((line) => line.includes(`"event":"${name}"`) && line.includes(text));
const CHILDREN = 3; // two workers, the admin child

async function gauge(name) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^redrain_${name}(?:{[^}]*})? (\\d+)`, "m").exec(text)?.[1] ?? -1);
}

/** Writes the file, tells the server, resolves when all children took it. */
async function reload(changes = {}) {
  Object.assign(stack.conf, changes);
  stack.writeConfig();
  const n = events("config_reloaded").length;
  stack.server.child.kill("SIGHUP");
  await until(() => "all children reloaded", () => events("config_reloaded").length >= n + CHILDREN);
}

/** Tells the server of a wrong file; resolves with what it says of it. */
async function refused() {
  const n = events("config_refused").length;
  stack.server.child.kill("SIGHUP");
  await until("the reload is refused", () => events("config_refused").length > n);
  return events("config_refused").at(-1);
}

const key = (kid, secret) => ({kid, kty: "oct", alg: "HS256", k: Buffer.from(secret).toString("base64url")});
const writeKeys = (keys, mode = 0o600) => {
  writeFileSync(stack.keysFile, JSON.stringify({keys}), {mode});
  chmodSync(stack.keysFile, mode);
};
const open = (more = {}) => Client.open(stack.wsUrl, {origin: stack.origin, ...more});

/** "OK" or the close code. */
async function helloOf(token) {
  const client = await open();
  client.send(OP.HELLO, 1, {token});
  const code = await Promise.race([client.closed.then((c) => c.code), client.when("an answer", () => client.frames.length > 0).then(() => "OK")]);
  await client.close();
  return code;
}

/** On each worker: the kernel spreads connections, so some tries make sure. */
async function always(what, wanted, fn, tries = 12) {
  for (let i = 0; i < tries; i += 1) assert.equal(await fn(), wanted, what);
}

const statusOf = async (origin) => {
  try {
    const client = await open({origin});
    await client.close();
    return 101;
  } catch (error) {
    return error.status;
  }
};

test("origins, a missing origin, the log's level: for those who come next", async () => {
  const there = await enter(stack, "1", {room: "reload"});
  const fresh = "https://new.example";
  await always("not allowed yet", 403, () => statusOf(fresh));
  assert.equal(await statusOf(undefined), 403);
  const taken = await gauge("config_last_reload_timestamp_seconds");
  assert.ok(Math.abs(taken - Date.now() / 1000) < 120, `taken at start: ${taken}`);
  await until("a later second", () => Date.now() / 1000 > taken + 1);
  const old = stack.origin;
  await reload({"server.origins": fresh, "server.allow_no_origin": true});
  await always("the new one", 101, () => statusOf(fresh));
  await always("the old one", 403, () => statusOf(old));
  await always("without one", 101, () => statusOf(undefined));
  assert.ok(await gauge("config_last_reload_timestamp_seconds") > taken);
  assert.equal(await gauge("config_reload_success"), 1);
  await assertAlive(there);
  await reload({"server.origins": `${fresh}, ${old}`, "server.allow_no_origin": false});
  await always("both", 101, () => statusOf(old), 4);
  const lines = () => events("config_read").length;
  const said = lines();
  const stamp = await gauge("config_last_reload_timestamp_seconds");
  await until("a later second", () => Date.now() / 1000 > stamp + 1);
  stack.conf["log.level"] = "error";
  stack.writeConfig();
  stack.server.child.kill("SIGHUP");
  await until("it is taken", async () => await gauge("config_last_reload_timestamp_seconds") > stamp);
  assert.equal(lines(), said, "a notice is not logged any more");
  await reload({"log.level": "info"});
  assert.equal(lines(), said + 1);
  await assertAlive(there);
  await there.close();
});

test("what needs a restart is named, and waits", async () => {
  const was = stack.conf["server.max_connections"];
  await reload({"server.max_connections": 17000, "server.workers": 3, "mysql.threads": 3});
  assert.match(events("config_waits").at(-1), /needs a restart: server\.workers, server\.max_connections, mysql\.threads/);
  assert.equal(stack.workerPids().length, 2);
  // A child that is started again runs with what the others run with.
  const [victim] = stack.workerPids();
  process.kill(victim, "SIGKILL");
  await until("it is replaced", () => stack.workerPids().length === 2 && !stack.workerPids().includes(victim));
  await stack.waitReady();
  stack.conf["server.max_connections"] = was ?? 16000;
  await reload({"server.workers": 2, "mysql.threads": 2});
});

test("a wrong file changes nothing, is told with its place, and hinders no child", async () => {
  const there = await enter(stack, "2", {room: "reload"});
  const good = {...stack.conf};
  const secret = stack.secret;
  const taken = events("config_reloaded").length;
  const wrong = [
    [() => { stack.conf["server.origins"] = "https://evil.example"; stack.conf["limits.queue_bytes"] = "plenty"; },
      /redrain\.conf:\d+: \[limits\] queue_bytes = \\"plenty\\": not a whole number/],
    [() => { stack.conf["server.origins"] = "*"; }, /redrain\.conf:\d+: \[server\] origins/],
    [() => { stack.conf["token.keys_file"] = `${stack.dir}/none.json`; }, /none\.json: No such file/],
    [() => writeKeys([key("k1", secret)], 0o644), /keys\.json: its mode 644/],
    [() => writeKeys([key("k1", "short")]), /keys\.json: .*too short/],
    [() => writeFileSync(stack.keysFile, "{"), /keys\.json: line 1/],
    [() => { stack.conf["server.tls_cert_file"] = `${stack.dir}/none.pem`; }, /go together/],
    [() => {
      stack.conf["server.tls_cert_file"] = `${stack.dir}/none.pem`;
      stack.conf["server.tls_key_file"] = `${stack.dir}/none.key`;
    }, /none\.pem: No such file/],
  ];
  for (const [spoil, says] of wrong) {
    spoil();
    stack.writeConfig();
    assert.match(await refused(), says);
    assert.equal(await gauge("config_reload_success"), 0);
    assert.equal(await statusOf("https://evil.example"), 403);
    assert.equal(await helloOf(stack.mint("3")), "OK");
    stack.conf = {...good};
    writeKeys([key("k1", secret)]);
  }
  // The wrong file lies there, and a worker and the admin child die.
  writeFileSync(stack.keysFile, "{");
  stack.conf["limits.queue_bytes"] = "plenty";
  stack.writeConfig();
  await refused();
  const [admin] = stack.childPids("admin");
  process.kill(admin, "SIGKILL");
  await until("it is replaced", () => stack.childPids("admin").some((pid) => pid !== admin));
  await until("it says what the last reload came to", async () => await gauge("config_reload_success") === 0);
  writeKeys([key("k1", secret)]);
  const [victim] = stack.workerPids();
  process.kill(victim, "SIGKILL");
  await until("it is replaced", () => stack.workerPids().length === 2 && !stack.workerPids().includes(victim));
  await stack.waitReady();
  await always("all workers serve", "OK", () => helloOf(stack.mint("3")));
  assert.equal(events("config_reloaded").length, taken, "no child was told");
  stack.conf = {...good};
  await reload();
  assert.equal(await gauge("config_reload_success"), 1);
  if (!there.isClosed) await assertAlive(there); // it may have been the victim's
  await there.close();
});

test("keys rotate by kid: the new one is added, the old one removed, sockets stay until their token ends", async () => {
  const old = stack.secret;
  const fresh = randomBytes(32);
  const byOld = (user, more = {}) => stack.mint(user, more);
  const byNew = (user, more = {}) => stack.mint(user, {header: {kid: "k2"}, secret: fresh, ...more});
  const long = await open();
  assert.equal((await long.hello(byOld("11"))).name, "OK");
  await always("unknown yet", 4501, () => helloOf(byNew("12")));
  writeKeys([key("k1", old), key("k2", fresh)]);
  await reload();
  await always("the old one", "OK", () => helloOf(byOld("12")));
  await always("the new one", "OK", () => helloOf(byNew("12")));
  assert.equal(await helloOf(stack.mint("12", {header: {kid: "k2"}})), 4501, "the right kid over another key's signature");
  assert.equal(await helloOf(stack.mint("12", {secret: fresh})), 4501, "and the other way round");
  const short = await open();
  assert.equal((await short.hello(byOld("13", {ttl: 4}))).name, "OK");
  writeKeys([key("k2", fresh)]);
  await reload();
  await always("removed", 4501, () => helloOf(byOld("14")));
  // The only key left is nobody's fallback.
  for (const kid of ["k1", "k3", "K2", "k2 ", "", "../keys.json", "k2' OR '1'='1", "*", undefined]) {
    assert.equal(await helloOf(stack.mint("14", {header: {kid}, secret: fresh})), 4501, `kid ${kid}`);
  }
  await always("the new one", "OK", () => helloOf(byNew("12")));
  await assertAlive(long);
  assert.equal((await short.waitClosed(15_000)).code, 4502, "its token ended, not its key");
  await assertAlive(long);
  await long.close();
  writeKeys([key("k1", old)]);
  await reload();
});

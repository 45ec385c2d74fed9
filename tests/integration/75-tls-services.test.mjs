// A rain whose MySQL and Kafka are reached by TLS and whose Redis user may do no more than configs/redis-users.acl says; and what
// does not come in.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {randomBytes} from "node:crypto";
import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {connect, createServer} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {makeAuthority} from "../lib/certs.mjs";
import {mysqlUrl, redisUrl, root, skipWithoutKafka, startSaslKafka, tlsAuthority} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {assertBooks, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const skip = skipWithoutKafka || (tlsAuthority ? false : "MySQL is not ours: no certificate of it is known");
const mysqlAt = new URL(mysqlUrl);
const redisAt = new URL(redisUrl);
const password = `${randomBytes(12).toString("hex")}/@:%`;
let dir;
let kafka;
let stranger; // an authority that signed nothing
let stack;
let aclUser;

const file = (name) => join(dir, name);
const secret = (name, text) => {
  writeFileSync(file(name), text, {mode: 0o600});
  return file(name);
};
const events = (name, text = "") => stack.logs().filter((line) => line.includes(`"event":"${name}"`) && line.includes(text));

/** The user of configs/redis-users.acl, for this namespace. */
async function redisUser(namespace) {
  const [, name, ...rules] = readFileSync(join(root, "configs", "redis-users.acl"), "utf8").trim().split(" ");
  aclUser = `${name}_${namespace}`;
  const mine = rules.map((rule) => rule.replace("live_", namespace).replace(">PASSWORD", `>${password}`));
  await stack.redis.call("ACL", "SETUSER", aclUser, ...mine);
}

/** Denied commands, keys and channels of our user. */
async function denied() {
  const rows = await stack.redis.call("ACL", "LOG", "1000");
  return rows.map((row) => Object.fromEntries(Array.from({length: row.length / 2}, (_, i) => [row[2 * i], row[2 * i + 1]])))
    .filter((row) => row.username === aclUser).map((row) => `${row.reason} ${row.object} in ${row.context}`);
}

before(async () => {
  if (skip) return;
  dir = mkdtempSync(join(tmpdir(), "redrain-tls-"));
  stranger = makeAuthority(dir, "stranger");
  kafka = await startSaslKafka(file("services"));
  const mysqlPassword = secret("mysql", `${decodeURIComponent(mysqlAt.password)}\n`);
  stack = await startStack({workers: 2, server: false, settler: false, migrate: false, conf: {
    "mysql.url": `mysql://redrain_tls@${mysqlAt.host}${mysqlAt.pathname}`, "mysql.password_file": mysqlPassword,
    "mysql.tls": "verify", "mysql.tls_ca_file": tlsAuthority,
    "kafka.bootstrap": kafka.bootstrap, "kafka.security_protocol": "sasl_ssl", "kafka.sasl_username": "redrain",
    "kafka.sasl_password_file": kafka.passwordFile, "kafka.tls_ca_file": kafka.caFile,
  }});
  await redisUser(stack.namespace);
  stack.conf["redis.url"] = `redis://${aclUser}@${redisAt.host}/0`;
  stack.conf["redis.password_file"] = secret("redis", password);
  stack.writeConfig();
});
after(async () => {
  if (aclUser) await stack.redis.call("ACL", "DELUSER", aclUser);
  await stack?.stop();
  await kafka?.stop();
  if (dir) rmSync(dir, {recursive: true, force: true});
});

/** redrainctl with changed options: {code, stdout, stderr}. */
const ctl = (command, changes = {}) => stack.ctl([...Object.entries(changes).flatMap(([k, v]) => ["--set", `${k}=${v}`]), command]);
const migrate = (changes) => ctl("migrate", changes);

test("MySQL: a user that must encrypt comes in by required and verify, not without", {skip}, async () => {
  const off = await migrate({"mysql.tls": "off"});
  assert.notEqual(off.code, 0);
  assert.match(off.stderr, /1045: Access denied/);
  for (const changes of [{}, {"mysql.tls": "required", "mysql.tls_ca_file": ""}]) {
    const {code, stderr} = await migrate(changes);
    assert.equal(code, 0, stderr);
  }
  const other = await migrate({"mysql.tls_ca_file": stranger.certFile});
  assert.notEqual(other.code, 0);
  assert.match(other.stderr, /database: .*2026: .*(certificate|verif|SSL|TLS)/i);
  assert.equal((await migrate({"mysql.tls": "required", "mysql.tls_ca_file": stranger.certFile})).code, 0, "required does not look");
  // The right certificate on another address.
  const relay = createServer((socket) => {
    const there = connect(Number(mysqlAt.port), mysqlAt.hostname);
    socket.pipe(there).pipe(socket);
    for (const end of [socket, there]) end.on("error", () => {});
  });
  relay.unref();
  await new Promise((resolve) => { relay.listen(0, "127.0.0.2", resolve); });
  const at = `mysql://redrain_tls@127.0.0.2:${relay.address().port}${mysqlAt.pathname}`;
  const renamed = await migrate({"mysql.url": at});
  assert.notEqual(renamed.code, 0, "the certificate is of 127.0.0.1");
  assert.match(renamed.stderr, /2026/);
  const {code, stderr} = await migrate({"mysql.url": at, "mysql.tls": "required"});
  assert.equal(code, 0, stderr);
  relay.close();
});

test("Kafka: each mechanism comes in; a wrong password, a stranger's certificate, no TLS do not", {skip}, async () => {
  for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
    const {code, stderr} = await migrate({"kafka.sasl_mechanism": mechanism});
    assert.equal(code, 0, `${mechanism}: ${stderr}`);
  }
  const wrong = [
    [{"kafka.sasl_password_file": secret("wrong", "not this one")}, /authentication/i],
    [{"kafka.tls_ca_file": stranger.certFile}, /certificate|SSL|handshake/i],
    [{"kafka.security_protocol": "plaintext"}, /kafka/], [{"kafka.sasl_username": "nobody"}, /authentication/i],
  ];
  await Promise.all(wrong.map(async ([changes, says]) => {
    const {code, stdout} = await ctl("doctor", changes);
    assert.notEqual(code, 0);
    const line = stdout.split("\n").find((text) => text.includes("kafka"));
    assert.match(line, /^\S*(bad|BAD|FAIL|✗|-|\[)/, stdout);
    assert.match(line, says);
    assert.ok(!stdout.includes("not this one"));
  }));
});

test("what goes together, and files others may read, are refused before anything starts", {skip}, async () => {
  const refused = async (changes, says) => {
    const {code, stderr} = await migrate(changes);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.ok(!stderr.includes(password));
  };
  await refused({"mysql.tls_ca_file": ""}, /mysql\.tls = verify needs mysql\.tls_ca_file/);
  await refused({"mysql.tls": "on"}, /must be off, required or verify/);
  await refused({"kafka.sasl_username": ""}, /needs kafka\.sasl_username/);
  await refused({"kafka.security_protocol": "tls"}, /must be plaintext, ssl/);
  await refused({"redis.url": `rediss://${redisAt.host}/0`}, /TLS to Redis is not spoken: put stunnel/);
  await refused({"redis.url": `redis://x:y@${redisAt.host}/0`}, /given twice/);
  await refused({"redis.password_file": file("none")}, /No such file/);
  for (const mode of [0o640, 0o604, 0o644]) {
    chmodSync(file("redis"), mode);
    await refused({}, /chmod 600/);
  }
  chmodSync(file("redis"), 0o600);
  const printed = await stack.ctl(["--print-config"]);
  assert.match(printed.stdout, /redis:\/\/redrain_\S+:\*\*\*@/);
  assert.ok(!printed.stdout.includes(encodeURIComponent(password)) && !printed.stdout.includes(password));
});

test("a whole rain, encrypted, by a Redis user who may do no more than it needs", {skip}, async () => {
  await stack.redis.call("ACL", "LOG", "RESET");
  await stack.startServer();
  stack.settler.start();
  await stack.waitReady();
  const room = newRoom("acl");
  const viewers = await Promise.all([1, 2, 3, 4].map((i) => enter(stack, 7000 + i, {room, maySend: true})));
  assert.equal((await viewers[0].request(OP.SAY, {text: "hi"})).name, "OK");
  await viewers[1].push("SAY");
  const {code} = await startRain(stack, {room, count: 20, total: 2000, limit: 20, countdown_ms: 300, duration_ms: 20_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG", (p) => p.config_code === code)));
  const wins = (await Promise.all(viewers.map(async (v) => (await grabAll(v, code)).wins))).flat();
  assert.equal(wins.length, 20);
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await settled(stack, code);
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_RESULT")));
  await assertBooks(stack, code, wins, {total: 2000});
  assert.equal((await viewers[0].request(OP.MY_GRANTS, {})).name, "OK");
  await stack.verify();
  assert.deepEqual(await denied(), []);
  // The log would have shown it: the user may neither look around nor touch other names.
  const {default: Redis} = await import("ioredis");
  const client = new Redis({host: redisAt.hostname, port: Number(redisAt.port), username: aclUser, password, lazyConnect: true, enableReadyCheck: false});
  client.on("error", () => {});
  await client.connect();
  const answers = [];
  for (const [command, ...args] of [["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "requirepass"], ["GET", "another:key"],
    ["ACL", "LIST"], ["PUBLISH", "another", "x"], ["EVAL", "return redis.call('GET', 'another:key')", "0"]]) {
    answers.push(String(await client.call(command, ...args).catch((error) => error.message)));
  }
  client.disconnect();
  for (const answer of answers) assert.match(answer, /NOPERM|permission|can't access/);
  assert.ok((await denied()).length > 0);
  for (const line of stack.logs()) assert.ok(!line.includes(password));
  await until("no worker had to wait", () => events("redis_down").length === 0);
  await Promise.all(viewers.map((v) => v.close()));
});

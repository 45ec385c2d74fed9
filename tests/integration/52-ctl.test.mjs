// redrainctl: each command, readable and as JSON, with exit codes to rely on.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {chmodSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {Client, enter} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {grabAll, newRoom, settled, startRain} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 1}); });
after(() => stack?.stop());

async function ok(...args) {
  const result = await stack.ctl(args);
  assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
  return result;
}

test("usage errors end with 2 and change nothing", async () => {
  const code = "A".repeat(22);
  const wrong = [
    [], ["nothing"], ["wallet"], ["wallet", "show"], ["wallet", "show", "x"], ["wallet", "show", "1", "2"], ["wallet", "show", "0"],
    ["wallet", "deposit", "1", "100"], ["wallet", "deposit", "1", "-5", "--biz-id", "x"], ["wallet", "deposit", "1", "1.5", "--biz-id", "x"],
    ["wallet", "deposit", "1", "0", "--biz-id", "x"], ["wallet", "deposit", "1", "5", "--biz-id"], ["rain"], ["rain", "explode", code],
    ["rain", "create"], ["rain", "create", "--room", "r"], ["rain", "create", "--room", "r", "--sender", "1", "--total", "x", "--count", "1"],
    ["rain", "start"], ["rain", "start", "short"], ["rain", "start", code, "--countdown-ms", "soon"], ["rain", "list", "--room", "a b"],
    ["token"], ["token", "--user", "1", "--role", "king", "--rooms", "*"], ["token", "--user", "0", "--role", "viewer", "--rooms", "*"],
    ["token", "--user", "1", "--role", "viewer"], ["token", "--user", "1", "--role", "viewer", "--rooms", "a b"],
    ["token", "--user", "1", "--role", "viewer", "--rooms", "*", "--ttl", "0"], ["token", "--user", "1", "--bogus"],
    ["split"], ["split", "check", "--split", "x", "--total", "1", "--count", "1", "--runs", "1"],
    ["split", "check", "--split", "equal", "--total", "1", "--count", "2", "--runs", "1"],
    ["verify", "short"], ["verify", code, "--all"], ["migrate", "now"], ["doctor", "who"], ["--bogus"],
  ];
  for (const args of wrong) {
    const {code: exit, stderr, stdout} = await stack.ctl(args);
    assert.equal(exit, 2, `${args.join(" ")}: ${stderr}${stdout}`);
    assert.ok(stderr.length > 0, args.join(" "));
  }
});

test("migrate can be repeated", async () => {
  await ok("migrate");
  const {json} = await ok("migrate", "--json");
  assert.deepEqual(json, {ok: true, topic: `${stack.namespace}receive_red_packet`});
});

test("token: the server takes it", async () => {
  const {stdout} = await ok("token", "--user", "77", "--role", "anchor", "--rooms", "r1,r2", "--name", "主播", "--ttl", "60", "--may-send");
  const client = await Client.open(stack.wsUrl, {origin: stack.origin});
  const hello = await client.hello(stdout.trim());
  assert.deepEqual([hello.name, hello.user, hello.role, hello.nick, hello.may_send], ["OK", "77", "anchor", "主播", true]);
  assert.equal((await client.join("r2")).name, "OK");
  assert.equal((await client.join("r3")).name, "NOT_ELIGIBLE");
  await client.close();
  const {json} = await ok("token", "--user", "78", "--role", "guest", "--rooms", "*", "--json");
  assert.ok(json.exp > Date.now() / 1000);
  const claims = JSON.parse(Buffer.from(json.token.split(".")[1], "base64url"));
  assert.deepEqual([claims.sub, claims.role, claims.rooms, claims.may_send], ["78", "guest", "*", false]);
});

test("wallet deposit and show", async () => {
  await ok("wallet", "deposit", "500", "1000", "--biz-id", "ctl-1");
  const {json} = await ok("wallet", "deposit", "500", "1000", "--biz-id", "ctl-1", "--json");
  assert.equal(json.balance, 1000, "the same deposit once");
  const {stdout} = await ok("wallet", "show", "500");
  assert.match(stdout, /^balance +1000$/m);
  const conflict = await stack.ctl(["wallet", "deposit", "500", "999", "--biz-id", "ctl-1"]);
  assert.equal(conflict.code, 1);
  assert.match(conflict.stderr, /CONFLICT/);
});

test("a whole rain by hand", async () => {
  const room = newRoom("ctl");
  const viewer = await enter(stack, "501", {room});
  const {json: rain} = await ok("rain", "create", "--room", room, "--sender", "500", "--total", "100", "--count", "4", "--split", "equal",
    "--limit", "2", "--shards", "1", "--duration-ms", "60000", "--text", "福气", "--biz-id", "ctl-rain", "--json");
  assert.equal(rain.status, "CREATED");
  const repeat = await ok("rain", "create", "--room", room, "--sender", "500", "--total", "100", "--count", "4", "--split", "equal",
    "--limit", "2", "--shards", "1", "--duration-ms", "60000", "--text", "福气", "--biz-id", "ctl-rain", "--json");
  assert.equal(repeat.json.code, rain.code);
  const {stdout} = await ok("rain", "prepare", rain.code);
  assert.match(stdout, /^status +PREPARED$/m);
  const {json: started} = await ok("rain", "start", rain.code, "--countdown-ms", "100", "--duration-ms", "50000", "--json");
  assert.equal(started.end_at - started.open_at, 50_000);
  const {payload} = await viewer.push("RED_PACKET_CONFIG");
  assert.deepEqual([payload.config_code, payload.text, payload.end_at], [rain.code, "福气", started.end_at]);
  const {json: moved} = await ok("rain", "extend", rain.code, "--add-ms", "1000", "--json");
  assert.equal(moved.end_at, started.end_at + 1000);
  const {wins} = await grabAll(viewer, rain.code);
  assert.deepEqual(wins.map((w) => w.amount), [25, 25]);
  const twice = await stack.ctl(["rain", "start", rain.code]);
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /CONFLICT/);
  await ok("rain", "close", rain.code);
  await settled(stack, rain.code);
  const {json: shown} = await ok("rain", "show", rain.code, "--json");
  assert.deepEqual([shown.status, shown.settled_fen, shown.refunded_fen], ["SETTLED", 50, 50]);
  const {stdout: table} = await ok("rain", "list", "--room", room);
  assert.match(table, new RegExp(`^${rain.code} .*SETTLED`, "m"));
  const {json: list} = await ok("rain", "list", "--json");
  assert.ok(list.rains.some((r) => r.code === rain.code));
  const {json: other} = await ok("rain", "create", "--room", room, "--sender", "500", "--total", "10", "--count", "1", "--json");
  const {json: cancelled} = await ok("rain", "cancel", other.code, "--json");
  assert.equal(cancelled.status, "CANCELLED");
  const unknown = await stack.ctl(["rain", "show", "A".repeat(22)]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /NOT_FOUND/);
  const poor = await stack.ctl(["rain", "create", "--room", room, "--sender", "502", "--total", "10", "--count", "1", "--json"]);
  assert.equal(poor.code, 1);
  assert.equal(poor.json.name, "CONFLICT");
  const bad = await stack.ctl(["rain", "create", "--room", room, "--sender", "500", "--total", "1", "--count", "5"]);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /BAD_REQUEST.*field/);
  await viewer.close();
});

test("split check says what it measured", async () => {
  // A fixed seed: statistics of random ones are red once in a thousand runs.
  const seed = "5".repeat(64);
  for (const split of ["double-mean", "line-cut", "equal"]) {
    const args = ["split", "check", "--split", split, "--total", "10000", "--count", "100", "--runs", "1000", "--seed", seed];
    const {json} = await ok(...args, "--json");
    assert.equal(json.expected_mean, 100);
    assert.equal(json.mean, 100, "the sum is exact");
    assert.equal(json.verdict, "ok");
    assert.ok(json.min >= 1 && json.max <= 10_000 && json.variance >= 0);
    assert.deepEqual([json.bad_sum, json.bad_bounds, json.runs, json.count, json.total], [0, 0, 1000, 100, 10_000]);
    assert.deepEqual((await ok(...args, "--json")).json, json, "the same seed, the same figures");
    const {stdout} = await ok(...args);
    assert.match(stdout, /^verdict +ok$/m);
  }
  for (const args of [["--seed", "xyz"], ["--lo", "101"], ["--hi", "99"], ["--runs", "0"], ["--count", "0"]]) {
    const {code} = await stack.ctl(
      ["split", "check", "--split", "double-mean", "--total", "10000", "--count", "100", "--runs", "10", ...args]);
    assert.equal(code, 2, args.join(" "));
  }
});

test("verify is green on clean books and red on each broken one", async () => {
  const room = newRoom("ctl");
  const viewer = await enter(stack, "510", {room});
  const {code} = await startRain(stack, {room, count: 4, total: 100, limit: 2});
  await viewer.push("RED_PACKET_CONFIG");
  await grabAll(viewer, code);
  await viewer.close();
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await settled(stack, code);
  const {stdout} = await ok("verify", "--all");
  assert.match(stdout, /^verdict +clean$/m);
  const {json} = await ok("verify", code, "--json");
  assert.deepEqual(json, {ok: true, unaccounted_fen: 0, findings: []});
  const unknown = await stack.ctl(["verify", "A".repeat(22), "--json"]);
  assert.notEqual(unknown.code, 0);
  await stack.settler.stop();
  const damages = [
    ["a wallet with a fen too much", "UPDATE wallet SET balance = balance + 1 WHERE user_id = 510", "UPDATE wallet SET balance = balance - 1 WHERE user_id = 510"],
    ["a grant of another amount", `UPDATE rp_grant SET amount = amount + 1 WHERE code = '${code}' AND user_id = 510 AND seq = 0`,
      `UPDATE rp_grant SET amount = amount - 1 WHERE code = '${code}' AND user_id = 510 AND seq = 0`],
    ["an escrow that was paid out more", `UPDATE rp_escrow SET settled = settled + 1, refunded = refunded - 1 WHERE code = '${code}'`,
      `UPDATE rp_escrow SET settled = settled - 1, refunded = refunded + 1 WHERE code = '${code}'`],
    ["a leg of the log", "UPDATE account_log SET delta = delta + 1 WHERE account_kind = 'balance' AND account_id = '510' LIMIT 1",
      "UPDATE account_log SET delta = delta - 1 WHERE account_kind = 'balance' AND account_id = '510' LIMIT 1"],
  ];
  for (const [what, damage, repair] of damages) {
    await stack.sql(damage);
    const red = await stack.ctl(["verify", "--all", "--json"]);
    assert.equal(red.code, 1, what);
    assert.equal(red.json.ok, false, what);
    assert.ok(red.json.findings.length > 0, what);
    const human = await stack.ctl(["verify"]);
    assert.match(human.stdout, /NOT CLEAN/);
    await stack.sql(repair);
    await ok("verify", "--all");
  }
});

test("doctor sees what is there and what is not", async () => {
  const good = await stack.ctl(["doctor"]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  for (const name of ["config", "keys", "admin token", "redis", "mysql", "tables", "kafka", "server"]) {
    assert.match(good.stdout, new RegExp(`^\\[ok +\\] ${name}`, "m"));
  }
  const {json} = await ok("doctor", "--json");
  assert.equal(json.ok, true);
  const closed = "127.0.0.1:1";
  const bad = await stack.ctl(["--set", `redis.url=redis://${closed}/0`, "--set", `mysql.url=mysql://u@${closed}/d`,
    "--set", `kafka.bootstrap=${closed}`, "--set", "admin.port=1", "doctor", "--json"]);
  assert.equal(bad.code, 1);
  assert.equal(bad.json.ok, false);
  for (const name of ["redis", "mysql", "kafka", "server"]) {
    const check = bad.json.checks.find((c) => c.name === name && c.level === "BAD");
    assert.ok(check?.advice, `${name}: ${JSON.stringify(bad.json.checks)}`);
  }
});

test("without the server the API's commands say so", async () => {
  const {code, stderr} = await stack.ctl(["--set", "admin.port=1", "wallet", "show", "1"]);
  assert.equal(code, 1);
  assert.match(stderr, /is redrain-server running/);
});

test("a wrong or open admin token is refused", async () => {
  const other = join(stack.dir, "other.token");
  writeFileSync(other, "not-the-token-of-this-server\n", {mode: 0o600});
  const wrong = await stack.ctl(["--set", `admin.token_file=${other}`, "wallet", "show", "1"]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /token was refused/);
  chmodSync(other, 0o644);
  const open = await stack.ctl(["--set", `admin.token_file=${other}`, "wallet", "show", "1"]);
  assert.equal(open.code, 1);
  assert.match(open.stderr, /chmod 600/);
});

test("no secret of the configuration is printed", async () => {
  const {stdout} = await ok("--print-config");
  for (const key of ["mysql.url", "redis.url"]) {
    const {password} = new URL(stack.conf[key]);
    if (password) assert.ok(!stdout.includes(password), key);
  }
  assert.ok(!stdout.includes(readFileSync(stack.adminTokenFile, "utf8").trim()));
});

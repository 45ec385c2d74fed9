// Rains that are long over leave the live tables; nothing that is asked of them changes, and nothing of them is paid again.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {broker} from "../lib/services.mjs";
import {enter, OP, until} from "../lib/ws.mjs";
import {program, startStack} from "../lib/stack.mjs";
import {ANCHOR, balance, closeRain, grabAll, newRoom, settled, showRain, startRain} from "./helpers.mjs";

const DAY_MS = 86_400_000;
const LONG_AGO = Date.UTC(2020, 0, 2);
const BEFORE = "2020-02-01";
const LIVE = ["t_red_packet_config", "rp_escrow", "rp_grant"];

let stack;
before(async () => { stack = await startStack({workers: 1, conf: {"archive.min_age_days": 15}}); });
after(() => stack?.stop());

const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const count = async (table, code) => Number((await stack.sql(`SELECT COUNT(*) AS n FROM ${table} WHERE ${
  table.startsWith("t_red") ? "config_code" : "code"} = ?`, [code]))[0].n);

/** A rain played to its end, as if it had been long ago: {code, wins, viewers' ids}. */
async function oldRain({users, limit = 3, count: packets = 30, shards = 2}) {
  const room = newRoom("old");
  const viewers = await Promise.all(users.map((user) => enter(stack, user, {room})));
  const {code} = await startRain(stack, {room, total: 100 * packets, count: packets, limit, shards});
  const wins = (await Promise.all(viewers.map((v) => grabAll(v, code)))).flatMap((r) => r.wins);
  await closeRain(stack, code);
  await settled(stack, code);
  await until("its steps are done", async () =>
    Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_task WHERE code = ? AND state = 0", [code]))[0].n) === 0);
  await Promise.all(viewers.map((v) => v.close()));
  await age(code);
  return {room, code, wins};
}

const age = (code) => stack.sql("UPDATE t_red_packet_config SET settled_at = ? WHERE config_code = ?", [LONG_AGO, code]);

async function archive(...more) {
  const result = await stack.ctl(["archive", "--before", BEFORE, "--json", ...more]);
  assert.equal(result.code, 0, result.stderr);
  return result.json;
}

test("archive tables are as the live ones", async () => {
  for (const table of LIVE) {
    const columns = (name) => stack.sql("SELECT column_name AS n, column_type AS t, is_nullable AS o, column_default AS d FROM "
      + "information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position", [name]);
    assert.deepEqual(await columns(`${table}_archive`), await columns(table), `${table}: a schema file changed one of both`);
  }
});

test("moved out, and everything is answered as before", async () => {
  const {room, code, wins} = await oldRain({users: ["600", "601", "602"]});
  assert.equal(wins.length, 9);
  const shown = await showRain(stack, code);
  const grants = await stack.must("GET", `/api/v1/rains/${code}/grants`);
  const money = await Promise.all(["600", "601", "602", ANCHOR].map((user) => balance(stack, user)));
  const viewer = await enter(stack, "600", {room});
  const mine = await viewer.request(OP.MY_GRANTS, {code});
  assert.equal(mine.grants.length, 3);

  const done = await archive();
  assert.deepEqual([done.moved, done.grants, done.kept, done.more], [1, 9, 0, false]);
  for (const table of LIVE) {
    assert.equal(await count(table, code), 0, `${table} is empty of it`);
    assert.ok(await count(`${table}_archive`, code) > 0);
  }
  assert.equal(await count("rp_grant_archive", code), 9);
  assert.equal(await count("rp_task", code), 0);
  await stack.verify();
  assert.equal((await stack.ctl(["verify", code])).code, 0);
  assert.equal((await stack.ctl(["prove", code])).code, 0);
  assert.deepEqual(await showRain(stack, code), shown);
  assert.deepEqual(await stack.must("GET", `/api/v1/rains/${code}/grants`), grants);
  assert.deepEqual((await viewer.request(OP.MY_GRANTS, {code})).grants, mine.grants);
  await until("MY_GRANTS of all rains may be asked again", async () => (await viewer.request(OP.MY_GRANTS, {})).name === "OK");
  assert.deepEqual(await Promise.all(["600", "601", "602", ANCHOR].map((user) => balance(stack, user))), money);
  assert.deepEqual(await archive(), {moved: 0, grants: 0, kept: 0, pruned: 0, more: false, kept_rains: []}, "again: nothing is left to do");
  await viewer.close();
});

test("late records of an archived rain are duplicates: not paid, not parked", async () => {
  const {code, wins} = await oldRain({users: ["610", "611"], limit: 5});
  assert.equal((await archive()).moved, 1);
  const money = await Promise.all(["610", "611"].map((user) => balance(stack, user)));
  // A settler that has the rain in its memory: another's offset makes it go back.
  await stack.sql("UPDATE rp_offset SET next_offset = 0");
  const {code: other} = await oldRain({users: ["612", "613", "614", "615"], limit: 1, shards: 4});
  assert.equal(await count("rp_conflict", code) + await count("rp_dead", code), 0);
  // One that has to look.
  await stack.settler.stop();
  await stack.sql("UPDATE rp_offset SET next_offset = 0");
  stack.settler.start();
  await until("the settler has met every record again", async () => {
    const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
    const seen = Number(/^redrain_duplicates_total(?:{[^}]*})? (\d+)/m.exec(text)?.[1] ?? 0);
    if (seen < wins.length + 4) throw new Error(`${seen} duplicates`);
    return true;
  }, {timeoutMs: 30_000, everyMs: 200});
  assert.equal((await showRain(stack, other)).settled, 4);
  assert.equal((await archive()).moved, 1);
  assert.equal(await count("rp_grant", code), 0);
  assert.equal(await count("rp_grant_archive", code), wins.length);
  for (const table of ["rp_dead", "rp_conflict"]) assert.equal(await count(table, code), 0, table);
  assert.equal(await count("rp_task", code), 0, "none is parked");
  assert.deepEqual(await Promise.all(["610", "611"].map((user) => balance(stack, user))), money);
  await stack.verify();
});

test("a create repeated after that gets the archived rain", async () => {
  const room = newRoom("again");
  const body = {room, sender: ANCHOR, total: 100, count: 4, biz_id: "archived-once"};
  await stack.deposit(ANCHOR, 100);
  const {code} = await stack.must("POST", "/api/v1/rains", body);
  await stack.must("POST", `/api/v1/rains/${code}/cancel`, {});
  await age(code);
  assert.equal((await archive()).moved, 1, "cancelled ones too");
  const money = await balance(stack, ANCHOR);
  const again = await stack.must("POST", "/api/v1/rains", body);
  assert.deepEqual([again.code, again.replayed, again.status], [code, true, "CANCELLED"]);
  assert.equal((await stack.api("POST", "/api/v1/rains", {...body, total: 200})).status, 409);
  assert.equal(await balance(stack, ANCHOR), money);
  await stack.verify();
});

test("ended in the middle, it goes on: the books are whole at every stop", {timeout: 120_000}, async () => {
  const {code, wins} = await oldRain({users: ["620", "621", "622", "623"], limit: 10, count: 60, shards: 3});
  assert.ok(wins.length >= 20);
  const seen = new Set();
  for (let stops = 0; ; stops += 1) {
    assert.ok(stops < 20, "it comes to an end");
    const done = await archive("--max-rows", "1");
    await stack.verify();
    const {length} = (await stack.must("GET", `/api/v1/rains/${code}/grants?limit=500`)).grants;
    assert.equal(length, wins.length, "each grant is listed once at every stop");
    const [row] = await stack.sql("SELECT state FROM rp_archive WHERE code = ?", [code]);
    seen.add(row?.state);
    if (!done.more) break;
  }
  assert.ok(seen.has(1) && seen.has(3), `stopped while it copied: ${[...seen]}`);
  assert.equal(await count("rp_grant", code), 0);
});

test("killed at any moment, it goes on", {timeout: 120_000}, async () => {
  const rains = [];
  for (let i = 0; i < 4; i++) rains.push(await oldRain({users: ["630", "631"], limit: 4}));
  for (let kills = 0; kills < 6; kills++) {
    const child = spawn(program("redrainctl"), ["--config", stack.configFile, "archive", "--before", BEFORE], {stdio: "ignore"});
    const gone = new Promise((resolve) => { child.once("exit", resolve); });
    const states = async () => (await stack.sql("SELECT code, state FROM rp_archive WHERE state < 3 OR code IN (?)", [rains.map((r) => r.code)])).length;
    const was = await states();
    await Promise.race([gone, until("it has begun another rain", async () => await states() > was, {everyMs: 1}).catch(() => {})]);
    child.kill("SIGKILL");
    await gone;
    await stack.verify();
  }
  await archive();
  for (const {code, wins} of rains) {
    assert.deepEqual([await count("rp_grant", code), await count("rp_grant_archive", code)], [0, wins.length]);
  }
  await stack.verify();
});

test("what must not go stays, and says why", async () => {
  const {code} = await oldRain({users: ["640"], limit: 2});
  const stays = async (sql, undo, why) => {
    await stack.sql(sql, [code]);
    const done = await archive();
    assert.deepEqual([done.moved, done.kept_rains.length], [0, 1], sql);
    assert.match(done.kept_rains[0].why, why);
    await stack.sql(undo, [code]);
    assert.equal(await count("t_red_packet_config", code), 1);
    assert.equal(await count("t_red_packet_config_archive", code), 0);
  };
  await stays("UPDATE rp_grant SET state = 2 WHERE code = ? AND seq = 0", "UPDATE rp_grant SET state = 1 WHERE code = ?", /held/);
  await stays("UPDATE rp_grant SET amount = amount + 1 WHERE code = ? AND seq = 0", "UPDATE rp_grant SET amount = amount - 1 WHERE code = ? AND seq = 0",
    /verify it/);
  await stays("INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES (?, 'x', 'open', 'x', 1)", "DELETE FROM rp_dead WHERE code = ?", /rp_dead/);
  await stays("INSERT INTO rp_task (biz_id, kind, code, state, next_at, created_at) SELECT CONCAT('later:', config_code), 'later', config_code, 0, 9e15, 1 "
    + "FROM t_red_packet_config WHERE config_code = ?", "DELETE FROM rp_task WHERE kind = 'later' AND code = ?", /step/);
  assert.equal((await archive()).moved, 1);
});

test("marks and denials of an archived rain go, what was held stays", async () => {
  const [{code, wins}, {code: young}] = [await oldRain({users: ["645"], limit: 2}), await oldRain({users: ["646"], limit: 2})];
  await stack.sql("UPDATE t_red_packet_config SET settled_at = ? WHERE config_code = ?", [Date.now(), young]);
  for (const rain of [code, young]) {
    for (const [decision, state] of [["deny", "done"], ["mark", "done"], ["hold", "released"], ["hold", "taken"]]) {
      await stack.sql("INSERT INTO rp_risk (decision, state, rule, user_id, code, shard, packet_no, seq, amount, seen, bound, created_at) "
        + "VALUES (?, ?, 'steady', 645, ?, ?, ?, 0, 1, 1, 1, 1)",
      [decision, state, rain, ...(decision === "hold" ? [wins[0].shard, state === "taken" ? 1 : 0] : [null, null])]);
    }
    await stack.sql("INSERT INTO rp_risk_mark (code, user_id, from_seq, rule, seen, bound, created_at) VALUES (?, 645, 0, 'steady', 1, 1, 1)", [rain]);
  }
  // Creates that were refused belong to no rain.
  for (const at of [1, Date.now()]) {
    await stack.sql("INSERT INTO rp_risk (decision, state, rule, user_id, seen, bound, created_at) VALUES ('deny', 'done', 'anchor_day', 646, 1, 1, ?)", [at]);
  }
  assert.equal((await archive()).moved, 1);
  const denied = await stack.sql("SELECT created_at FROM rp_risk WHERE code IS NULL AND user_id = 646");
  assert.deepEqual(denied.map((r) => Number(r.created_at) > 1), [true]);
  const left = async (rain) => (await stack.sql("SELECT state FROM rp_risk WHERE code = ? ORDER BY id", [rain])).map((r) => r.state);
  assert.deepEqual(await left(code), ["released", "taken"]);
  assert.deepEqual(await left(young), ["done", "done", "released", "taken"]);
  assert.deepEqual([await count("rp_risk_mark", code), await count("rp_risk_mark", young)], [0, 1]);
  const {json} = await stack.ctl(["--json", "risk", "list", "--rain", code]);
  assert.deepEqual(json.items.map((i) => i.state).sort(), ["released", "taken"]);
  await stack.verify();
});

test("the audit trail is kept as long as the option says, in pages", async () => {
  const days = (n) => Date.now() - n * DAY_MS;
  await stack.sql("DELETE FROM rp_audit");
  for (const at of [days(500), days(401), days(399), Date.now()]) {
    await stack.sql("INSERT INTO rp_audit (room_id, user_id, action, created_at) VALUES ('aged', 1, 'CLOSE', ?)", [at]);
  }
  const left = async () => (await stack.sql("SELECT created_at AS at FROM rp_audit ORDER BY id")).map((r) => Math.round((Date.now() - Number(r.at)) / DAY_MS));
  const kept = await stack.ctl(["--set", "archive.audit_days=0", "archive", "--before", BEFORE, "--json"]);
  assert.deepEqual([kept.code, await left()], [0, [500, 401, 399, 0]], "0: for ever");
  assert.equal((await archive()).pruned, 2);
  assert.deepEqual(await left(), [399, 0]);
  // More than a page, an old row behind younger ones as after a clock that jumped, and a run that may not do it all.
  await stack.sql("INSERT INTO rp_audit (room_id, user_id, action, created_at) SELECT 'aged', 1, 'CLOSE', 1 FROM seq_1_to_12000");
  const first = await archive("--max-rows", "5000");
  assert.equal(first.more, true);
  assert.ok(first.pruned > 0 && first.pruned < 12_000, `${first.pruned}`);
  const rest = await archive();
  assert.equal(first.pruned + rest.pruned, 12_000);
  assert.equal(rest.more, false);
  assert.deepEqual(await left(), [399, 0]);
});

test("a change of an archived rain is found by the checker", async () => {
  const {code} = await oldRain({users: ["650"], limit: 2});
  assert.equal((await archive()).moved, 1);
  const finds = async (sql, undo, invariant) => {
    await stack.sql(sql, [code]);
    const {code: exit, json} = await stack.ctl(["verify", "--all", "--json"]);
    await stack.sql(undo, [code]);
    assert.equal(exit, 1, sql);
    assert.ok(json.findings.some((f) => f.invariant === invariant), JSON.stringify(json.findings));
  };
  await finds("UPDATE rp_grant_archive SET amount = amount + 1 WHERE code = ? AND seq = 0",
    "UPDATE rp_grant_archive SET amount = amount - 1 WHERE code = ? AND seq = 0", "split_amount");
  await finds("UPDATE rp_escrow_archive SET settled = settled + 1, refunded = refunded - 1 WHERE code = ? AND refunded > 0",
    "UPDATE rp_escrow_archive SET settled = settled - 1, refunded = refunded + 1 WHERE code = ? AND settled > 0 AND refunded > 0", "grant_sum");
  await stack.verify();
});

test("never before Kafka's retention and seven days", {skip: broker === "memory" ? "the broker in memory has no settings" : false}, async () => {
  const {code} = await oldRain({users: ["660"], limit: 1});
  const ask = (before_, days = 0) => stack.ctl(["--set", `archive.min_age_days=${days}`, "archive", "--before", day(before_)]);
  const young = await ask(Date.now() - 13 * DAY_MS);
  assert.equal(young.code, 1);
  assert.match(young.stderr, /refused: Kafka keeps records for 7\.0 days, and 7 days more/);
  assert.equal(await count("t_red_packet_config", code), 1, "nothing was moved");
  const own = await ask(Date.now() - 20 * DAY_MS, 30);
  assert.match(own.stderr, /refused: archive\.min_age_days is 30/);
  const none = await stack.ctl(["--set", "archive.min_age_days=0", "--set", "kafka.topic=nothing_of_that_name", "archive", "--before", BEFORE]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /not known/);
  assert.equal((await ask(Date.now() - 15 * DAY_MS)).code, 0);
  assert.equal(await count("t_red_packet_config_archive", code), 1);
});

test("wrong usage ends with 2", async () => {
  for (const args of [[], ["--before"], ["--before", "yesterday"], ["--before", "2020-13-01"], ["--before", "2020-02-30"], ["--before", BEFORE, "x"],
    ["--before", BEFORE, "--max-rows", "0"]]) {
    assert.equal((await stack.ctl(["archive", ...args])).code, 2, args.join(" "));
  }
});

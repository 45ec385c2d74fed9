// What runs all the time must not read whole tables: every statement the product sends in the life of a rain is taken from the
// database's log and explained on books of a hundred thousand grants (a million with ./dev test --long).
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {enter, OP, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {logStart, logStop, own, rootSql, shape, skipWithoutRoot} from "../lib/sql-log.mjs";
import {ANCHOR, bizId, closeRain, grabAll, newRoom, settled, showRain, startRain} from "./helpers.mjs";

const LONG = process.env.REDRAIN_TEST_LONG === "1";
const GRANTS = LONG ? 1_000_000 : 100_000;
const PER_RAIN = 1000;
const RAINS = 5000; // most of them without grants
const USERS = 20_000;
const PAGE = 500;
const ROWS = 5000; // more than a rain of this test has of anything
const BIG = 200_000; // fen of one packet: held for review
const TINY = new Set(["rp_offset", "rp_schema", "rp_lease"]); // never more rows than partitions, versions, jobs

let stack;
before(async () => {
  if (!skipWithoutRoot) await logStart();
  stack = await startStack({workers: 1, conf: {"settler.verify_interval_s": 0, "risk.hold_grab_fen": BIG - 1}});
  if (!skipWithoutRoot) await fill();
}, {timeout: 600_000});
after(async () => {
  if (!skipWithoutRoot) await rootSql("SET GLOBAL general_log = 0");
  await stack?.stop();
});

const sql = (text, params) => stack.sql(own + text, params);
const digits = (n) => Array.from({length: n}, (_, i) => `(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL
  SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) d${i}`).join(" CROSS JOIN ");
/** A derived table of the numbers 0…10^n - 1. */
const numbers = (n) => `(SELECT ${Array.from({length: n}, (_, i) => `d${i}.d * ${10 ** i}`).join(" + ")} AS n FROM ${digits(n)}) s`;
const code = (r) => `CONCAT('F', LPAD(${r}, 21, '0'))`;

/** Books as a year leaves them: everything over, all of it settled. */
async function fill() {
  await sql(`INSERT INTO t_red_packet_config (anchor_id, total_price, total_count, config_code, status, sender_id, room_id, split, split_ver,
    lo, hi, limit_per_user, shards, seed, seed_hash, t0, t1, duration_ms, req_id, payload_hash, created_at, settled_at)
    SELECT 1, 100000, ${PER_RAIN}, ${code("n")}, 5, 500 + n MOD 40, CONCAT('fill-', n MOD 60), 1, 1, 1, 100000, 1, 4, REPEAT('s', 32),
    REPEAT('0', 64), 1000 + n, 2000 + n, 1000, CONCAT('r', n), REPEAT('p', 32), n, 3000 + n FROM ${numbers(4)} WHERE n < ${RAINS}`);
  await sql(`INSERT INTO rp_escrow (code, shard, total, remain, settled, settled_cnt, refunded, granted_k, rid, amounts_hash)
    SELECT ${code("n DIV 4")}, n MOD 4, 25000, 0, 25000, 250, 0, 250, REPEAT('r', 40), REPEAT('a', 40) FROM ${numbers(5)} WHERE n < ${4 * RAINS}`);
  const grants = Math.log10(GRANTS);
  const user = `(100000 + (n DIV ${PER_RAIN} * 37 + n) MOD ${USERS})`;
  const of = code(`n DIV ${PER_RAIN}`);
  await sql(`INSERT INTO rp_grant (code, shard, packet_no, user_id, seq, amount, state, granted_at, settled_at)
    SELECT ${of}, n MOD ${PER_RAIN} DIV 250, n MOD 250, ${user}, 0, 100, 1, 1000 + n, 2000 + n FROM ${numbers(grants)}`);
  await sql(`INSERT INTO wallet (user_id, balance, frozen) SELECT 100000 + n, 500, 0 FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO account_log (account_kind, account_id, delta, balance_after, biz_type, biz_id, leg, created_at)
    SELECT 'balance', ${user}, 100, 500, 'grant', CONCAT(${of}, ':', ${user}, ':0'), 1, n FROM ${numbers(grants)}`);
  await sql(`INSERT INTO account_log (account_kind, account_id, delta, biz_type, biz_id, leg, created_at)
    SELECT 'escrow', CONCAT(${of}, ':', n MOD ${PER_RAIN} DIV 250), -100, 'grant', CONCAT(${of}, ':', ${user}, ':0'), 0, n FROM ${numbers(grants)}`);
  await sql(`INSERT INTO rp_task (biz_id, kind, code, state, next_at, created_at)
    SELECT CONCAT(k.kind, ':', ${code("n")}), k.kind, ${code("n")}, 1, n, n FROM ${numbers(4)},
    (SELECT 'open' AS kind UNION ALL SELECT 'close' UNION ALL SELECT 'result') k WHERE n < ${RAINS}`);
  await sql(`INSERT INTO rp_dead (topic, part, offs, code, reason, state, raw, created_at)
    SELECT '${stack.namespace}receive_red_packet', n MOD 4, n, NULL, 'undecodable', 'closed', CONCAT('bytes', n), n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_conflict (code, shard, packet_no, user_id, seq, amount, rid, reason, state, raw, created_at)
    SELECT ${code("n")}, 0, 0, 1, 0, 1, 'r', 'stale_rid', 'closed', '', n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_check (findings, unaccounted, detail, started_at, ended_at) SELECT 0, 0, '', n, n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_risk (decision, state, rule, user_id, code, shard, packet_no, seq, amount, seen, bound, created_at, closed_at)
    SELECT 'hold', IF(n MOD 2, 'released', 'taken'), 'grab_amount', 100000 + n, ${code("n DIV 4")}, n MOD 4, 0, 0, 100, 100, 50, n, n
    FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO rp_risk (decision, state, rule, user_id, code, seq, seen, bound, created_at)
    SELECT IF(n MOD 2, 'mark', 'deny'), 'done', 'steady', 100000 + n MOD 10, ${code("n")}, 0, 1, 1, n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_risk_mark (code, user_id, from_seq, rule, seen, bound, created_at)
    SELECT ${code("n DIV 4")}, 100000 + n, 0, 'steady', 1, 1, n FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO rp_wallet_op (biz_id, op, user_id, amount, of_biz_id, payload_hash, answer, created_at)
    SELECT CONCAT('op', n), 'refund', 100000 + n, 1, CONCAT('of', n), REPEAT('h', 32), '{}', n FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO rp_repair (plan, code, kind, biz_type, biz_id, amount, finding, state_before, state_after, who, applied_at)
    SELECT REPEAT('p', 64), ${code("n")}, 'told', 'repair', CONCAT('x', n), 1, '', '', '', 'me', n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_rain_user (code, user_id) SELECT ${code("n DIV 4")}, 100000 + n FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO rp_budget (sender_id, day, spent, cap) SELECT 100000 + n, 1, 1, 1 FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_fence (code, state, kind, run, wait_until, created_at, ended_at)
    SELECT ${code("n")}, 5, 'full', REPEAT('r', 40), n, n, n FROM ${numbers(4)}`);
  await sql(`INSERT INTO rp_fence_end (fence, topic, part, low, high)
    SELECT id, 't', 0, 0, 1 FROM rp_fence`);
  await sql(`INSERT INTO rp_fence_shard (fence, code, shard, old_rid, new_rid, floor)
    SELECT id, code, 0, REPEAT('o', 40), REPEAT('n', 40), 1 FROM rp_fence`);
  await sql(`INSERT INTO rp_audit (room_id, user_id, action, result, created_at, ended_at)
    SELECT CONCAT('fill-', n MOD 600), 500, 'MUTE', 'OK', n, n FROM ${numbers(5)} WHERE n < ${USERS}`);
  await sql(`INSERT INTO rp_template (user_id, name, spec, updated_at) SELECT 100000 + n, 'a', '{}', n FROM ${numbers(5)} WHERE n < ${USERS}`);
  const tables = await sql("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'");
  await sql(`ANALYZE TABLE ${tables.map(({name}) => `\`${name}\``).join(", ")}`);
}

/** All that happens to rains in a day, and to what viewers, anchors and platforms ask of them. */
async function live() {
  const room = newRoom("queries");
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", maySend: true});
  const viewers = await Promise.all(["300", "301", "302", "303"].map((user) => enter(stack, user, {room})));
  const {code: first} = await startRain(stack, {room, total: 4000, count: 40, limit: 3, shards: 2});
  for (const v of viewers) await grabAll(v, first);
  await viewers[0].request(OP.MY_GRANTS, {});
  await viewers[0].request(OP.MY_GRANTS, {code: first});
  await anchor.request(OP.STATS, {});
  await anchor.request(OP.STATS, {code: first});
  for (const more of [{}, {after_shard: 0, after_no: 2}, {user: "300"}]) await anchor.request(OP.WINNERS, {code: first, ...more});
  await anchor.request(OP.TEMPLATES, {name: "queries", spec: "{}"});
  await anchor.request(OP.TEMPLATES, {name: "queries"});
  await stack.must("POST", `/api/v1/rains/${first}/extend`, {add_ms: 1000});
  await closeRain(stack, first);
  await settled(stack, first);
  await anchor.request(OP.AUDIT, {});
  // Another at its end by the settler alone; a third cancelled.
  const {code: second} = await startRain(stack, {room, total: 100, count: 4, limit: 1, shards: 1, duration_ms: 1000});
  await grabAll(viewers[1], second);
  await settled(stack, second);
  const {code: third} = await stack.must("POST", "/api/v1/rains", {room, sender: ANCHOR, total: 100, count: 4, biz_id: "third"})
    .catch(() => stack.deposit(ANCHOR, 1000).then(() => stack.must("POST", "/api/v1/rains", {room, sender: ANCHOR, total: 100, count: 4, biz_id: "third"})));
  await stack.must("POST", `/api/v1/rains/${third}/cancel`, {});
  await stack.must("GET", "/api/v1/rains");
  await stack.must("GET", `/api/v1/rains?room=${room}`);
  await stack.must("GET", `/api/v1/rains/${first}/grants?limit=5`);
  await stack.must("GET", `/api/v1/rains/${first}/grants?limit=5&after_shard=0&after_no=2`);
  await stack.must("POST", "/api/v1/rains/stats", {codes: [first, second, third]});
  await stack.must("GET", "/api/v1/wallets/300");
  // A second settler reads it all again: duplicates go the slow way.
  await stack.settler.stop();
  await sql("UPDATE rp_offset SET next_offset = 0");
  stack.settler.start();
  await until("the records were read again", async () => {
    const rows = await sql("SELECT SUM(next_offset) AS n FROM rp_offset");
    return Number(rows[0].n) >= 13;
  });
  const more = [await packets(), await review(), await recovery()].flat();
  await accounts(first);
  for (const of of [first, second, third, ...more]) {
    const {code: exit, stdout} = await stack.ctl(["verify", of]);
    assert.equal(exit, 0, stdout);
  }
  assert.equal((await stack.ctl(["prove", first])).code, 0);
  await Promise.all([anchor, ...viewers].map((c) => c.close()));
}

const reaches = (code, status) => until(() => `rain ${code} is ${status}`, async () => (await showRain(stack, code)).status === status,
  {timeoutMs: 20_000, everyMs: 50});

/** Packets of each kind, with a list, a budget, a time to start and a time to expire. Resolves with their codes. */
async function packets() {
  const room = newRoom("packets");
  const sender = await enter(stack, "320", {room, maySend: true});
  const viewer = await enter(stack, "321", {room});
  await stack.deposit("320", 10_000);
  const codes = [];
  for (const body of [{kind: "group", count: 2}, {kind: "equal", count: 2}, {kind: "enterprise", users: "321,322", count: 2},
    {kind: "personal", users: "321", count: 1}]) {
    const sent = await sender.request(OP.SEND, {biz_id: bizId(), total: 100, ...body});
    assert.equal(sent.name, "OK", JSON.stringify(sent));
    codes.push(sent.code);
    await viewer.push("RED_PACKET_CONFIG", (p) => p.config_code === sent.code);
    await until("an answer", async () => (await viewer.grab(sent.code, 0, true)).name !== "BUSY");
  }
  assert.equal((await sender.request(OP.MY_SENT)).sent.length, 4);
  for (const code of codes) {
    await closeRain(stack, code);
    await settled(stack, code);
  }
  await stack.deposit(ANCHOR, 1000);
  const create = (more) => stack.must("POST", "/api/v1/rains", {room, sender: ANCHOR, total: 100, count: 4, biz_id: bizId(), ...more});
  const scheduled = await create({start_at: Date.now() + 500, duration_ms: 1000});
  const forgotten = await create({expire_at: Date.now() + 2500});
  await reaches(scheduled.code, "SETTLED");
  await reaches(forgotten.code, "CANCELLED");
  await Promise.all([sender.close(), viewer.close()]);
  return [...codes, scheduled.code, forgotten.code];
}

/** Two held packets, one released, one taken back; a sender who is denied and marked. */
async function review() {
  const codes = [];
  for (const verb of [["release"], ["take-back", "--to", "fraud"]]) {
    const room = newRoom("review");
    const viewer = await enter(stack, "330", {room});
    const {code} = await startRain(stack, {room, total: BIG, count: 1});
    const win = await viewer.grab(code);
    assert.equal(win.name, "OK");
    await viewer.push("GRANT_SETTLED", (p) => p.code === code && p.state === "held");
    const [word, ...options] = verb;
    const done = await stack.ctl(["risk", word, code, String(win.shard), String(win.no), ...options]);
    assert.equal(done.code, 0, done.stderr);
    await closeRain(stack, code);
    await settled(stack, code);
    await viewer.close();
    codes.push(code);
  }
  const room = newRoom("review");
  const own = await enter(stack, "331", {room});
  const {code} = await startRain(stack, {room, sender: "331", total: 100, count: 2});
  await own.push("RED_PACKET_CONFIG");
  assert.equal((await own.grab(code)).name, "NOT_ELIGIBLE");
  assert.equal((await own.grab(code, 0, true)).name, "OK");
  await own.push("GRANT_SETTLED", (p) => p.code === code && p.state === "held");
  await until("it is listed", async () => {
    const {json} = await stack.ctl(["--json", "risk", "list", "--user", "331"]);
    return json.items.some((i) => i.decision === "mark");
  });
  await closeRain(stack, code);
  await settled(stack, code);
  for (const filter of [[], ["--user", "330"], ["--rain", code], ["--state", "held"], ["--state", "done"], ["--user", "331", "--state", "held"],
    ["--rain", code, "--state", "held"], ["--user", "331", "--rain", code], ["--state", "done", "--before", "20000"], ["--before", "20000"],
    ["--user", "100001", "--before", "30000"]]) {
    const list = await stack.ctl(["--json", "risk", "list", ...filter]);
    assert.equal(list.code, 0, list.stderr);
  }
  await own.close();
  return [...codes, code];
}

/** A rain whose pool is gone when it closes. */
async function recovery() {
  const room = newRoom("recovery");
  const viewer = await enter(stack, "340", {room});
  const {code} = await startRain(stack, {room, total: 1000, count: 10, limit: 3, shards: 2});
  await grabAll(viewer, code);
  const keys = await stack.redis.keys(`${stack.namespace}redpkt:{${code}:*`);
  assert.ok(keys.length > 0);
  for (const key of keys) await stack.redis.del(key);
  await closeRain(stack, code);
  await until("a recovery is under way", async () => (await showRain(stack, code)).recovery !== null, {timeoutMs: 20_000, everyMs: 20});
  await settled(stack, code);
  await viewer.close();
  return [code];
}

/** Each operation of a wallet, its log, and what repair did. */
async function accounts(code) {
  const run = async (...args) => {
    const result = await stack.ctl(args);
    assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
    return result;
  };
  const wallet = (...args) => run("wallet", ...args);
  const of = bizId();
  await wallet("deposit", "350", "1000", "--biz-id", bizId());
  await wallet("debit", "350", "100", "--biz-id", of);
  await wallet("debit", "350", "100", "--biz-id", of);
  await wallet("refund", "350", "50", "--of", of, "--biz-id", bizId());
  const freeze = bizId();
  await wallet("freeze", "350", "10", "--biz-id", freeze);
  await wallet("unfreeze", "350", "10", "--of", freeze, "--biz-id", bizId());
  await wallet("transfer", "350", "351", "400", "--biz-id", bizId());
  await wallet("withdraw", "350", "10", "--biz-id", bizId());
  const {json} = await wallet("log", "350", "--limit", "2", "--json");
  await wallet("log", "350", "--limit", "2", "--before", String(json.log[1].id));
  await run("repair", code);
  await run("repair", "--log");
  await run("repair", "--log", code);
}

const READS = /^(?:\(?SELECT|UPDATE|DELETE|INSERT INTO \w+ [^;]*SELECT)/i;

// All of its conditions are an index's, which has its order, too: the plan's estimate knows no LIMIT.
const PAGED = /FROM rp_risk (?:FORCE INDEX \(ix_code\) )?WHERE 1(?: AND (?:state|code|user_id) = \S+)?(?: AND id < \d+)? ORDER BY id DESC LIMIT \d+$/;

/** What is wrong with a statement's plan; empty if nothing. */
async function faults(text) {
  const plan = await sql(`EXPLAIN ${text.replace(/^\s+/, "")}`);
  return plan.flatMap((row) => {
    const table = row.table ?? "";
    const list = [];
    const bounded = row.type === "index" && Number(row.rows) <= PAGE; // LIMIT along an index
    if (/^(ALL|index)$/.test(row.type ?? "") && !bounded && !table.startsWith("<") && !TINY.has(table)) list.push(`${table} is read whole (${row.rows} rows)`);
    if (Number(row.rows) > ROWS && !PAGED.test(text)) list.push(`${row.rows} rows of ${table} are read`);
    if (/filesort/.test(row.Extra ?? "")) list.push(`${table} is sorted`);
    if (/temporary/.test(row.Extra ?? "")) list.push(`${table} goes through a temporary table`);
    return list;
  });
}

test("every statement of a rain's life finds its rows by an index, in their order", {skip: skipWithoutRoot, timeout: 300_000}, async (t) => {
  await live();
  const statements = await logStop();
  const byShape = new Map();
  for (const {text} of statements) if (READS.test(text)) byShape.set(shape(text), text);
  t.diagnostic(`${statements.length} statements, ${byShape.size} shapes, ${GRANTS} grants`);
  assert.ok(byShape.size >= 40, [...byShape.keys()].join("\n"));
  const bad = [];
  for (const [name, text] of byShape) {
    const list = await faults(text).catch((error) => [error.message]);
    if (list.length) bad.push(`${name}\n    ${list.join("; ")}`);
  }
  assert.deepEqual(bad, []);
});

test("a query without an index is found", {skip: skipWithoutRoot}, async () => {
  assert.match((await faults("SELECT user_id FROM rp_grant WHERE amount = 5")).join(), /read whole/);
  assert.match((await faults("SELECT amount FROM rp_grant WHERE user_id = 100007 ORDER BY amount")).join(), /sorted/);
  assert.deepEqual(await faults("SELECT amount FROM rp_grant WHERE user_id = 100007 ORDER BY granted_at"), []);
});

test("grants of a rain and of a user come page by page, none twice, none left out", {timeout: 120_000}, async () => {
  const room = newRoom("pages");
  const viewers = await Promise.all(["310", "311", "312"].map((user) => enter(stack, user, {room})));
  const {code: rain} = await startRain(stack, {room, total: 9000, count: 90, limit: 7, shards: 3});
  const wins = (await Promise.all(viewers.map((v) => grabAll(v, rain)))).flatMap((r) => r.wins);
  assert.equal(wins.length, 21);
  await closeRain(stack, rain);
  await settled(stack, rain);
  const all = [];
  let next = {after_shard: 0};
  while (next) {
    const query = Object.entries(next).map(([k, v]) => `&${k}=${v}`).join("");
    const page = await stack.must("GET", `/api/v1/rains/${rain}/grants?limit=4${query}`);
    assert.ok(page.grants.length <= 4);
    all.push(...page.grants);
    ({next} = page);
  }
  const key = (g) => `${g.user}/${g.seq}/${g.shard}/${g.no}=${g.amount}`;
  assert.deepEqual(all.map(key).sort(), wins.map(key).sort());
  assert.ok(all.every((g) => g.state === "settled"));
  const {stdout} = await stack.ctl(["rain", "grants", rain, "--json"]);
  assert.deepEqual(stdout.trim().split("\n").map((line) => key(JSON.parse(line))), all.map(key));
  const unknown = await stack.api("GET", `/api/v1/rains/${"A".repeat(22)}/grants`);
  assert.equal(unknown.status, 404);
  for (const bad of ["limit=0", "limit=501", "limit=x", "after_shard=-1", "after_no=x"]) {
    assert.equal((await stack.api("GET", `/api/v1/rains/${rain}/grants?${bad}`)).status, 400, bad);
  }
  await Promise.all(viewers.map((v) => v.close()));
});

test("numbers of many rains in one answer", async () => {
  const room = newRoom("stats");
  const codes = [];
  for (let i = 0; i < 3; i++) codes.push((await startRain(stack, {room, total: 100 + i, count: 2})).code);
  const {rains} = await stack.must("POST", "/api/v1/rains/stats", {codes: [...codes, "A".repeat(22)]});
  assert.deepEqual(new Map(rains.map((r) => [r.code, r.remain_fen])), new Map(codes.map((c, i) => [c, 100 + i]).sort()));
  for (const bad of [{}, {codes: []}, {codes: ["x"]}, {codes: [5]}, {codes: "x"}, {codes: Array(501).fill(codes[0])}]) {
    assert.equal((await stack.api("POST", "/api/v1/rains/stats", bad)).status, 400, JSON.stringify(bad).slice(0, 60));
  }
  for (const of of codes) await closeRain(stack, of);
});

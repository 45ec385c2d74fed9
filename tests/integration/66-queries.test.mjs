// What runs all the time must not read whole tables: every statement the product sends in the life of a rain is taken from the
// database's log and explained on books of a hundred thousand grants (a million with ./dev test --long).
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {enter, OP, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {logStart, logStop, own, rootSql, shape, skipWithoutRoot} from "../lib/sql-log.mjs";
import {ANCHOR, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const LONG = process.env.REDRAIN_TEST_LONG === "1";
const GRANTS = LONG ? 1_000_000 : 100_000;
const PER_RAIN = 1000;
const RAINS = 5000; // most of them without grants
const USERS = 20_000;
const PAGE = 500;
const ROWS = 5000; // more than a rain of this test has of anything
const TINY = new Set(["rp_offset", "rp_schema", "rp_lease"]); // never more rows than partitions, versions, jobs

let stack;
before(async () => {
  if (!skipWithoutRoot) await logStart();
  stack = await startStack({workers: 1, conf: {"settler.verify_interval_s": 0}});
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
  await stack.must("POST", `/api/v1/rains/${first}/extend`, {add_ms: 1000});
  await closeRain(stack, first);
  await settled(stack, first);
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
  for (const of of [first, second, third]) {
    const {code: exit, stdout} = await stack.ctl(["verify", of]);
    assert.equal(exit, 0, stdout);
  }
  assert.equal((await stack.ctl(["prove", first])).code, 0);
  await Promise.all([anchor, ...viewers].map((c) => c.close()));
}

const READS = /^(?:\(?SELECT|UPDATE|DELETE|INSERT INTO \w+ [^;]*SELECT)/i;

/** What is wrong with a statement's plan; empty if nothing. */
async function faults(text) {
  const plan = await sql(`EXPLAIN ${text.replace(/^\s+/, "")}`);
  return plan.flatMap((row) => {
    const table = row.table ?? "";
    const list = [];
    const bounded = row.type === "index" && Number(row.rows) <= PAGE; // LIMIT along an index
    if (/^(ALL|index)$/.test(row.type ?? "") && !bounded && !table.startsWith("<") && !TINY.has(table)) list.push(`${table} is read whole (${row.rows} rows)`);
    if (Number(row.rows) > ROWS) list.push(`${row.rows} rows of ${table} are read`);
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

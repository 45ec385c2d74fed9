// From the push of a rain's numbers to its end nobody's JOIN, GRAB or STATS costs a SQL statement, on any worker, also on one that
// meets the room only then; and what changes a rain is in every worker's memory within a second.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {enter, OP, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {mysqlUrl} from "../lib/services.mjs";
import {logStart, logStop, own, rootSql, shape, skipWithoutRoot} from "../lib/sql-log.mjs";
import {ANCHOR, closeRain, grabAll, newRoom, prepareRain, settled, showRain, startRain} from "./helpers.mjs";

const WORKERS = 3;
const REACH_MS = 1000; // the promise
const SETTLER = "redrainsettler";
/** What the admin child asks by itself, for nobody. */
const BACKGROUND = [/^SELECT \?, id, config_code, shards FROM t_red_packet_config FORCE INDEX \(ix_status\) WHERE status = \?/, /^SELECT COALESCE\(MAX\(version\)/,
  /^SELECT VERSION/i, /^SET /, /rp_schema/];

let stack;
before(async () => {
  stack = await startStack({workers: WORKERS, settler: false, conf: {"settler.verify_interval_s": 0}});
});
after(async () => {
  await stack?.stop();
  if (!skipWithoutRoot) await rootSql(`DROP USER IF EXISTS '${SETTLER}'@'127.0.0.1'`);
});

/** The settler under a name of its own, so that the log tells whose statement it was. */
async function startSettlerAs(user) {
  const url = new URL(mysqlUrl);
  await rootSql(`CREATE USER IF NOT EXISTS '${user}'@'127.0.0.1' IDENTIFIED BY '${decodeURIComponent(url.password)}';
    GRANT ALL PRIVILEGES ON \`%redrain%\`.* TO '${user}'@'127.0.0.1'`);
  url.username = user;
  process.env.REDRAIN_MYSQL_URL = url.href;
  stack.settler.start();
  delete process.env.REDRAIN_MYSQL_URL;
}

async function metric(name) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const found = new RegExp(`^redrain_${name}(?:{[^}]*})? (\\d+)`, "m").exec(text);
  assert.ok(found, `${name} is a metric`);
  return Number(found[1]);
}

/** Viewers until each worker has some: by the workers' own counts of members. */
async function crowd(room, from, n) {
  return Promise.all(Array.from({length: n}, (_, i) => enter(stack, String(from + i), {room})));
}

test("no SQL from the config push to the end", {skip: skipWithoutRoot, timeout: 120_000}, async (t) => {
  const room = newRoom("caches");
  await startSettlerAs(SETTLER);
  const first = await enter(stack, "400", {room});
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", maySend: true});
  const code = await prepareRain(stack, {room, total: 5000, count: 50, limit: 3, shards: 2});
  await stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 500, duration_ms: 60_000});
  await first.push("RED_PACKET_CONFIG");

  await logStart();
  const before_ = {sql: await metric("db_statements_total"), cached: await metric("stats_cached_total"), memory: await metric("grabs_memory_total")};
  // On 3 workers by 24 sockets: each gets some (a miss has a chance of 2 in 10,000), most of them never heard of the room.
  const viewers = await crowd(room, 410, 24);
  const seen = new Set();
  let wins = [];
  for (const v of viewers) {
    const results = await grabAll(v, code);
    wins = wins.concat(results.wins);
    seen.add(results.last?.name);
    assert.equal((await v.grab("A".repeat(22), 0, false)).name, "NOT_FOUND", "an unknown rain asks nobody");
  }
  assert.equal(wins.length, 50);
  assert.ok(seen.has("SOLD_OUT"));
  let rows;
  await until("STATS shows what was settled", async () => {
    ({rains: rows} = await anchor.request(OP.STATS, {}));
    return rows.find((r) => r.code === code)?.settled === 50;
  });
  const row = rows.find((r) => r.code === code);
  assert.deepEqual([row.status, row.total, row.settled_fen, row.remain_fen, row.limit], ["SENT", 5000, 5000, 0, 3]);
  const one = await anchor.request(OP.STATS, {code});
  assert.deepEqual([one.rains.length, one.rains[0].code, one.rains[0].settled], [1, code, 50]);
  for (let i = 0; i < 20; i++) assert.equal((await anchor.request(OP.STATS, {})).name, "OK");
  await first.join(room);
  const after_ = {sql: await metric("db_statements_total"), cached: await metric("stats_cached_total"), memory: await metric("grabs_memory_total")};
  const statements = await logStop();

  const servers = statements.filter(({user}) => user !== SETTLER).map(({text}) => shape(text));
  const asked = servers.filter((text) => !BACKGROUND.some((b) => b.test(text)));
  assert.deepEqual(asked, [], "the server sent nothing for anybody");
  assert.ok(statements.some(({user, text}) => user === SETTLER && /INSERT INTO rp_grant/.test(text)), "the log was on");
  assert.equal(after_.sql - before_.sql, 0, "its own counter says the same");
  assert.ok(after_.cached - before_.cached >= 22, "STATS came from Redis");
  assert.ok(after_.memory > before_.memory, "sold out is said from memory");
  t.diagnostic(`${statements.length} statements of settler and sweeper, ${asked.length} for people`);

  await closeRain(stack, code);
  await settled(stack, code);
  const {rains: end} = await anchor.request(OP.STATS, {});
  assert.equal(end.find((r) => r.code === code).status, "SETTLED");
  await Promise.all([first, anchor, ...viewers].map((c) => c.close()));
});

test("a counter that counts: MY_GRANTS is SQL", async () => {
  const room = newRoom("counts");
  const viewer = await enter(stack, "401", {room});
  const was = await metric("db_statements_total");
  assert.equal((await viewer.request(OP.MY_GRANTS, {})).name, "OK");
  assert.ok(await metric("db_statements_total") > was);
  await viewer.close();
});

test("a deposit and a new rain in the middle of a rain are seen", async () => {
  const room = newRoom("middle");
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", maySend: true});
  const {code} = await startRain(stack, {room, total: 100, count: 10, limit: 1, shards: 1});
  await anchor.push("RED_PACKET_CONFIG");
  const {balance} = await anchor.request(OP.STATS, {});
  await stack.deposit(ANCHOR, 777);
  const stats = await anchor.request(OP.STATS, {});
  assert.equal(stats.balance, balance + 777);
  const {code: second} = await stack.must("POST", "/api/v1/rains", {room, sender: ANCHOR, total: 700, count: 7, biz_id: "second"});
  const {rains, balance: left} = await anchor.request(OP.STATS, {});
  assert.deepEqual(rains.map((r) => [r.code, r.status]), [[second, "CREATED"], [code, "SENT"]]);
  assert.equal(left, balance + 77);
  await closeRain(stack, code);
  await stack.must("POST", `/api/v1/rains/${second}/cancel`, {});
  await anchor.close();
});

test("Redis lost the figures: SQL is asked, and the answer is right", async () => {
  const room = newRoom("lost");
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", maySend: true});
  const {code} = await startRain(stack, {room, total: 100, count: 10, limit: 1, shards: 1});
  await anchor.push("RED_PACKET_CONFIG");
  const was = await metric("stats_missed_total");
  assert.equal(await stack.redis.del(`${stack.namespace}{${room}}:stats`), 1);
  const {rains} = await anchor.request(OP.STATS, {});
  assert.deepEqual(rains.map((r) => [r.code, r.status, r.remain_fen]), [[code, "SENT", 100]]);
  assert.equal(await metric("stats_missed_total") - was, 1);
  await stack.redis.hset(`${stack.namespace}{${room}}:stats`, "rains", Buffer.from("93"), "at", "1");
  assert.equal((await anchor.request(OP.STATS, {})).rains.length, 1, "bytes that are not ours are no figures");
  await closeRain(stack, code);
  await anchor.close();
});

test("EXTEND and CLOSE reach every worker's memory within a second", {timeout: 120_000}, async (t) => {
  const room = newRoom("reach");
  const viewers = await crowd(room, 500, 24);
  const {code, end_at: end} = await startRain(stack, {room, total: 2400, count: 240, limit: 5, shards: 1, duration_ms: 60_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const reach = async (name, act, fits) => {
    const from = viewers.map((v) => v.pushes.length);
    const began = performance.now();
    const answer = await act();
    const ms = await Promise.all(viewers.map(async (v, i) => {
      await v.push(name, fits, {from: from[i]});
      return performance.now() - began;
    }));
    t.diagnostic(`${name}: the last of ${viewers.length} sockets on ${WORKERS} workers after ${Math.max(...ms).toFixed(1)} ms`);
    assert.ok(Math.max(...ms) <= REACH_MS, `${name} after ${Math.max(...ms)} ms`);
    return answer;
  };
  await reach("RED_PACKET_CONFIG", () => stack.must("POST", `/api/v1/rains/${code}/extend`, {add_ms: 5000}), (p) => p.end_at === end + 5000);
  for (const v of viewers) assert.equal((await v.grab(code, 0, false)).name, "OK");
  await reach("RED_PACKET_END", () => closeRain(stack, code), (p) => p.config_code === code);
  const was = await metric("grabs_memory_total");
  for (const v of viewers) assert.equal((await v.grab(code, 1, false)).name, "ENDED");
  assert.equal(await metric("grabs_memory_total") - was, viewers.length, "each worker says so from its memory");
  assert.notEqual((await showRain(stack, code)).status, "SENT");
  await Promise.all(viewers.map((v) => v.close()));
});

test("CANCEL in the countdown reaches every worker's memory within a second", {timeout: 60_000}, async (t) => {
  const room = newRoom("off");
  const viewers = await crowd(room, 530, 24);
  const {code} = await startRain(stack, {room, total: 2400, count: 240, limit: 5, shards: 1, countdown_ms: 2500});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const began = performance.now();
  await stack.must("POST", `/api/v1/rains/${code}/cancel`, {});
  const ms = await Promise.all(viewers.map(async (v) => {
    await v.push("RED_PACKET_CANCEL", (p) => p.config_code === code);
    return performance.now() - began;
  }));
  t.diagnostic(`the last of ${viewers.length} sockets after ${Math.max(...ms).toFixed(1)} ms`);
  assert.ok(Math.max(...ms) <= REACH_MS);
  const was = await metric("grabs_memory_total");
  let asked = 0;
  await Promise.all(viewers.map((v) => until("its time has come, and it is over", async () => {
    asked += 1;
    const {name} = await v.grab(code, 0, false);
    assert.ok(["NOT_STARTED", "ENDED"].includes(name), name);
    return name === "ENDED";
  }, {everyMs: 250})));
  assert.equal(await metric("grabs_memory_total") - was, asked, "never anything else, and always from memory");
  await Promise.all(viewers.map((v) => v.close()));
});

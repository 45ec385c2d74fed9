// A rain from create to SETTLED, by the anchor's socket and by the API, and every way to ask wrongly.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, assertBooks, balance, bizId, closeRain, grabAll, newRoom, prepareRain, settled, showRain, startRain}
  from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000}}); });
after(() => stack?.stop());

const anchorIn = (room, user = ANCHOR) => enter(stack, user, {room, role: "anchor", maySend: true});

test("from create to settled by the anchor's socket: every step tells, every fen is accounted", async () => {
  const room = newRoom();
  const sender = "9100";
  await stack.deposit(sender, 10_000);
  const anchor = await anchorIn(room, sender);
  const viewers = [await enter(stack, "101", {room}), await enter(stack, "102", {room})];
  const spec = {biz_id: bizId(), total: 6000, count: 6, limit: 2, split: "double-mean", text: "恭喜发财", duration_ms: 30_000};
  const created = await anchor.request(OP.CREATE, spec);
  assert.equal(created.name, "OK", JSON.stringify(created));
  assert.match(created.code, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(created.status, "CREATED");
  assert.equal(created.balance, 4000, "the money is frozen at once");
  assert.match(created.seed_hash, /^[0-9a-f]{64}$/);
  const {code} = created;
  assert.equal((await anchor.request(OP.PREPARE, {code})).status, "PREPARED");
  const started = await anchor.request(OP.START, {code, countdown_ms: 700});
  assert.equal(started.status, "SENT");
  assert.equal(started.end_at - started.open_at, 30_000);
  const all = [anchor, ...viewers];
  for (const m of all) {
    const {payload, seq} = await m.push("RED_PACKET_CONFIG");
    assert.ok(seq > 0);
    assert.equal(payload.config_code, code);
    assert.deepEqual([payload.total_count, payload.total_price, payload.limit, payload.text, payload.sender, payload.split],
      [6, 6000, 2, "恭喜发财", sender, "double-mean"]);
    assert.equal(payload.open_at, started.open_at);
    assert.equal(payload.seed_hash, created.seed_hash);
    assert.ok(payload.countdown_ms <= 700 && payload.now <= payload.open_at);
    assert.equal(JSON.stringify(payload).includes("amount"), false, "no amounts before they are won");
  }
  const won = [];
  for (const v of viewers) {
    const {wins, last} = await grabAll(v, code);
    assert.equal(wins.length, 2);
    assert.equal(last.name, "LIMIT");
    won.push(...wins);
  }
  assert.deepEqual([...new Set(won.map((w) => w.no))].length, 4, "no packet twice");
  for (const v of viewers) {
    for (const w of won.filter((x) => x.user === v.user)) {
      await v.push("GRANT_SETTLED", (p) => p.seq === w.seq && p.amount === w.amount && p.state === "settled", {timeoutMs: 20_000});
    }
    const {grants} = await v.request(OP.MY_GRANTS, {code});
    assert.deepEqual(grants.map((g) => g.amount).sort(), won.filter((x) => x.user === v.user).map((w) => w.amount).sort());
    assert.ok(grants.every((g) => g.state === "settled"));
  }
  const stats = await anchor.request(OP.STATS, {code});
  const live = stats.rains.find((r) => r.code === code);
  assert.deepEqual([live.status, live.granted, live.total, live.count], ["SENT", 4, 6000, 6]);
  assert.ok(["CLOSING", "SETTLED"].includes((await anchor.request(OP.CLOSE, {code})).status));
  const fen = won.reduce((sum, w) => sum + w.amount, 0);
  for (const m of all) {
    await m.push("RED_PACKET_END");
    const {payload} = await m.push("RED_PACKET_RESULT", () => true, {timeoutMs: 20_000});
    assert.deepEqual([payload.granted, payload.granted_price, payload.refunded_price, payload.total_price], [4, fen, 6000 - fen, 6000]);
    const best = won.reduce((a, b) => (b.amount > a.amount ? b : a));
    assert.equal(payload.max_price, best.amount);
    assert.equal(payload.best.amount, best.amount);
    assert.match(payload.seed, /^[0-9a-f]{64}$/);
    assert.equal(payload.seed_hash, created.seed_hash);
    assert.ok(payload.top.length >= 2 && payload.top.length <= 10);
    const amounts = won.map((w) => w.amount).sort((x, y) => y - x);
    assert.deepEqual(payload.hist.flatMap(([amount, n]) => Array(n).fill(amount)), amounts);
  }
  const rain = await settled(stack, code);
  assert.deepEqual([rain.total_get, rain.total_get_price, rain.remain_fen, rain.refunded_fen], [4, fen, 0, 6000 - fen]);
  assert.equal(await balance(stack, sender), 10_000 - fen);
  await assertBooks(stack, code, won, {total: 6000, sender});
  await stack.verify();
  for (const m of all) await m.close();
});

test("sold out is told to everybody, with the time", async () => {
  const room = newRoom();
  const [a, b] = [await enter(stack, "111", {room}), await enter(stack, "112", {room})];
  const {code} = await startRain(stack, {room, count: 3, total: 9, limit: 5});
  await a.push("RED_PACKET_CONFIG");
  const {wins, last} = await grabAll(a, code);
  assert.equal(wins.length, 3);
  assert.equal(last.name, "SOLD_OUT");
  assert.equal(wins.reduce((sum, w) => sum + w.amount, 0), 9);
  assert.equal((await b.grab(code)).name, "SOLD_OUT");
  await b.push("RED_PACKET_TICK", (p) => p.granted === 3 && p.granted_price === 9);
  await closeRain(stack, code);
  const {payload} = await b.push("RED_PACKET_RESULT", () => true, {timeoutMs: 20_000});
  assert.ok(payload.sold_out_at > 0);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 9});
  await a.close();
  await b.close();
});

test("what is left counts down in each answer", async () => {
  const room = newRoom();
  const a = await enter(stack, "115", {room});
  const {code} = await startRain(stack, {room, count: 4, total: 40, limit: 4, split: "equal"});
  await a.push("RED_PACKET_CONFIG");
  const left = [];
  for (let seq = 0; seq < 4; seq += 1) {
    const reply = await a.grab(code, seq);
    assert.equal(reply.amount, 10);
    left.push(reply.left);
  }
  assert.deepEqual(left, [3, 2, 1, 0]);
  await closeRain(stack, code);
  await a.close();
});

test("creates that cannot be are refused, by socket and by API, and freeze nothing", async () => {
  const room = newRoom();
  const sender = "9200";
  await stack.deposit(sender, 5000);
  const anchor = await anchorIn(room, sender);
  const good = {total: 1000, count: 10};
  const bad = [
    [{total: 9}, "total|count|lo"], [{total: 0}, "total"], [{total: -1000}, "total"], [{total: -(2 ** 53)}, "total"],
    [{total: Number.MAX_SAFE_INTEGER}, "total"], [{count: 0}, "count"], [{count: -1}, "count"], [{count: 1_000_001}, "count"],
    [{count: 2 ** 32 + 10}, "count"], [{lo: 101}, "total|count|lo"], [{hi: 99}, "total|count|hi"], [{lo: 50, hi: 40}, "hi|lo"], [{lo: -1}, "lo"],
    [{limit: 0}, "limit"], [{limit: -1}, "limit"], [{limit: 1001}, "limit"], [{shards: 0}, "shards"], [{shards: 65}, "shards"],
    [{shards: -1}, "shards"], [{split: "unfair"}, "split"], [{duration_ms: 1}, "duration_ms"], [{duration_ms: -1}, "duration_ms"],
    [{text: "a\u0007b"}, "text"], [{biz_id: "has space"}, "biz_id"],
  ];
  for (const [change, field] of bad) {
    const body = {biz_id: bizId(), ...good, ...change};
    const reply = await anchor.request(OP.CREATE, body);
    assert.equal(reply.name, "BAD_REQUEST", JSON.stringify(change));
    assert.match(reply.field, new RegExp(`^(${field})$`), JSON.stringify(change));
    const {status, body: answer} = await stack.api("POST", "/api/v1/rains", {room, sender, ...body});
    assert.equal(status, 400, `API ${JSON.stringify(change)}`);
    assert.match(answer.field, new RegExp(`^(${field})$`), `API ${JSON.stringify(change)}`);
  }
  assert.equal(await balance(stack, sender), 5000);
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM t_red_packet_config WHERE sender_id = ?", [sender]);
  assert.equal(Number(n), 0);
  await anchor.close();
});

test("more than the wallet holds is refused, exactly all of it is not", async () => {
  const room = newRoom();
  const sender = "9201";
  await stack.deposit(sender, 100);
  const anchor = await anchorIn(room, sender);
  const refused = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 101, count: 1});
  assert.equal(refused.name, "CONFLICT");
  assert.ok(refused.reason);
  const nobody = await anchorIn(room, "9202");
  assert.equal((await nobody.request(OP.CREATE, {biz_id: bizId(), total: 1, count: 1})).name, "CONFLICT");
  const created = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 100, count: 1});
  assert.equal(created.name, "OK");
  assert.equal(created.balance, 0);
  // Two at once for the last fen: one of them.
  await stack.deposit(sender, 10);
  const both = await Promise.all([1, 2].map(() => anchor.request(OP.CREATE, {biz_id: bizId(), total: 10, count: 1})));
  assert.deepEqual(both.map((r) => r.name).sort(), ["CONFLICT", "OK"]);
  await anchor.close();
  await nobody.close();
});

test("the same biz_id is one rain; with another payload it is a conflict", async () => {
  const room = newRoom();
  const sender = "9203";
  await stack.deposit(sender, 1000);
  const anchor = await anchorIn(room, sender);
  const body = {biz_id: bizId(), total: 100, count: 5, text: "一"};
  const replies = await Promise.all(Array.from({length: 10}, () => anchor.request(OP.CREATE, body)));
  assert.deepEqual([...new Set(replies.map((r) => r.name))], ["OK"]);
  assert.equal(new Set(replies.map((r) => r.code)).size, 1, "one rain");
  assert.equal(await balance(stack, sender), 900, "one debit");
  for (const change of [{total: 101}, {count: 6}, {text: "二"}, {limit: 2}, {split: "equal"}]) {
    assert.equal((await anchor.request(OP.CREATE, {...body, ...change})).name, "CONFLICT", JSON.stringify(change));
  }
  const {status, body: again} = await stack.api("POST", "/api/v1/rains", {room, sender, ...body});
  assert.equal(status, 200);
  assert.equal(again.code, replies[0].code, "socket and API end in the same function");
  assert.equal(await balance(stack, sender), 900);
  await anchor.close();
});

test("steps out of order", async () => {
  const room = newRoom();
  const sender = "9204";
  await stack.deposit(sender, 1000);
  const anchor = await anchorIn(room, sender);
  const {code} = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 100, count: 5});
  assert.equal((await anchor.request(OP.START, {code})).name, "CONFLICT", "start before prepare");
  assert.equal((await anchor.request(OP.EXTEND, {code, add_ms: 1000})).name, "CONFLICT", "extend before start");
  assert.equal((await anchor.request(OP.PREPARE, {code})).status, "PREPARED");
  const again = await anchor.request(OP.PREPARE, {code});
  assert.equal(again.name, "OK", "prepare twice is the same prepare");
  assert.equal(again.status, "PREPARED");
  assert.equal(Number(await stack.redis.llen(`${stack.namespace}redpkt:{${code}:0}:list`)), 5, "the list is there once");
  const starts = await Promise.all(Array.from({length: 5}, () => anchor.request(OP.START, {code, countdown_ms: 60_000})));
  assert.deepEqual(starts.map((r) => r.name).sort(), ["CONFLICT", "CONFLICT", "CONFLICT", "CONFLICT", "OK"]);
  await anchor.push("RED_PACKET_CONFIG");
  assert.equal((await anchor.request(OP.PREPARE, {code})).name, "CONFLICT", "prepare after start");
  assert.equal(anchor.pushesOf("RED_PACKET_CONFIG").length, 1, "one countdown");
  await anchor.request(OP.CLOSE, {code});
  await settled(stack, code);
  assert.equal((await anchor.request(OP.START, {code})).name, "CONFLICT", "start after the end");
  assert.equal((await anchor.request(OP.CANCEL, {code})).name, "CONFLICT", "cancel after the end");
  const closedAgain = await anchor.request(OP.CLOSE, {code});
  assert.ok(["OK", "CONFLICT"].includes(closedAgain.name));
  assert.equal(await balance(stack, sender), 1000);
  for (const [op, body] of [[OP.PREPARE, {}], [OP.START, {}], [OP.CLOSE, {}], [OP.CANCEL, {}], [OP.EXTEND, {add_ms: 1}], [OP.STATS, {}]]) {
    assert.equal((await anchor.request(op, {code: "A".repeat(22), ...body})).name, "NOT_FOUND", `op ${op}, unknown code`);
    assert.ok(["BAD_REQUEST", "NOT_FOUND"].includes((await anchor.request(op, {code: "short", ...body})).name));
  }
  await anchor.close();
});

test("an anchor acts on rains of its own room only", async () => {
  const [mine, theirs] = [newRoom(), newRoom()];
  const code = await prepareRain(stack, {room: theirs});
  const anchor = await anchorIn(mine, "9205");
  for (const [op, body] of [[OP.PREPARE, {}], [OP.START, {}], [OP.CLOSE, {}], [OP.CANCEL, {}], [OP.EXTEND, {add_ms: 1}], [OP.STATS, {}]]) {
    assert.equal((await anchor.request(op, {code, ...body})).name, "NOT_FOUND", `op ${op}`);
  }
  assert.equal((await showRain(stack, code)).status, "PREPARED");
  const {rains} = await anchor.request(OP.STATS);
  assert.deepEqual(rains, []);
  await anchor.close();
});

test("grabs that may not win do not win", async () => {
  const [room, elsewhere] = [newRoom(), newRoom()];
  const v = await enter(stack, "121", {room});
  const w = await enter(stack, "122", {room: elsewhere});
  const outside = await enter(stack, "123", {});
  const prepared = await prepareRain(stack, {room, count: 5, total: 50});
  assert.ok(["NOT_FOUND", "NOT_STARTED"].includes((await v.grab(prepared)).name), "prepared, not started");
  const {code, open_at: openAt} = await startRain(stack, {room, count: 5, total: 50, limit: 2, countdown_ms: 1500});
  await v.push("RED_PACKET_CONFIG");
  assert.equal((await v.grab(code)).name, "NOT_STARTED");
  assert.equal((await v.grab(code, 0, true)).name, "NOT_STARTED", "asked again: by the script");
  assert.equal((await outside.grab(code)).name, "NOT_ELIGIBLE", "without join");
  assert.equal((await v.grab("A".repeat(22))).name, "NOT_FOUND", "unknown code");
  assert.ok(["NOT_FOUND", "BAD_REQUEST"].includes((await v.grab("short")).name));
  assert.equal((await w.grab(code)).name, "NOT_FOUND", "code of another room");
  assert.equal((await w.grab(code, 0, true)).name, "NOT_FOUND", "code of another room, again");
  await until("the rain is open", async () => (await v.request(OP.PING, {t0: 0})).t1 >= openAt);
  assert.equal((await w.grab(code, 0)).name, "NOT_FOUND", "code of another room while open");
  assert.equal((await outside.grab(code)).name, "NOT_ELIGIBLE");
  const bad = await v.grab(code, 1);
  assert.equal(bad.name, "BAD_SEQ");
  assert.equal(bad.next, 0);
  const win = await v.grab(code, 0);
  assert.equal(win.name, "OK");
  for (const again of [false, true, true]) {
    const replay = await v.grab(code, 0, again);
    assert.deepEqual([replay.name, replay.amount, replay.no, replay.shard], ["OK", win.amount, win.no, win.shard], "the same seq is the same win");
  }
  assert.equal((await v.grab(code, 1)).name, "OK");
  assert.equal((await v.grab(code, 2)).name, "LIMIT");
  assert.equal((await v.grab(code, 2, true)).name, "LIMIT");
  assert.equal((await v.grab(code, 999)).name === "OK", false);
  await closeRain(stack, code);
  await v.push("RED_PACKET_END");
  const late = await enter(stack, "124", {room});
  assert.equal((await late.grab(code)).name, "ENDED");
  assert.equal((await v.grab(code, 0, true)).amount, win.amount, "a win is replayed after the end too");
  await settled(stack, code);
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ? AND state <> 3", [code]);
  assert.equal(Number(n), 2);
  const rejoined = await enter(stack, "121", {room});
  await stack.must("POST", `/api/v1/rains/${prepared}/cancel`, {});
  for (const m of [v, w, outside, late, rejoined]) await m.close();
});

test("JOIN tells the next seq, MY_GRANTS the wins", async () => {
  const room = newRoom();
  const v = await enter(stack, "131", {room});
  const {code} = await startRain(stack, {room, count: 5, total: 50, limit: 3});
  await v.push("RED_PACKET_CONFIG");
  const wins = [await v.grab(code, 0), await v.grab(code, 1)];
  await v.close();
  const back = await enter(stack, "131", {room});
  // Also where the other worker got this socket and has just loaded the room.
  assert.deepEqual(back.joinReply.next, {[code]: 2});
  await until("both are in the books", async () => {
    const {grants} = await back.request(OP.MY_GRANTS, {code});
    return grants.length === 2 && grants.every((g) => g.state === "settled");
  }, {timeoutMs: 20_000, everyMs: 250});
  const {grants} = await back.request(OP.MY_GRANTS, {});
  assert.deepEqual(grants.filter((g) => g.code === code).map((g) => g.amount).sort(), wins.map((w) => w.amount).sort());
  const other = await enter(stack, "132", {room});
  assert.deepEqual((await other.request(OP.MY_GRANTS, {code})).grants, []);
  await closeRain(stack, code);
  await settled(stack, code);
  await back.close();
  await other.close();
});

test("cancel gives everything back, created or prepared, once", async () => {
  const room = newRoom();
  const sender = "9206";
  await stack.deposit(sender, 500);
  const anchor = await anchorIn(room, sender);
  for (const prepare of [false, true]) {
    const {code, balance: left} = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 200, count: 4, shards: 2});
    assert.equal(left, 300);
    if (prepare) await anchor.request(OP.PREPARE, {code});
    const replies = await Promise.all(Array.from({length: 5}, () => anchor.request(OP.CANCEL, {code})));
    assert.ok(replies.some((r) => r.name === "OK" && r.status === "CANCELLED"), JSON.stringify(replies));
    await until("the money is back", async () => (await balance(stack, sender)) === 500);
    assert.equal((await anchor.request(OP.PREPARE, {code})).name, "CONFLICT");
    assert.equal((await anchor.request(OP.START, {code})).name, "CONFLICT");
    await anchor.push("RED_PACKET_CANCEL", (p) => p.config_code === code);
  }
  await stack.verify();
  await anchor.close();
});

test("extend moves the end for everybody", async () => {
  const room = newRoom();
  const v = await enter(stack, "141", {room});
  const {code, end_at: end} = await startRain(stack, {room, count: 5, total: 50, duration_ms: 1500});
  await v.push("RED_PACKET_CONFIG");
  const moved = await stack.must("POST", `/api/v1/rains/${code}/extend`, {add_ms: 20_000});
  assert.equal(moved.end_at, end + 20_000);
  await v.push("RED_PACKET_CONFIG", (p) => p.end_at === end + 20_000);
  await until("the old end has passed", async () => (await v.request(OP.PING, {t0: 0})).t1 > end + 300);
  assert.equal(v.pushesOf("RED_PACKET_END").length, 0);
  const win = await v.grab(code);
  assert.equal(win.name, "OK", "after the old end");
  await closeRain(stack, code);
  await settled(stack, code);
  await v.close();
});

test("at its end a rain closes, refunds and settles by itself", async () => {
  const room = newRoom();
  const sender = "9207";
  const v = await enter(stack, "142", {room});
  const {code} = await startRain(stack, {room, sender, count: 10, total: 1000, duration_ms: 1500, shards: 3});
  await v.push("RED_PACKET_CONFIG");
  const {wins} = await grabAll(v, code);
  assert.equal(wins.length, 1);
  await v.push("RED_PACKET_END", () => true, {timeoutMs: 10_000});
  const late = await enter(stack, "143", {room});
  assert.equal((await late.grab(code, 0)).name, "ENDED");
  await late.close();
  const {payload} = await v.push("RED_PACKET_RESULT", () => true, {timeoutMs: 25_000});
  assert.equal(payload.granted, 1);
  await settled(stack, code);
  assert.equal(await balance(stack, sender), 1000 - wins[0].amount);
  await assertBooks(stack, code, wins, {total: 1000, sender});
  await v.close();
});

test("splits: what is granted is what the seed says", async () => {
  for (const split of ["double-mean", "line-cut", "equal"]) {
    const room = newRoom();
    const v = await enter(stack, "151", {room});
    const {code} = await startRain(stack, {room, split, count: 20, total: 997, limit: 20});
    await v.push("RED_PACKET_CONFIG");
    const {wins} = await grabAll(v, code);
    assert.equal(wins.length, 20);
    assert.equal(wins.reduce((sum, w) => sum + w.amount, 0), 997);
    assert.ok(wins.every((w) => w.amount >= 1));
    if (split === "equal") assert.ok(wins.every((w) => w.amount === 49 || w.amount === 50));
    await closeRain(stack, code);
    await settled(stack, code);
    await v.close();
  }
  await stack.verify();
});

test("grabs over the rate are refused without reaching Redis, and cost nothing", async () => {
  const room = newRoom();
  const {code} = await startRain(stack, {room, count: 5, total: 50, countdown_ms: 60_000});
  const v = await enter(stack, "161", {room});
  const replies = await Promise.all(Array.from({length: 4000}, () => v.request(OP.GRAB, {code, seq: 0})));
  const limited = replies.filter((r) => r.name === "RATE_LIMITED");
  assert.ok(limited.length > 500, `${limited.length} refused`);
  assert.ok(limited.every((r) => r.retry_after_ms > 0));
  assert.ok(replies.every((r) => ["RATE_LIMITED", "NOT_STARTED"].includes(r.name)));
  await closeRain(stack, code);
  await v.close();
});

test("after all of it the books are clean", async () => {
  await stack.verify();
  const [{fen}] = await stack.sql("SELECT SUM(delta) AS fen FROM account_log");
  assert.equal(Number(fen), 0, "double entry");
});

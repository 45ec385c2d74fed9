// What happens at its time without anybody asking, and what is called off before it: starts, expiries, cancels, ends.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, assertBooks, balance, bizId, closeRain, grabAll, newRoom, settled, showRain, startRain} from "./helpers.mjs";

let stack;
before(async () => {
  stack = await startStack({workers: 3, conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000, "limits.send_per_min": 600}});
});
after(() => stack?.stop());

async function create(more) {
  const body = {room: newRoom(), sender: ANCHOR, total: 1000, count: 10, biz_id: bizId(), ...more};
  await stack.deposit(body.sender, body.total);
  return stack.must("POST", "/api/v1/rains", body);
}

const reaches = (code, status, timeoutMs = 20_000) => until(() => `rain ${code} is ${status}`, async () => {
  const rain = await showRain(stack, code);
  if (rain.status !== status) throw new Error(rain.status);
  return rain;
}, {timeoutMs, everyMs: 50});

/** Viewers on every worker: each worker gets its share of new sockets. */
async function viewersEverywhere(room, from) {
  const clients = [];
  for (let i = 0; i < 24; i += 1) clients.push(await enter(stack, String(from + i), {room}));
  return clients;
}

test("a scheduled rain starts with nobody connected, at its time", async () => {
  const startAt = Date.now() + 3000;
  const rain = await create({start_at: startAt, duration_ms: 60_000});
  const sent = await reaches(rain.code, "SENT");
  assert.equal(sent.open_at, startAt);
  assert.equal(sent.end_at, startAt + 60_000);
  const v = await enter(stack, "301", {room: rain.room});
  assert.equal(v.joinReply.rains[0].payload.config_code, rain.code, "who comes in the countdown sees it");
  await until("it is open", async () => (await v.request(OP.PING, {t0: 0})).t1 >= startAt);
  const {wins} = await grabAll(v, rain.code);
  assert.equal(wins.length, 1);
  await closeRain(stack, rain.code);
  await settled(stack, rain.code);
  await assertBooks(stack, rain.code, wins, {total: 1000});
  await v.close();
});

test("a scheduled rain can be created by the anchor's page, which then goes", async () => {
  const room = newRoom();
  await stack.deposit("9301", 500);
  const anchor = await enter(stack, "9301", {room, role: "anchor"});
  const {code, name} = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 500, count: 5, start_at: Date.now() + 1500, duration_ms: 1500});
  assert.equal(name, "OK");
  await anchor.close();
  await reaches(code, "SETTLED");
  assert.equal(await balance(stack, "9301"), 500, "nobody came: everything is back");
});

test("what nobody started is given back at its expiry, created or prepared", async () => {
  const sender = "9302";
  for (const prepare of [false, true]) {
    const rain = await create({sender, expire_at: Date.now() + 2500});
    const v = await enter(stack, "311", {room: rain.room});
    if (prepare) await stack.must("POST", `/api/v1/rains/${rain.code}/prepare`, {});
    const before = await balance(stack, sender);
    const gone = await reaches(rain.code, "CANCELLED");
    assert.equal(gone.refunded_fen, 1000);
    await v.push("RED_PACKET_CANCEL", (p) => p.config_code === rain.code);
    assert.equal(await balance(stack, sender), before + 1000);
    assert.equal((await stack.api("POST", `/api/v1/rains/${rain.code}/start`, {})).status, 409);
    await v.close();
  }
});

test("a packet closes at its expiry and the rest comes back, its sender gone", async () => {
  const room = newRoom();
  await stack.deposit("9303", 1000);
  const sender = await enter(stack, "9303", {room, maySend: true});
  const v = await enter(stack, "321", {room});
  const {code} = await sender.request(OP.SEND, {biz_id: bizId(), kind: "group", total: 1000, count: 10, expire_at: Date.now() + 2500});
  await sender.close();
  await v.push("RED_PACKET_CONFIG");
  const {wins} = await grabAll(v, code);
  await v.push("RED_PACKET_END");
  const rain = await settled(stack, code);
  assert.equal(rain.refunded_fen, 1000 - wins[0].amount);
  assert.equal(await balance(stack, "9303"), 1000 - wins[0].amount);
  await assertBooks(stack, code, wins, {total: 1000, sender: "9303"});
  await v.close();
});

test("a rain whose anchor went away ends at its end", async () => {
  const room = newRoom();
  await stack.deposit("9304", 300);
  const anchor = await enter(stack, "9304", {room, role: "anchor"});
  const {code} = await anchor.request(OP.CREATE, {biz_id: bizId(), total: 300, count: 3});
  await anchor.request(OP.PREPARE, {code});
  assert.equal((await anchor.request(OP.START, {code, countdown_ms: 100, duration_ms: 1000})).status, "SENT");
  anchor.cut();
  await settled(stack, code);
  assert.equal(await balance(stack, "9304"), 300);
});

test("cancel in the countdown: everything back once, every worker knows within a second, nobody wins", async () => {
  const room = newRoom();
  const sender = "9305";
  await stack.deposit(sender, 1000);
  const viewers = await viewersEverywhere(room, 331);
  // Two sockets of the anchor: the second is most likely on another worker.
  const [here, there] = [await enter(stack, sender, {room, role: "anchor"}), await enter(stack, sender, {room, role: "anchor"})];
  const {code} = await here.request(OP.CREATE, {biz_id: bizId(), total: 1000, count: 10, shards: 3});
  await here.request(OP.PREPARE, {code});
  await here.request(OP.START, {code, countdown_ms: 4000, duration_ms: 60_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const at = Date.now();
  const replies = await Promise.all([here, there, there].map((c) => c.request(OP.CANCEL, {code})));
  assert.deepEqual([...new Set(replies.map((r) => r.name))], ["OK"], JSON.stringify(replies));
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CANCEL", (p) => p.config_code === code, {timeoutMs: 5000})));
  assert.ok(Date.now() - at < 1000 + 500, `told after ${Date.now() - at} ms`);
  for (const v of viewers) {
    assert.notEqual((await v.grab(code)).name, "OK");
    assert.notEqual((await v.grab(code, 0, true)).name, "OK");
  }
  const rain = await reaches(code, "CANCELLED");
  assert.deepEqual([rain.refunded_fen, rain.settled_fen, rain.remain_fen], [1000, 0, 0]);
  assert.equal(await balance(stack, sender), 1000);
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM account_log WHERE biz_type = 'refund' AND biz_id LIKE ? AND leg = 1", [`R:${code}:%`]);
  assert.equal(Number(n), 3, "one refund per shard");
  await until("the opening has passed", () => Date.now() > rain.open_at + 200);
  assert.notEqual((await viewers[0].grab(code, 0, true)).name, "OK");
  assert.equal(viewers[0].pushesOf("RED_PACKET_END").length, 0);
  assert.equal(viewers[0].pushesOf("RED_PACKET_CANCEL").length, 1);
  await Promise.all([here, there, ...viewers].map((c) => c.close()));
});

test("after the opening a cancel is refused", async () => {
  const {code} = await startRain(stack, {room: newRoom()});
  assert.equal((await stack.api("POST", `/api/v1/rains/${code}/cancel`, {})).status, 409);
  await closeRain(stack, code);
  await settled(stack, code);
});

test("CLOSE and EXTEND reach every worker's memory within a second", async () => {
  const room = newRoom();
  const viewers = await viewersEverywhere(room, 361);
  const {code, end_at: endAt} = await startRain(stack, {room, count: 100, total: 1000, duration_ms: 2500});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  let at = Date.now();
  await stack.must("POST", `/api/v1/rains/${code}/extend`, {add_ms: 60_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG", (p) => p.end_at === endAt + 60_000)));
  assert.ok(Date.now() - at < 1500, `EXTEND told after ${Date.now() - at} ms`);
  await until("the first end has passed", () => Date.now() > endAt + 300);
  const won = [];
  for (const v of viewers) {
    const reply = await v.grab(code);
    assert.equal(reply.name, "OK", "memory of each worker has the new end");
    won.push({user: v.user, ...reply});
  }
  at = Date.now();
  const closed = stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_END", (p) => p.config_code === code)));
  assert.ok(Date.now() - at < 1500, `CLOSE told after ${Date.now() - at} ms`);
  await closed;
  const late = await Promise.all(viewers.map((v) => v.grab(code, 1)));
  assert.deepEqual([...new Set(late.map((r) => r.name))], ["ENDED"]);
  await settled(stack, code);
  await assertBooks(stack, code, won, {total: 1000});
  await Promise.all(viewers.map((c) => c.close()));
});

test("a step that keeps failing is counted, and goes on when it can", async () => {
  const rain = await create({start_at: Date.now() + 600_000});
  await stack.sql("UPDATE rp_task SET tries = 50 WHERE biz_id = ?", [`start:${rain.code}`]);
  const stuck = async () => Number(/^redrain_tasks_stuck\{[^}]*\} (\d+)/m.exec(await (await fetch(`${stack.adminUrl}/metrics`)).text())?.[1] ?? -1);
  await until("tasks_stuck is 1", async () => (await stuck()) === 1, {timeoutMs: 15_000});
  await stack.must("POST", `/api/v1/rains/${rain.code}/cancel`, {});
  await until("tasks_stuck is 0", async () => (await stuck()) === 0, {timeoutMs: 15_000});
});

test("after all of it the books are clean", async () => {
  await stack.verify();
});

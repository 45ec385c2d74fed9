// The twelve ways in which other red-packet rains lose, double or invent money, each tried on this one. docs/FAULTS.md has
// the list with the further tests of each.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {untilSettled} from "../lib/faults.mjs";
import {Failpoints, gone} from "../lib/failpoints.mjs";
import {History, assertOracle, playViewer, repeatWins} from "../lib/oracle.mjs";
import {skipWithoutDurableBroker} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, pooled, until} from "../lib/ws.mjs";
import {ANCHOR, balance, bizId, closeRain, grabAll, newRoom, prepareRain, settled, startRain} from "./helpers.mjs";

const points = new Failpoints();
let stack;
before(async () => {
  stack = await startStack({
    workers: 2, env: points.env,
    conf: {"limits.grab_per_s": 10_000, "limits.command_per_s": 1000, "kafka.message_timeout_ms": 1000, "settler.task_interval_ms": 50},
  });
});
after(async () => {
  try {
    await stack?.stop();
  } finally {
    points.remove();
  }
});

const key = (code, shard, part) => `${stack.namespace}redpkt:{${code}:${shard}}:${part}`;
const insist = (path, body, fine = [200]) => until(() => `POST ${path}`, async () => {
  const answer = await stack.api("POST", path, body);
  if (!fine.includes(answer.status)) throw new Error(answer.text);
  return answer.body;
}, {timeoutMs: 35_000, everyMs: 50});

test("bug 1: pop, then send: a crash in between loses nothing, a restarted prepare adds nothing, the sender pays", {skip: skipWithoutDurableBroker}, async () => {
  const sender = "9301";
  const room = newRoom("bug");
  await stack.deposit(sender, 1000);
  const {code} = await insist("/api/v1/rains", {sender, room, count: 10, total: 1000, limit: 2, shards: 1, biz_id: bizId()});
  assert.equal(await balance(stack, sender), 0, "the money left the sender before anything was handed out");
  for (const point of ["prepare.mid_list", "prepare.before_commit"]) {
    points.arm(point);
    stack.api("POST", `/api/v1/rains/${code}/prepare`, {}).catch(() => {});
    await gone(await points.waitHit(point));
    await stack.redis.del(`${stack.namespace}redpkt:init:lock:{${code}}`);
  }
  await insist(`/api/v1/rains/${code}/prepare`, {});
  assert.equal(await stack.redis.llen(key(code, 0, "list")), 10, "one list, not two");
  await insist(`/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 60_000}, [200, 409]);
  points.arm("grab.after_script"); // popped, not sent
  const history = new History();
  await playViewer({stack, history, user: "8701", room, code, max: 2});
  assert.ok(points.hit("grab.after_script"));
  await insist(`/api/v1/rains/${code}/close`, {});
  await untilSettled(stack, code);
  const {escrow} = await assertOracle(stack, history, code, {total: 1000, sender});
  assert.equal(await balance(stack, sender), Number(escrow.refunded));
});

test("bug 2: ids of time and random digits: a retry has the id of the first try", async () => {
  const room = newRoom("bug");
  const body = {sender: ANCHOR, room, count: 4, total: 400, limit: 2, shards: 2, biz_id: bizId()};
  await stack.deposit(ANCHOR, 400, "bug2-deposit");
  await stack.deposit(ANCHOR, 400, "bug2-deposit");
  const codes = new Set((await Promise.all(Array.from({length: 10}, () => stack.must("POST", "/api/v1/rains", body)))).map((r) => r.code));
  assert.equal(codes.size, 1, "ten creates at once with one id are one rain");
  const [code] = codes;
  await insist(`/api/v1/rains/${code}/prepare`, {});
  await insist(`/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 60_000});
  const client = await enter(stack, "8702", {room});
  const {wins} = await grabAll(client, code);
  await closeRain(stack, code);
  await settled(stack, code);
  await client.close();
  const ids = (await stack.sql("SELECT DISTINCT biz_type, biz_id FROM account_log WHERE biz_id LIKE ? OR biz_id = 'bug2-deposit'", [`%${code}%`]))
    .map((r) => `${r.biz_type} ${r.biz_id}`).sort();
  const shardsLeft = (await stack.sql("SELECT shard FROM rp_escrow WHERE code = ? AND refunded > 0", [code])).map((r) => r.shard);
  assert.deepEqual(ids, [`create ${code}`, "deposit bug2-deposit", ...wins.map((w) => `grant ${code}:8702:${w.seq}`),
    ...shardsLeft.map((s) => `refund R:${code}:${s}`)].sort(), "every id says what it is for");
});

test("bug 3: a duplicate from Kafka's client has another offset and is not paid again", {skip: skipWithoutDurableBroker}, async () => {
  const room = newRoom("bug");
  const history = new History();
  const {code} = await startRain(stack, {room, count: 4, total: 400, limit: 2, shards: 1});
  await playViewer({stack, history, user: "8703", room, code, max: 2});
  await until("both are in the books", async () => (await stack.sql("SELECT 1 FROM rp_grant WHERE code = ?", [code])).length === 2);
  const offsets = async () => Number((await stack.sql("SELECT SUM(next_offset) AS n FROM rp_offset"))[0].n);
  const before = await offsets();
  const paid = await balance(stack, "8703");
  await repeatWins(stack, history, code, room);
  await until("the duplicates were read", async () => await offsets() >= before + 2);
  assert.equal(await balance(stack, "8703"), paid);
  await closeRain(stack, code);
  await untilSettled(stack, code);
  await assertOracle(stack, history, code, {total: 400});
});

test("bug 4: marked as consumed before the credit: a settler that dies in between pays; twenty starts at once start once", {skip: skipWithoutDurableBroker}, async () => {
  const room = newRoom("bug");
  const history = new History();
  const code = await prepareRain(stack, {room, count: 4, total: 400, limit: 2, shards: 1});
  const watcher = await enter(stack, "8799", {room});
  const answers = await Promise.all(Array.from({length: 20}, () => stack.api("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 60_000})));
  assert.equal(answers.filter((a) => a.status === 200).length, 1, "one of them started it");
  assert.ok(answers.every((a) => a.status === 200 || a.body.name === "CONFLICT"));
  points.arm("settle.before_commit");
  await playViewer({stack, history, user: "8704", room, code, max: 2});
  await gone(await points.waitHit("settle.before_commit"));
  assert.equal((await stack.sql("SELECT 1 FROM rp_grant WHERE code = ?", [code])).length, 0, "neither credited nor consumed");
  await until("it has ended", () => stack.settler.current().exit);
  stack.settler.start();
  await until("paid by its successor", async () => (await stack.sql("SELECT 1 FROM rp_grant WHERE code = ?", [code])).length === 2, {timeoutMs: 20_000});
  await closeRain(stack, code);
  await untilSettled(stack, code);
  await assertOracle(stack, history, code, {total: 400});
  assert.equal(watcher.pushesOf("RED_PACKET_CONFIG").filter((p) => p.payload.config_code === code).length, 1, "the room was told once");
  await watcher.close();
});

test("bug 5: a step that failed a thousand times is tried again", async () => {
  const room = newRoom("bug");
  const {code} = await startRain(stack, {room, count: 2, total: 20, limit: 2, shards: 1, duration_ms: 1500});
  await stack.settler.kill9();
  await stack.sql("UPDATE rp_task SET tries = 1000, last_error = 'UNAVAILABLE' WHERE code = ? AND kind = 'close'", [code]);
  await stack.settler.start();
  await until("it is SETTLED by the step itself", async () =>
    (await stack.must("GET", `/api/v1/rains/${code}`)).status === "SETTLED", {timeoutMs: 20_000, everyMs: 100});
  const [task] = await stack.sql("SELECT tries FROM rp_task WHERE code = ? AND kind = 'close'", [code]);
  assert.ok(Number(task.tries) === 0 || Number(task.tries) > 1000, `no try is the last one: ${task.tries}`);
});

test("bug 6: a balance that was overwritten is found, not accepted", async () => {
  await stack.deposit("9306", 500);
  await stack.verify();
  await stack.sql("UPDATE wallet SET balance = balance + 100 WHERE user_id = 9306");
  const {code, json} = await stack.ctl(["verify", "--all", "--json"]);
  assert.equal(code, 1);
  assert.equal(json.ok, false);
  await stack.sql("UPDATE wallet SET balance = balance - 100 WHERE user_id = 9306");
  await stack.verify();
});

test("bug 7: refunds race late grabs and each other: a packet is paid or refunded, never both", async () => {
  const room = newRoom("bug");
  const history = new History();
  const {code} = await startRain(stack, {room, count: 600, total: 60_000, limit: 40, shards: 4, duration_ms: 60_000});
  const playing = Promise.all(Array.from({length: 12}, (_, i) => playViewer({stack, history, user: String(8710 + i), room, code})));
  await until("the rain is in full swing", () => history.told > 60, {everyMs: 1});
  const closes = await Promise.all(Array.from({length: 10}, () => stack.api("POST", `/api/v1/rains/${code}/close`, {})));
  assert.ok(closes.some((a) => a.status === 200), closes[0].text);
  await playing;
  await untilSettled(stack, code);
  const {escrow} = await assertOracle(stack, history, code, {total: 60_000});
  assert.ok(Number(escrow.refunded) > 0 && Number(escrow.settled) > 0, "there was something to race for");
  const refunds = await stack.sql("SELECT biz_id, COUNT(*) AS n FROM account_log WHERE biz_type = 'refund' AND leg = 0 AND biz_id LIKE ? GROUP BY biz_id", [`R:${code}:%`]);
  assert.ok(refunds.length <= 4 && refunds.every((r) => Number(r.n) === 1), "one refund a shard");
});

test("bug 8: a rain's code cannot be guessed: 128 bits, no two alike in any place", async () => {
  await stack.deposit(ANCHOR, 64);
  const codes = await pooled(Array.from({length: 64}), 8, async () =>
    (await stack.must("POST", "/api/v1/rains", {sender: ANCHOR, room: newRoom("bug"), count: 1, total: 1, biz_id: bizId()})).code);
  for (const code of codes) assert.match(code, /^[A-Za-z0-9_-]{22}$/);
  const bytes = codes.map((c) => Buffer.from(c, "base64url"));
  assert.ok(bytes.every((b) => b.length === 16));
  for (let at = 0; at < 16; at += 1) {
    // 64 draws of 256: fewer than 40 different ones has a chance below 1e-7.
    assert.ok(new Set(bytes.map((b) => b[at])).size >= 40, `byte ${at} varies`);
  }
  const client = await enter(stack, "8708", {room: newRoom("bug")});
  for (const code of codes.slice(0, 3)) assert.equal((await client.grab(code, 0)).name, "NOT_FOUND", "the code alone opens nothing in another room");
  await client.close();
});

test("bug 9: the splitter: total 10000 in 100, a fen each, and more packets than fen", async () => {
  for (const split of ["double-mean", "line-cut", "equal"]) {
    const room = newRoom("bug");
    const {code} = await startRain(stack, {room, count: 100, total: 10_000, limit: 100, shards: 1, split});
    const client = await enter(stack, "8709", {room});
    const {wins} = await grabAll(client, code);
    assert.equal(wins.length, 100);
    assert.equal(wins.reduce((sum, w) => sum + w.amount, 0), 10_000, `${split}: the sum`);
    assert.ok(wins.every((w) => w.amount >= 1 && Number.isSafeInteger(w.amount)), `${split}: each at least a fen`);
    await client.close();
    await closeRain(stack, code);
    await settled(stack, code);
    await stack.deposit(ANCHOR, 5);
    const begin = Date.now();
    const {status, body} = await stack.api("POST", "/api/v1/rains", {sender: ANCHOR, room, count: 10, total: 5, split, biz_id: bizId()});
    assert.equal(status, 400, `${split}: more packets than fen is refused`);
    assert.equal(body.name, "BAD_REQUEST");
    assert.ok(Date.now() - begin < 2000, "at once");
  }
});

test("bug 10: shards by round robin: once per user holds over all sockets, workers and shards", async () => {
  const room = newRoom("bug");
  const {code} = await startRain(stack, {room, count: 64, total: 640, limit: 1, shards: 8});
  const clients = await Promise.all(Array.from({length: 24}, () => enter(stack, "8730", {room})));
  const answers = await Promise.all(clients.map((c) => c.grab(code, 0)));
  const wins = new Set(answers.filter((a) => a.name === "OK").map((a) => `${a.shard}/${a.no}/${a.amount}`));
  assert.equal(wins.size, 1, "one packet, however often it is told");
  const more = await Promise.all(clients.map((c) => c.grab(code, 1)));
  assert.ok(more.every((a) => a.name === "LIMIT"), [...new Set(more.map((a) => a.name))].join());
  const withHim = await Promise.all(Array.from({length: 8}, (_, shard) => stack.redis.hexists(key(code, shard, "users"), "8730")));
  assert.equal(withHim.filter(Boolean).length, 1, "he is known in one shard");
  await Promise.all(clients.map((c) => c.close()));
  await closeRain(stack, code);
  await settled(stack, code);
});

test("bug 11: marks with a TTL: nothing of an open rain expires, and a replay long after is not paid again", {skip: skipWithoutDurableBroker}, async () => {
  const room = newRoom("bug");
  const history = new History();
  const {code} = await startRain(stack, {room, count: 6, total: 600, limit: 2, shards: 2});
  await playViewer({stack, history, user: "8711", room, code, max: 2});
  for (const shard of [0, 1]) {
    for (const part of ["list", "state", "users", "outbox"]) {
      const ttl = await stack.redis.ttl(key(code, shard, part));
      assert.ok(ttl === -1 || ttl === -2, `${part} of shard ${shard} expires in ${ttl} s`);
    }
  }
  await closeRain(stack, code);
  await untilSettled(stack, code);
  // Long after: Redis has forgotten all of it, and somebody reads the topic from its beginning.
  for await (const keys of stack.redis.scanStream({match: `${stack.namespace}redpkt:*`, count: 1000})) {
    if (keys.length) await stack.redis.unlink(...keys);
  }
  await stack.settler.stop();
  const [{n}] = await stack.sql("SELECT SUM(next_offset) AS n FROM rp_offset");
  await stack.sql("UPDATE rp_offset SET next_offset = 0");
  const paid = await balance(stack, "8711");
  await stack.settler.start();
  await until("all of it was read again", async () => Number((await stack.sql("SELECT SUM(next_offset) AS n FROM rp_offset"))[0].n) >= Number(n), {timeoutMs: 20_000});
  assert.equal(await balance(stack, "8711"), paid);
  await assertOracle(stack, history, code, {total: 600});
});

test("bug 12: an empty pool pays nobody, and every fen that is paid came out of an escrow", async () => {
  const room = newRoom("bug");
  const history = new History();
  const {code} = await startRain(stack, {room, count: 3, total: 300, limit: 3, shards: 1});
  await Promise.all(Array.from({length: 10}, (_, i) => playViewer({stack, history, user: String(8740 + i), room, code})));
  assert.equal(history.wins(code).length, 3);
  assert.equal(history.wins(code).reduce((sum, w) => sum + w.amount, 0), 300);
  assert.ok(history.names(code).has("SOLD_OUT"));
  await closeRain(stack, code);
  await untilSettled(stack, code);
  await assertOracle(stack, history, code, {total: 300});
  const unbalanced = await stack.sql("SELECT biz_type, biz_id, SUM(delta) AS fen FROM account_log GROUP BY biz_type, biz_id HAVING SUM(delta) <> 0");
  assert.deepEqual(unbalanced, [], "every entry has its other side");
});

test("after all of it the books are clean", () => stack.verify());

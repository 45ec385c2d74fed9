// A process dies at each named point of a rain's life (base/include/base/fail_map.h), once. It really died there; whoever
// comes after it ends the rain: SETTLED or CANCELLED, told is paid exactly once, a repeat gets the same answer.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Failpoints, failMap, gone} from "../lib/failpoints.mjs";
import {assertOracle, assertVisible, History, playViewer, repeatWins} from "../lib/oracle.mjs";
import {skipUnlessLong} from "../lib/faults.mjs";
import {PrivateRedis} from "../lib/redis.mjs";
import {skipWithoutDurableBroker} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, until} from "../lib/ws.mjs";
import {ANCHOR, bizId, newRoom, prepareRain, startRain} from "./helpers.mjs";

const VIEWERS = 6;
const LIMIT = 2;
const TOTAL = 6000;
const DURATION_MS = 60_000;
const SHORT_MS = 2500;

/**
 * Where each point is met. phase: what is under way when it is armed. by: the program that dies; "settler" at a close means
 * that the rain ends by itself at t1. more: further points armed with it. count: packets (fewer wins than packets leave a
 * rest to refund).
 */
const POINTS = {
  "create.before_commit": {phase: "create", by: "admin"},
  "create.after_commit": {phase: "create", by: "admin"},
  "prepare.mid_list": {phase: "prepare", by: "admin", count: 7000, shards: 1},
  "prepare.sealed": {phase: "prepare", by: "admin"},
  "prepare.before_commit": {phase: "prepare", by: "admin"},
  "prepare.after_commit": {phase: "prepare", by: "admin"},
  "start.before_commit": {phase: "start", by: "admin"},
  "start.after_commit": {phase: "start", by: "admin"},
  "open.shard": {phase: "start", by: "admin"},
  "open.before_push": {phase: "start", by: "admin"},
  "open.after_push": {phase: "start", by: "admin"},
  "grab.before_script": {phase: "grab", by: "worker"},
  "grab.after_script": {phase: "grab", by: "worker"},
  "grab.produced": {phase: "grab", by: "worker"},
  "grab.reported": {phase: "grab", by: "worker"},
  "grab.replied": {phase: "grab", by: "worker"},
  "outbox.before_del": {phase: "grab", by: "worker"},
  "produce.refused": {phase: "grab", by: "worker", spec: "error"},
  "producer.fatal": {phase: "grab", by: "worker", spec: "error"},
  "sweep.read": {phase: "grab", by: "admin", more: {"produce.refused": "error"}},
  "sweep.produced": {phase: "grab", by: "admin", more: {"produce.refused": "error"}},
  "sweep.reported": {phase: "grab", by: "admin", more: {"produce.refused": "error"}},
  "sweep.deleted": {phase: "grab", by: "admin", more: {"produce.refused": "error"}},
  "settle.before_commit": {phase: "grab", by: "settler"},
  "settle.after_commit": {phase: "grab", by: "settler"},
  "settle.before_tell": {phase: "grab", by: "settler"},
  "close.before_commit": {phase: "close", by: "settler"},
  "close.after_commit": {phase: "close", by: "settler"},
  "close.gate": {phase: "close", by: "settler"},
  "close.fixed": {phase: "close", by: "admin"},
  "refund.before_commit": {phase: "close", by: "settler"},
  "refund.after_commit": {phase: "close", by: "settler"},
  "compare.begin": {phase: "close", by: "admin", unsettled: true},
  "compare.settled": {phase: "close", by: "admin", unsettled: true},
  "void.before_commit": {phase: "close", by: "admin", unsettled: true, nobodys: 2},
  "void.after_commit": {phase: "close", by: "admin", unsettled: true, nobodys: 2},
  "settled.before_commit": {phase: "close", by: "settler"},
  "settled.after_commit": {phase: "close", by: "settler"},
  "result.pushed": {phase: "close", by: "settler"},
  "result.retired": {phase: "close", by: "admin"},
  "cancel.before_commit": {phase: "cancel", by: "admin"},
  "cancel.after_commit": {phase: "cancel", by: "admin"},
  "cancel.gate": {phase: "cancel", by: "admin"},
  "recover.begun": {phase: "recover", by: "settler"},
  "recover.told": {phase: "recover", by: "settler"},
  "recover.fenced": {phase: "recover", by: "settler"},
  "recover.waits": {phase: "recover", by: "settler"},
  "recover.snapshot": {phase: "recover", by: "settler"},
  "recover.before_commit": {phase: "recover", by: "settler"},
  "recover.fixed": {phase: "recover", by: "settler"},
  "recover.refilled": {phase: "recover", by: "settler"},
  "recover.reopened": {phase: "recover", by: "settler"},
  "recover.done": {phase: "recover", by: "settler"},
};

const points = new Failpoints();
const conf = {"limits.grab_per_s": 1000, "limits.command_per_s": 1000, "kafka.message_timeout_ms": 1000, "settler.task_interval_ms": 50};
let stack;
let redis; // of the recoveries' own stack
let own;

before(async () => {
  stack = await startStack({workers: 2, env: points.env, conf});
  redis = new PrivateRedis({fsync: "everysec"});
  await redis.start();
  own = await startStack({workers: 2, env: points.env, conf: {...conf, "redis.url": redis.url}});
});
after(async () => {
  try {
    await stack?.stop();
    await own?.stop();
  } finally {
    await redis?.destroy();
    points.remove();
  }
});

/** The API, by a client whose server may die in the middle: asked again until there is an answer. */
async function insist(method, path, body, {fine = [200, 201], on = stack} = {}) {
  return until(() => `${method} ${path} is answered`, async () => {
    const answer = await on.api(method, path, body);
    if (!fine.includes(answer.status)) throw new Error(`HTTP ${answer.status} ${answer.text}`);
    return answer;
  }, {timeoutMs: 25_000, everyMs: 50});
}

/** Leases of a dead process last 10 s and more. Here they end at once: what is waited for is who goes on, not when. */
const endLeases = (code, on = stack) => on.sql("UPDATE rp_task SET next_at = 0 WHERE code = ? AND state = 0", [code]);
const statusOf = async (code, on = stack) => (await on.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]))[0]?.status;
const STATUS = {CREATED: 1, PREPARED: 2, SENT: 3, CLOSING: 4, SETTLED: 5, CANCELLED: 6};

/** Whoever died is started again, as an operator's systemd would. */
function keepSettler(on = stack) {
  const timer = setInterval(() => { if (on.settler.current().exit) on.settler.start(); }, 50);
  return () => clearInterval(timer);
}

function untilSettled(code, on = stack) {
  return until(() => `rain ${code} is SETTLED`, async () => {
    await endLeases(code, on);
    const status = await statusOf(code, on);
    if (status !== STATUS.SETTLED) throw new Error(`status ${status}`);
    return true;
  }, {timeoutMs: 30_000, everyMs: 200});
}

/** Hands out packets to nobody: popped and counted in the pool, written to no user, as a script cut in two would leave them. */
async function giveToNobody(code, shard, n) {
  const key = (part) => `${stack.namespace}redpkt:{${code}:${shard}}:${part}`;
  const popped = [];
  for (let i = 0; i < n; i += 1) popped.push(Number(await stack.redis.lpop(key("list"))));
  assert.ok(popped.every((fen) => fen > 0), "there was something to pop");
  await stack.redis.hincrby(key("state"), "granted", n);
  await stack.redis.hincrby(key("state"), "fen", popped.reduce((a, b) => a + b, 0));
  return n;
}

/** One rain from create to its end with `name` armed in its phase. */
async function rainThrough(name, {phase, by, spec = "", more = {}, count = 20, shards = 2, unsettled = false, nobodys = 0}) {
  const history = new History();
  const room = newRoom("fail");
  const biz_id = bizId();
  const body = {sender: ANCHOR, room, count, total: count > 20 ? count * 10 : TOTAL, limit: LIMIT, shards, biz_id};
  const dies = !spec.includes("error");
  // Asked on a new socket each time: the one that is there may sit on the worker that dies.
  const roomKnows = (push, code) => until(() => `room ${room} is told ${push}`, async () => {
    const client = await enter(stack, "8999", {room});
    await client.close();
    return client.joinReply.rains.find((r) => r.biz_code === push && r.payload.config_code === code)?.payload;
  }, {timeoutMs: 20_000, everyMs: 100});
  const arm = (now) => {
    if (now !== phase) return;
    for (const [point, how] of Object.entries(more)) points.arm(point, how);
    points.arm(name, spec);
  };
  const struck = async (now) => {
    if (now !== phase) return;
    const pid = await points.waitHit(name);
    for (const point of Object.keys(more)) assert.ok(points.hit(point), `${point} was reached too`);
    if (dies) await gone(pid);
  };
  const stopKeeping = unsettled ? () => {} : keepSettler();
  if (unsettled) await stack.settler.kill9();
  try {
    await stack.deposit(ANCHOR, body.total);
    arm("create");
    const {code} = (await insist("POST", "/api/v1/rains", body)).body;
    await struck("create");
    assert.equal((await insist("POST", "/api/v1/rains", body)).body.code, code, "the same biz_id gets the first code");
    const made = await stack.sql("SELECT COUNT(*) AS n FROM t_red_packet_config WHERE room_id = ?", [room]);
    assert.equal(Number(made[0].n), 1, "one rain was made");

    arm("prepare");
    if (phase === "prepare") {
      stack.api("POST", `/api/v1/rains/${code}/prepare`, {}).catch(() => {}); // this answer is lost
      await struck("prepare");
      await stack.redis.del(`${stack.namespace}redpkt:init:lock:{${code}}`); // its 5 s are over
    }
    await insist("POST", `/api/v1/rains/${code}/prepare`, {});
    assert.equal(await statusOf(code), STATUS.PREPARED);

    if (phase === "cancel") {
      arm("cancel");
      await insist("POST", `/api/v1/rains/${code}/cancel`, {});
      await struck("cancel");
      await endLeases(code);
      await insist("POST", `/api/v1/rains/${code}/cancel`, {});
      await roomKnows("RED_PACKET_CANCEL", code);
      const oracle = await assertOracle(stack, history, code, {total: body.total});
      assert.equal(await statusOf(code), STATUS.CANCELLED);
      assert.equal(Number(oracle.escrow.refunded), body.total, "all of it came back");
      return;
    }

    const byItself = phase === "close" && by === "settler";
    const timing = {countdown_ms: 300, duration_ms: byItself ? SHORT_MS : DURATION_MS};
    arm("start");
    // A repeat after the commit is CONFLICT (409): the rain is started, once.
    await insist("POST", `/api/v1/rains/${code}/start`, timing, {fine: [200, 409]});
    await struck("start");
    if (await statusOf(code) === STATUS.PREPARED) await insist("POST", `/api/v1/rains/${code}/start`, timing, {fine: [200, 409]});
    const times = (await stack.sql("SELECT t0, t1 FROM t_red_packet_config WHERE config_code = ?", [code]))[0];
    if (phase === "start") await endLeases(code);
    const config = await roomKnows("RED_PACKET_CONFIG", code);
    assert.equal(config.open_at, Number(times.t0), "opened at the time that was committed");

    arm("grab");
    if (byItself) arm("close");
    await Promise.all(Array.from({length: VIEWERS}, (_, i) =>
      playViewer({stack, history, user: String(8100 + i), room, code, max: LIMIT})));
    await struck("grab");
    assert.equal(history.wins(code).length, VIEWERS * LIMIT, "everybody has what he may have");
    let voids = 0;
    if (nobodys) voids = await giveToNobody(code, 0, nobodys);

    if (!byItself) arm("close");
    if (!byItself) stack.api("POST", `/api/v1/rains/${code}/close`, {force: true}).catch(() => {});
    await struck("close");
    if (!byItself) await insist("POST", `/api/v1/rains/${code}/close`, {force: true});
    if (unsettled) await stack.settler.start();
    await untilSettled(code);
    await roomKnows("RED_PACKET_RESULT", code);
    const now = (await stack.sql("SELECT t0, t1 FROM t_red_packet_config WHERE config_code = ?", [code]))[0];
    assert.equal(Number(now.t0), Number(times.t0), "never opened a second time");

    const oracle = await assertOracle(stack, history, code, {total: body.total});
    assert.equal(oracle.hidden.length, 0, "every grant was told");
    assert.equal(oracle.voids.length, voids);
    await until("the tasks are done", async () => {
      await endLeases(code);
      return Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_task WHERE code = ? AND state = 0", [code]))[0].n) === 0;
    }, {timeoutMs: 20_000, everyMs: 200});
    await repeatWins(stack, history, code, room);
    await assertVisible(stack, history, code, room);
    await assertOracle(stack, history, code, {total: body.total});
  } finally {
    points.disarm();
    stopKeeping();
    if (stack.settler.current().exit) stack.settler.start();
    await stack.waitReady();
  }
}

test("every failpoint of the map has a row here", () => {
  // Those of the five cards: 90-fu.test.mjs; those of a process that starts or ends: 79-ending.test.mjs.
  assert.deepEqual(failMap().filter((p) => !["fu", "process"].includes(p.row)).map((p) => p.name).sort(), Object.keys(POINTS).sort());
});

for (const [name, how] of Object.entries(POINTS)) {
  test(`${how.spec === "error" ? "fails" : `the ${how.by} dies`} at ${name}`, {skip: skipWithoutDurableBroker},
    () => (how.phase === "recover" ? rainRecovered(name) : rainThrough(name, how)));
}

/** A rain in whose middle Redis is wiped; `strike` says what happens to the one who recovers it. */
async function rainWiped(strike) {
  const history = new History();
  const room = newRoom("wiped");
  const limit = 8;
  const {code} = await startRain(own, {room, count: 200, total: 4000, limit, shards: 2, duration_ms: DURATION_MS});
  const stopKeeping = keepSettler(own);
  try {
    const playing = Promise.all(Array.from({length: VIEWERS}, (_, i) => playViewer({
      stack: own, history, user: String(8300 + i), room, code, max: limit, paceMs: 20, deadline: Date.now() + 60_000})));
    playing.catch(() => {});
    await until("a fifth is told", () => history.told >= VIEWERS * limit / 5, {timeoutMs: 20_000, everyMs: 5});
    await strike(code);
    await playing;
    assert.equal(history.wins(code).length, VIEWERS * limit, "everybody has what he may have");
    await insist("POST", `/api/v1/rains/${code}/close`, {}, {on: own});
    await untilSettled(code, own);
    const {hidden} = await assertOracle(own, history, code, {total: 4000});
    assert.equal(hidden.length, 0, "every grant was told");
    await repeatWins(own, history, code, room);
    await assertVisible(own, history, code, room);
    await assertOracle(own, history, code, {total: 4000});
    const fences = await own.sql("SELECT state FROM rp_fence WHERE code = ?", [code]);
    assert.ok(fences.length > 0 && fences.every((f) => f.state >= 5), "the recovery has ended");
  } finally {
    points.disarm();
    stopKeeping();
  }
}

const rainRecovered = (name) => rainWiped(async (code) => {
  points.arm(name);
  await redis.client.flushall();
  await gone(await points.waitHit(name));
  await endLeases(code, own);
});

// ---- paused and woken: somebody else has done it meanwhile ----

/** The process that stands still at the point, until the test wakes it. */
async function stopped(name) {
  const pid = await points.waitHit(name);
  await until(`${pid} stands still`, () => /^State:\s+T/m.test(stack.proc(pid, "status")), {everyMs: 5});
  return {pid, wake: () => process.kill(pid, "SIGCONT")};
}

test("a recoverer is paused, another one ends the recovery, the first one wakes", {skip: skipWithoutDurableBroker}, () => rainWiped(async (code) => {
  points.arm("recover.refilled", "stop");
  await redis.client.flushall();
  const zombie = await stopped("recover.refilled");
  own.settler.start();
  await until("the other one has recovered it", async () => {
    await endLeases(code, own);
    return (await own.sql("SELECT state FROM rp_fence WHERE code = ? AND state = 5", [code])).length > 0;
  }, {timeoutMs: 40_000, everyMs: 100});
  zombie.wake();
}));

test("a starter is paused, the rain is opened, played and settled by others, the starter wakes", {skip: skipWithoutDurableBroker}, async () => {
  const history = new History();
  const room = newRoom("starter");
  const code = await prepareRain(stack, {room, count: 20, total: 200, limit: 2, shards: 2});
  points.arm("start.after_commit", "stop");
  stack.api("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 3000}).catch(() => {});
  const zombie = await stopped("start.after_commit");
  try {
    await endLeases(code);
    const playing = Promise.all(["8401", "8402"].map((user) => playViewer({stack, history, user, room, code, max: 2})));
    await playing;
    await untilSettled(code);
  } finally {
    zombie.wake();
  }
  await stack.waitReady();
  await stack.must("POST", `/api/v1/rains/${code}/close`, {}); // after the starter, on the same threads
  for (const shard of [0, 1]) {
    const key = `${stack.namespace}redpkt:{${code}:${shard}}:state`;
    assert.equal(await stack.redis.hget(key, "st"), "C", "what was closed is not opened again");
  }
  assert.equal(await statusOf(code), STATUS.SETTLED);
  await assertOracle(stack, history, code, {total: 200});
});

for (const name of ["close.gate", "refund.before_commit", "settled.before_commit"]) {
  test(`a closer is paused at ${name}, another one closes, the first one wakes`, {skip: skipWithoutDurableBroker}, async () => {
    const history = new History();
    const room = newRoom("closer");
    points.arm(name, "stop");
    const {code} = await startRain(stack, {room, count: 20, total: 200, limit: 2, shards: 2, duration_ms: 1500});
    await Promise.all(["8411", "8412"].map((user) => playViewer({stack, history, user, room, code, max: 2})));
    const zombie = await stopped(name);
    const first = stack.settler.current();
    const second = stack.settler.start();
    let woken = false;
    try {
      await until(() => `the second settler runs; ${second.tail()}`, () => second.events().some((e) => e.event === "ready"), {timeoutMs: 20_000});
      // A transaction that stands still holds its locks until MySQL ends its session, 10 s later.
      if (name === "close.gate") await untilSettled(code);
    } finally {
      zombie.wake();
      woken = true;
    }
    assert.ok(woken);
    await untilSettled(code);
    await assertOracle(stack, history, code, {total: 200});
    await first.signal("SIGTERM");
  });
}

test("a settler is paused with a batch uncommitted, another one settles it, the first one wakes", {skip: skipUnlessLong || skipWithoutDurableBroker}, async () => {
  const history = new History();
  const room = newRoom("zombie");
  const {code} = await startRain(stack, {room, count: 20, total: 200, limit: 2, shards: 2, duration_ms: DURATION_MS});
  points.arm("settle.before_commit", "stop");
  await Promise.all(["8421", "8422"].map((user) => playViewer({stack, history, user, room, code, max: 2})));
  const zombie = await stopped("settle.before_commit");
  const first = stack.settler.current();
  stack.settler.start();
  try {
    await until("the other one has settled all", async () =>
      Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ?", [code]))[0].n) === 4, {timeoutMs: 60_000, everyMs: 200});
  } finally {
    zombie.wake();
  }
  await insist("POST", `/api/v1/rains/${code}/close`, {});
  await untilSettled(code);
  await assertOracle(stack, history, code, {total: 200});
  await first.signal("SIGTERM");
});

test("after all these deaths the books are clean", async () => {
  await stack.verify();
  await own.verify();
});

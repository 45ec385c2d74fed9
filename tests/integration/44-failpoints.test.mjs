// A process dies at each named point of a rain's life (base/include/base/fail_map.h), once. It really died there; whoever
// comes after it ends the rain: SETTLED or CANCELLED, told is paid exactly once, a repeat gets the same answer.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Failpoints, failMap, gone} from "../lib/failpoints.mjs";
import {assertOracle, assertVisible, History, playViewer, repeatWins} from "../lib/oracle.mjs";
import {skipWithoutDurableBroker} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, until} from "../lib/ws.mjs";
import {ANCHOR, bizId, newRoom} from "./helpers.mjs";

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
};

const points = new Failpoints();
let stack;

before(async () => {
  stack = await startStack({
    workers: 2, env: points.env,
    conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000, "kafka.message_timeout_ms": 1000, "settler.task_interval_ms": 50},
  });
});
after(async () => {
  try {
    await stack?.stop();
  } finally {
    points.remove();
  }
});

/** The API, by a client whose server may die in the middle: asked again until there is an answer. */
async function insist(method, path, body, {fine = [200, 201]} = {}) {
  return until(() => `${method} ${path} is answered`, async () => {
    const answer = await stack.api(method, path, body);
    if (!fine.includes(answer.status)) throw new Error(`HTTP ${answer.status} ${answer.text}`);
    return answer;
  }, {timeoutMs: 25_000, everyMs: 50});
}

/** Leases of a dead process last 10 s and more. Here they end at once: what is waited for is who goes on, not when. */
const endLeases = (code) => stack.sql("UPDATE rp_task SET next_at = 0 WHERE code = ? AND state = 0", [code]);
const statusOf = async (code) => (await stack.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]))[0]?.status;
const STATUS = {CREATED: 1, PREPARED: 2, SENT: 3, CLOSING: 4, SETTLED: 5, CANCELLED: 6};

/** Whoever died is started again, as an operator's systemd would. */
async function keepSettler(stop) {
  while (!stop.done) {
    if (stack.settler.current().exit) stack.settler.start();
    await Promise.race([stop.promise, new Promise((resolve) => { setTimeout(resolve, 50); })]);
  }
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
  const stop = {done: false};
  stop.promise = new Promise((resolve) => { stop.end = () => { stop.done = true; resolve(); }; });
  const settlers = unsettled ? null : keepSettler(stop);
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
      await stack.redis.del(`${stack.namespace}redpkt:init:lock:{${code}}`); // its 30 s are over
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
    await until(() => `rain ${code} is SETTLED`, async () => {
      await endLeases(code);
      const status = await statusOf(code);
      if (status !== STATUS.SETTLED) throw new Error(`status ${status}`);
      return true;
    }, {timeoutMs: 30_000, everyMs: 200});
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
    stop.end();
    await settlers;
    if (stack.settler.current().exit) stack.settler.start();
    await stack.waitReady();
  }
}

test("every failpoint of the map has a row here", () => {
  assert.deepEqual(failMap().map((p) => p.name).sort(), Object.keys(POINTS).sort());
});

for (const [name, how] of Object.entries(POINTS)) {
  test(`${how.spec === "error" ? "fails" : `the ${how.by} dies`} at ${name}`, {skip: skipWithoutDurableBroker},
    () => rainThrough(name, how));
}

test("after all these deaths the books are clean", () => stack.verify());

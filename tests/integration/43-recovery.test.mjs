// Redis restarts, is wiped or comes back with older data in the middle of a rain. What was told is paid, nothing is paid twice,
// the rain goes on by itself and ends at zero.
import {test} from "node:test";
import assert from "node:assert/strict";
import {PrivateRedis} from "../lib/redis.mjs";
import {enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {VIEWERS, LIMIT, pause, stubborn, fences, recovered, rainWhile} from "./hurt.mjs";
import {assertBooks, closeRain, newRoom, prepareRain, settled, showRain, startRain} from "./helpers.mjs";

/** A stack on a Redis of its own. */
async function ownStack(t, {fsync = "everysec", conf = {}} = {}) {
  const redis = new PrivateRedis({fsync});
  await redis.start();
  t.after(() => redis.destroy());
  const stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000, "redis.url": redis.url, ...conf}});
  t.after(() => stack.stop());
  return {stack, redis};
}

const stateOf = (code, state) => (p) => p.config_code === code && p.state === state;

async function assertGoesOn({stack, code, tally, watcher, wins}) {
  assert.ok(tally.recovering > 0, "somebody was told RECOVERING");
  assert.ok(tally.regained > 0, "the same (code, seq) won afterwards");
  assert.equal(wins.filter((w) => w.user !== "7999").length, VIEWERS * LIMIT, "everybody got what the limit allows");
  await watcher.push("RED_PACKET_STATE", stateOf(code, "RECOVERING"));
  const open = await watcher.push("RED_PACKET_STATE", stateOf(code, "OPEN"));
  assert.ok(open.payload.t1 > open.payload.t0);
  assert.ok((await fences(stack, code)).every((f) => f.state === 5));
}

/** Nobody recovers it now: it stays where it is, and everybody is told where. */
async function assertShown(stack, code) {
  await until("what the dead settler had sent is done", async () => (await stack.sql("SELECT id FROM information_schema.processlist "
    + "WHERE db = DATABASE() AND command <> 'Sleep' AND id <> CONNECTION_ID()")).length === 0);
  const rows = await stack.sql("SELECT state, created_at FROM rp_fence WHERE code = ? ORDER BY id", [code]);
  const now = ["begun", "waits", "drains", "applies"][Number(rows.at(-1).state) - 1];
  if (!now) return; // it was faster than the kill
  const shown = await showRain(stack, code);
  assert.deepEqual([shown.recovery, shown.recovering_since], [now, Number(rows[0].created_at)]);
  const {stdout} = await stack.ctl(["rain", "show", code]);
  assert.match(stdout, new RegExp(`^recovery +${now}$`, "m"));
  assert.match(stdout, new RegExp(`^recovering_since +${rows[0].created_at}$`, "m"));
}

test("kill -9 and restart, everysec", async (t) => {
  const own = await ownStack(t);
  const done = await rainWhile(own, ({redis}) => redis.restart());
  await assertGoesOn({...own, ...done});
});

test("kill -9 and restart, appendfsync always: nothing is granted anew", async (t) => {
  const own = await ownStack(t, {fsync: "always"});
  const done = await rainWhile(own, ({redis}) => redis.restart());
  await assertGoesOn({...own, ...done});
  assert.deepEqual((await fences(own.stack, done.code)).map((f) => f.kind), ["quick"]);
  assert.equal(Number((await own.stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE state = 3"))[0].n), 0);
});

test("FLUSHALL: a wiped rain is rebuilt from the books", async (t) => {
  const own = await ownStack(t);
  const done = await rainWhile(own, async ({redis, room, code}) => {
    await redis.client.flushall();
    await recovered(own.stack, code);
    /* Late joiners find the rain although the room's own keys were wiped too. */
    const late = await enter(own.stack, "8001", {room});
    assert.ok(late.joinReply.rains.some((r) => r.payload.config_code === code), JSON.stringify(late.joinReply));
    await late.close();
  });
  await assertGoesOn({...own, ...done});
});

test("rolled back by a second and more", async (t) => {
  const own = await ownStack(t);
  const done = await rainWhile(own, async ({redis, tally}) => {
    redis.save("older");
    const told = tally.told;
    await until("more is told", () => tally.told > told + 30, {timeoutMs: 20_000, everyMs: 5});
    await pause(1000);
    await redis.rollBack("older");
  });
  await assertGoesOn({...own, ...done});
});

test("twice in one rain", async (t) => {
  const own = await ownStack(t);
  const done = await rainWhile(own, async ({redis, tally, code}) => {
    await redis.restart();
    await recovered(own.stack, code);
    const told = tally.told;
    await until("it goes on", () => tally.told > told + 10, {timeoutMs: 20_000});
    await redis.client.flushall();
  });
  await assertGoesOn({...own, ...done});
  assert.ok((await fences(own.stack, done.code)).length >= 2);
});

test("policy close: it ends, what was told is paid, the rest goes back", async (t) => {
  const own = await ownStack(t, {conf: {"fence.policy": "close"}});
  const done = await rainWhile(own, ({redis}) => redis.restart(), {close: false});
  assert.equal(done.rain.status, "SETTLED");
  assert.ok(done.tally.recovering > 0);
  assert.ok(done.wins.length < VIEWERS * LIMIT);
  await done.watcher.push("RED_PACKET_STATE", stateOf(done.code, "CLOSED"));
});

test("a prepared rain is recovered by itself and starts", async (t) => {
  const {stack, redis} = await ownStack(t);
  const room = newRoom("recover");
  const code = await prepareRain(stack, {room, count: 20, total: 2000, limit: 2});
  await redis.client.flushall();
  await recovered(stack, code);
  await redis.rollBack((redis.save("now"), "now"));
  const first = await stack.api("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 60_000});
  if (first.status >= 300) {
    assert.equal(first.body.code ?? first.body.error?.code ?? first.body.name, "RECOVERING", first.text);
    await recovered(stack, code, 2);
    await stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 60_000});
  }
  const tally = {told: 0, recovering: 0, regained: 0};
  const wins = await stubborn(stack, "7100", room, code, tally, Date.now() + 20_000, 0);
  assert.equal(wins.length, 2);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 2000});
  await stack.verify();
});

test("a rain that is CLOSING when Redis is wiped ends all the same", async (t) => {
  const {stack, redis} = await ownStack(t);
  const room = newRoom("recover");
  const {code} = await startRain(stack, {room, count: 40, total: 4000, limit: 10, shards: 2, duration_ms: 60_000});
  const tally = {told: 0, recovering: 0, regained: 0};
  const wins = (await Promise.all(["7200", "7201"].map((user) =>
    stubborn(stack, user, room, code, tally, Date.now() + 20_000, 0)))).flat();
  await stack.settler.kill9();
  await redis.client.flushall();
  const rain = await closeRain(stack, code);
  assert.equal(rain.status, "CLOSING");
  await stack.settler.start();
  await settled(stack, code, 40_000);
  await assertBooks(stack, code, wins, {total: 4000});
  await stack.verify();
  assert.equal((await showRain(stack, code)).status, "SETTLED");
});

test("the settler dies in the middle of a recovery", async (t) => {
  const own = await ownStack(t);
  const done = await rainWhile(own, async ({redis, code}) => {
    assert.deepEqual([(await showRain(own.stack, code)).recovery, (await showRain(own.stack, code)).recovering_since], [null, null]);
    await redis.restart();
    for (const state of [2, 3]) {
      await until("it is under way", async () => (await fences(own.stack, code)).some((f) => f.state >= state),
        {timeoutMs: 20_000, everyMs: 5});
      await own.stack.settler.kill9();
      await assertShown(own.stack, code);
      await own.stack.settler.start();
    }
  });
  await assertGoesOn({...own, ...done});
});

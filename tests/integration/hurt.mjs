// A rain that is hurt while it is played, by viewers who ask until they have an answer; used by the tests of recovery.
import assert from "node:assert/strict";
import {OP, enter, until} from "../lib/ws.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

export const VIEWERS = 16;
const PACKETS = 320;
export const LIMIT = 15;
const TOTAL = 32_000;
const GIVE_UP_MS = 60_000;
const FINAL = new Set(["SOLD_OUT", "LIMIT", "ENDED"]);

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * A viewer that asks each (code, seq) until it has a final answer. tally: {told, recovering, regained}: regained counts wins
 * of a (code, seq) that was RECOVERING before.
 */
export async function stubborn(stack, user, room, code, tally, deadline, pace = 60) {
  const wins = [];
  let client = null;
  let seq = 0;
  let again = false;
  let recovering = false;
  for (;;) {
    assert.ok(Date.now() < deadline, `user ${user} has no final answer for seq ${seq}`);
    let reply;
    try {
      client ??= await enter(stack, user, {room});
      const asked = client.ask(OP.GRAB, {code, seq, again});
      reply = await Promise.race([asked.final, pause(3000).then(() => { throw new Error("late"); })]);
    } catch {
      if (client?.isClosed) client = null;
      again = true;
      await pause(50);
      continue;
    }
    if (reply.name === "OK") {
      wins.push({user, code, seq: reply.seq, shard: reply.shard, no: reply.no, amount: reply.amount});
      tally.told += 1;
      if (recovering) tally.regained += 1;
      seq += 1;
      again = recovering = false;
      await pause(pace); // so that the rain lasts long enough to be hurt
    } else if (FINAL.has(reply.name)) {
      await client.close();
      return wins;
    } else {
      if (reply.name === "RECOVERING") {
        tally.recovering += 1;
        recovering = true;
      }
      again = true;
      await pause(reply.retry_after_ms ?? 100);
    }
  }
}

/**
 * A viewer that arrives in the middle: each of its grabs is a first one until one is RECOVERING; then that (code, seq) is asked
 * until it has an answer. Resolves with its wins.
 */
export async function prober(stack, room, code, tally, deadline) {
  await until("a recovery is under way", async () => (await fences(stack, code)).some((f) => f.state < 5),
    {timeoutMs: 20_000, everyMs: 10});
  const client = await enter(stack, "7999", {rooms: [room]});
  // The Redis that has the room may be the one that is away.
  await until("it is in the room", async () => (client.joinReply = await client.join(room)).name === "OK", {timeoutMs: 20_000});
  const wins = [];
  for (let asked = null; ;) {
    assert.ok(Date.now() < deadline, "nobody said RECOVERING");
    const seq = wins.length;
    const reply = await Promise.race([client.ask(OP.GRAB, {code, seq, again: asked === seq}).final,
      pause(3000).then(() => ({name: "late"}))]);
    if (reply.name === "OK") {
      wins.push({user: client.user, code, seq: reply.seq, shard: reply.shard, no: reply.no, amount: reply.amount});
      tally.told += 1;
      if (asked === seq) break;
    } else if (FINAL.has(reply.name)) {
      break;
    } else if (reply.name === "RECOVERING") {
      assert.ok(reply.retry_after_ms > 0);
      asked = seq;
    }
    await pause(reply.retry_after_ms ?? 20);
  }
  if (wins.length) tally.regained += 1;
  tally.recovering += 1;
  await client.close();
  return wins;
}

export const fences = (stack, code) => stack.sql("SELECT id, state, kind FROM rp_fence WHERE code = ? ORDER BY id", [code]);

export const recovered = (stack, code, n = 1) => until(`rain ${code} is recovered`, async () =>
  (await fences(stack, code)).filter((f) => f.state === 5).length >= n
  && (await fences(stack, code)).every((f) => f.state >= 5), {timeoutMs: 30_000});

/** Plays a rain, hurts it when a quarter is told; `watcher` sees what the room is told. */
export async function rainWhile({stack, redis}, hurt, {shards = 2, close = true, packets = PACKETS} = {}) {
  const room = newRoom("recover");
  const watcher = await enter(stack, "8000", {room});
  const tally = {told: 0, recovering: 0, regained: 0};
  const {code} = await startRain(stack, {room, count: packets, total: TOTAL, limit: LIMIT, shards, duration_ms: 120_000});
  const deadline = Date.now() + GIVE_UP_MS;
  const playing = Promise.all(Array.from({length: VIEWERS},
    (_, i) => stubborn(stack, String(7000 + i), room, code, tally, deadline)));
  playing.catch(() => {});
  await until("a quarter is told", () => tally.told > VIEWERS * LIMIT / 4, {timeoutMs: 20_000, everyMs: 5});
  const probing = prober(stack, room, code, tally, deadline);
  probing.catch(() => {});
  await hurt({redis, tally, code, room});
  const probed = await probing;
  const wins = [probed, await playing].flat(2);
  if (close) await closeRain(stack, code);
  const rain = await settled(stack, code, 40_000);
  await assertBooks(stack, code, wins, {total: TOTAL, maybe: packets});
  await stack.verify();
  return {code, wins, tally, rain, watcher, room};
}

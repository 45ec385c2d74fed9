// Processes and brokers die in the middle of a rain; nobody loses a fen he was told, nobody gets one twice.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {kafkaKill9, kafkaPause, kafkaResume, kafkaStart, skipWithoutKafka} from "../lib/services.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const VIEWERS = 30;
const PACKETS = 600;
const LIMIT = 15;
const TOTAL = 60_000;
const GIVE_UP_MS = 45_000;
const FINAL = new Set(["SOLD_OUT", "LIMIT", "ENDED"]);

let stack;
before(async () => { stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000}}); });
after(() => stack?.stop());

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * A viewer that gives up nothing: reconnects, and asks each seq until it has a final answer, as the protocol says.
 * tally: {told, pending} over all viewers, watched by the tests.
 */
async function stubborn(user, room, code, tally, deadline) {
  const wins = [];
  let client = null;
  let seq = 0;
  let again = false;
  for (;;) {
    assert.ok(Date.now() < deadline, `user ${user} has no final answer for seq ${seq}`);
    let reply;
    try {
      client ??= await enter(stack, user, {room});
      const asked = client.ask(OP.GRAB, {code, seq, again});
      asked.first.then((r) => { if (r.name === "PENDING") tally.pending += 1; }, () => {});
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
      seq += 1;
      again = false;
      await pause(60); // so that the rain lasts long enough to be hurt
    } else if (FINAL.has(reply.name)) {
      await client.close();
      return wins;
    } else {
      again = true;
      await pause(reply.retry_after_ms ?? 100);
    }
  }
}

/** Plays a rain while hurt(tally) does its worst; checks the books at the end. */
async function rainWhile(hurt, {split = "double-mean", shards = 2} = {}) {
  const room = newRoom("crash");
  const tally = {told: 0, pending: 0};
  const {code} = await startRain(stack, {room, count: PACKETS, total: TOTAL, limit: LIMIT, split, shards, duration_ms: 120_000});
  const deadline = Date.now() + GIVE_UP_MS;
  const playing = Promise.all(Array.from({length: VIEWERS}, (_, i) => stubborn(String(7000 + i), room, code, tally, deadline)));
  playing.catch(() => {});
  await until("a fifth is told", () => tally.told > VIEWERS * LIMIT / 5, {timeoutMs: 20_000, everyMs: 5});
  await hurt(tally, code);
  const wins = (await playing).flat();
  await closeRain(stack, code);
  await settled(stack, code, 40_000);
  await assertBooks(stack, code, wins, {total: TOTAL});
  await stack.verify();
  assert.ok(wins.length > VIEWERS * LIMIT / 2, `${wins.length} wins`);
  return {code, wins, tally};
}

test("kill -9 of a worker", async () => {
  const before = stack.workerPids();
  await rainWhile(async () => {
    process.kill(before[0], "SIGKILL");
    await until("another worker in its place", () => {
      const now = stack.workerPids();
      return now.length === 2 && !now.includes(before[0]);
    });
  });
  assert.ok(stack.workerPids().includes(before[1]), "the other one was not touched");
});

test("kill -9 of both workers, one after the other", async () => {
  await rainWhile(async (tally) => {
    for (const pid of stack.workerPids()) {
      const told = tally.told;
      process.kill(pid, "SIGKILL");
      await until("it goes on", () => tally.told > told + 10, {timeoutMs: 20_000});
    }
  });
});

test("kill -9 of the admin child", async () => {
  const [admin] = stack.childPids("admin");
  await rainWhile(async () => {
    process.kill(admin, "SIGKILL");
    await until("another admin child", () => {
      const [now] = stack.childPids("admin");
      return now && now !== admin;
    });
    await stack.waitReady();
  });
});

test("kill -9 of the settler, three times", async () => {
  await rainWhile(async (tally, code) => {
    for (let round = 0; round < 3; round += 1) {
      const count = async () => Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ?", [code]))[0].n);
      const before = await count();
      await stack.settler.kill9();
      await stack.settler.start();
      await until("it settles again", async () => await count() > before || tally.told >= VIEWERS * LIMIT, {timeoutMs: 20_000});
    }
  });
});

test("two settlers at once settle each grant once", async () => {
  await rainWhile(async () => {
    await stack.settler.start();
  });
});

test("settlers that come and go, in the middle of a rebalance, end well", async () => {
  await rainWhile(async () => {
    const passing = [stack.settler.start(), stack.settler.start(), stack.settler.start()];
    await Promise.all(passing.map(async (p) => {
      await until(() => `a settler runs; ${p.tail()}`, () => p.events().some((e) => e.event === "ready"), {timeoutMs: 20_000});
      const {code, signal} = await p.signal("SIGTERM");
      assert.equal(code, 0, `ended with ${signal ?? code}: ${p.tail()}`);
    }));
  });
});

test("the broker stands still for 2 s: PENDING, then all are told", {skip: skipWithoutKafka}, async () => {
  const {tally} = await rainWhile(async (seen) => {
    await kafkaPause();
    try {
      await until("somebody is told PENDING", () => seen.pending > 0, {timeoutMs: 5000});
      await pause(2000);
    } finally {
      await kafkaResume();
    }
  });
  assert.ok(tally.pending > 0);
});

test("kill -9 of the broker", {skip: skipWithoutKafka}, async () => {
  const {tally} = await rainWhile(async (seen) => {
    await kafkaKill9();
    try {
      await until("somebody is told PENDING", () => seen.pending > 0, {timeoutMs: 5000});
    } finally {
      await kafkaStart();
    }
  });
  assert.ok(tally.pending > 0);
});

test("a settled rain whose pool Redis lost is looked up in the books", async () => {
  const room = newRoom("crash");
  const {code} = await startRain(stack, {room, count: 10, total: 1000, limit: 3});
  const client = await enter(stack, "7103", {room});
  const won = await client.grab(code, 0);
  assert.equal(won.name, "OK");
  await closeRain(stack, code);
  await settled(stack, code);
  await stack.redis.unlink(...await stack.redis.keys(`${stack.namespace}redpkt:{${code}:*`));
  // Asked at once, both are PENDING until the books are asked.
  const [again, other] = await Promise.all([client.grab(code, 0, true), client.grab(code, 1, true)]);
  assert.deepEqual({...again, left: 0}, {...won, left: 0});
  assert.equal(other.name, "ENDED");
  await client.close();
});

test("a rain that no worker knows any more is looked up in the books", async () => {
  const room = newRoom("crash");
  const {code} = await startRain(stack, {room, count: 10, total: 1000, limit: 3});
  let client = await enter(stack, "7101", {room});
  const won = await client.grab(code, 0);
  assert.equal(won.name, "OK");
  await closeRain(stack, code);
  await settled(stack, code);
  await client.close();
  // The room is forgotten: by Redis, and by new workers.
  await stack.redis.unlink(...await stack.redis.keys(`${stack.namespace}{${room}}:*`));
  const before = stack.workerPids();
  for (const pid of before) process.kill(pid, "SIGKILL");
  await until("other workers", () => {
    const now = stack.workerPids();
    return now.length === 2 && now.every((pid) => !before.includes(pid));
  });
  client = await until("a connection", () => enter(stack, "7101", {room}));
  assert.equal((await client.grab(code, 1)).name, "NOT_FOUND", "a first try");
  const again = await client.grab(code, 0, true);
  assert.deepEqual({...again, left: 0}, {...won, left: 0});
  assert.equal((await client.grab(code, 1, true)).name, "RATE_LIMITED");
  await until("the books are asked once more", async () => (await client.grab(code, 1, true)).name === "ENDED", {timeoutMs: 5000, everyMs: 300});
  const stranger = await enter(stack, "7102", {room: newRoom("crash")});
  assert.equal((await stranger.grab(code, 0, true)).name, "NOT_FOUND", "in another room");
  await Promise.all([client.close(), stranger.close()]);
});

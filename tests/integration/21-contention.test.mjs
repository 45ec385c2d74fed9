// Many against few: exactly as many wins as there are packets, and nobody over the limit.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {Crowd} from "../../tools/dev/demo/crowd.mjs";
import {enter, pooled} from "../lib/ws.mjs";
import {program, startStack} from "../lib/stack.mjs";
import {assertBooks, balance, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

/** 10,000 sockets in one process; fewer where that many files may not be open (ulimit -n). */
const OPEN_FILES = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))[1]);
const CROWD = Number(process.env.REDRAIN_TEST_CROWD ?? (OPEN_FILES >= 12_000 ? 10_000 : Math.floor(OPEN_FILES / 4)));

let stack;
before(async () => { stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000}}); });
after(() => stack?.stop());

test(`${CROWD} viewers on 1 packet: exactly 1 win`, async () => {
  const room = newRoom();
  const tokensFile = join(stack.dir, "tokens");
  const winsLog = join(stack.dir, "wins.jsonl");
  const users = Array.from({length: CROWD}, (_, i) => String(100_000 + i));
  writeFileSync(tokensFile, users.map((u) => `${u} ${stack.mint(u, {rooms: [room]})}\n`).join(""), {mode: 0o600});
  const crowd = new Crowd({
    program: program("redrain-bench"), url: stack.wsUrl, origin: stack.origin, tokensFile, room, viewers: CROWD, winsLog,
    durationMaxMs: 55_000,
  });
  try {
    assert.equal(await crowd.joined(CROWD, 40_000), CROWD);
    const {code} = await startRain(stack, {room, count: 1, total: 888, limit: 5, countdown_ms: 1000, duration_ms: 3000});
    const summary = await crowd.result;
    const wins = readFileSync(winsLog, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
    assert.equal(summary.joined, CROWD);
    assert.ok(summary.push_received >= CROWD, `${summary.push_received} heard of it`);
    assert.ok(summary.grabs >= CROWD, `${summary.grabs} grabs`);
    assert.equal(wins.length, 1);
    assert.equal(wins[0].amount, 888);
    await settled(stack, code);
    await assertBooks(stack, code, [{...wins[0], user: String(wins[0].user), no: wins[0].packet_no}], {total: 888});
    assert.equal(await balance(stack, wins[0].user), 888);
  } finally {
    crowd.kill();
  }
});

test("100 viewers on 10 packets, limit 1: exactly 10 winners", async () => {
  const room = newRoom();
  const users = Array.from({length: 100}, (_, i) => String(300_000 + i));
  const viewers = await pooled(users, 16, (user) => enter(stack, user, {room}));
  const {code} = await startRain(stack, {room, count: 10, total: 1000, limit: 1, countdown_ms: 300});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const results = await Promise.all(viewers.map((v) => grabAll(v, code)));
  const wins = results.flatMap((r) => r.wins);
  assert.equal(wins.length, 10);
  assert.equal(new Set(wins.map((w) => w.user)).size, 10);
  assert.deepEqual(wins.map((w) => w.no).sort((a, b) => a - b), Array.from({length: 10}, (_, i) => i));
  assert.equal(wins.reduce((sum, w) => sum + w.amount, 0), 1000);
  for (const {wins: mine, last} of results) assert.equal(last.name, mine.length ? "LIMIT" : "SOLD_OUT");
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 1000});
  await Promise.all(viewers.map((v) => v.close()));
});

test("one user on 50 sockets: exactly his limit", async () => {
  const room = newRoom();
  const limit = 3;
  const user = "310000";
  const sockets = await pooled(Array(50).fill(user), 16, (u) => enter(stack, u, {room}));
  const {code} = await startRain(stack, {room, count: 500, total: 50_000, limit, countdown_ms: 300});
  await Promise.all(sockets.map((s) => s.push("RED_PACKET_CONFIG")));
  const results = await Promise.all(sockets.map((s) => grabAll(s, code)));
  // Each socket is told the same wins: a seq is one packet.
  const bySeq = new Map();
  for (const {wins, last} of results) {
    assert.equal(wins.length, limit);
    assert.equal(last.name, "LIMIT");
    for (const w of wins) {
      const known = bySeq.get(w.seq) ?? w;
      assert.deepEqual([w.amount, w.no, w.shard], [known.amount, known.no, known.shard], `seq ${w.seq} on every socket`);
      bySeq.set(w.seq, known);
    }
  }
  assert.equal(bySeq.size, limit);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, [...bySeq.values()], {total: 50_000});
  await Promise.all(sockets.map((s) => s.close()));
});

test("one frame repeated 100 times on three sockets is one grant", async () => {
  const room = newRoom();
  const sockets = await pooled(Array(3).fill("320000"), 3, (u) => enter(stack, u, {room}));
  const {code} = await startRain(stack, {room, count: 500, total: 50_000, limit: 5});
  await Promise.all(sockets.map((s) => s.push("RED_PACKET_CONFIG")));
  const replies = await Promise.all(sockets.flatMap((s) =>
    Array.from({length: 100}, (_, i) => s.grab(code, 0, i % 2 === 1))));
  const ok = replies.filter((r) => r.name === "OK");
  assert.ok(ok.length > 0);
  assert.equal(new Set(ok.map((r) => `${r.shard}/${r.no}/${r.amount}`)).size, 1, "two amounts for one seq never");
  await closeRain(stack, code);
  await settled(stack, code);
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ? AND state <> 3", [code]);
  assert.equal(Number(n), 1);
  await Promise.all(sockets.map((s) => s.close()));
});

test("shards: each user is served by his own, and limits hold over all of them", async () => {
  const room = newRoom();
  const users = Array.from({length: 40}, (_, i) => String(330_000 + i));
  const viewers = await pooled(users, 16, (user) => enter(stack, user, {room}));
  const {code} = await startRain(stack, {room, count: 100, total: 10_000, limit: 2, shards: 4});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  const results = await Promise.all(viewers.map((v) => grabAll(v, code)));
  const wins = results.flatMap((r) => r.wins);
  for (const {wins: mine} of results) {
    assert.ok(mine.length <= 2);
    assert.ok(new Set(mine.map((w) => w.shard)).size <= 1, "one home shard");
  }
  assert.ok(new Set(wins.map((w) => w.shard)).size > 1, "more than one shard was used");
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 10_000});
  await stack.verify();
  await Promise.all(viewers.map((v) => v.close()));
});

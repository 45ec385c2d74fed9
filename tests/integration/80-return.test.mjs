// One of three servers is gone in the middle of a rain: its viewers come back on the others, with the right state, within 10 s
// and at the price of at most one Redis call each.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import Redis from "ioredis";
import {redisUrl} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, pooled, until} from "../lib/ws.mjs";
import {closeRain, newRoom, startRain} from "./helpers.mjs";

const VIEWERS = process.env.REDRAIN_TEST_LONG ? 10_000 : 600;
const BACK_MS = 10_000;
const BACKOFF_MS = 500; // the client module's first: full jitter

const servers = [];
const clients = new Set(); // of a test that failed: they would keep it from ending
const entered = async (...args) => {
  const client = await enter(...args);
  clients.add(client);
  return client;
};
before(async () => {
  // All of them come from one address.
  const limits = {"server.max_connections": 20_000, "limits.exempt": "127.0.0.0/8"};
  const first = await startStack({workers: 1, conf: limits});
  servers.push(first);
  for (let i = 1; i < 3; i += 1) {
    // Another server of the same world.
    servers.push(await startStack({workers: 1, settler: false, migrate: false, conf: {
      ...limits, "server.namespace": first.namespace, "token.keys_file": first.keysFile,
    }}));
  }
});
after(async () => {
  for (const client of clients) client.cut();
  for (const s of servers.reverse()) await s.stop();
});

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const viewerOf = (server) => ({wsUrl: server.wsUrl, origin: server.origin, mint: (...a) => servers[0].mint(...a)});

/** The machine is gone: nobody says goodbye. */
async function kill9(server) {
  const pids = [server.server.pid, ...server.childPids("worker"), ...server.childPids("admin")];
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await server.server.exited;
}

/** Commands that name one of these users, by user. */
async function watchRedis(users) {
  const calls = new Map();
  const redis = new Redis(redisUrl);
  const monitor = await redis.monitor();
  monitor.on("monitor", (_time, args, source) => {
    // What a script does is part of its call.
    if (source === "lua" || !args.some((a) => a.includes(servers[0].namespace))) return;
    const inKey = args.map((a) => /user:\{(\d+)\}:log$/.exec(a)?.[1]).find(Boolean);
    const asField = args[0].toLowerCase() === "hget" && args[1].endsWith(":users") ? args[2] : undefined;
    const user = inKey ?? asField;
    if (user && users.has(user)) calls.set(user, (calls.get(user) ?? 0) + 1);
  });
  return {calls, stop: () => { monitor.disconnect(); redis.disconnect(); }};
}

test(`${VIEWERS} viewers on three servers, one killed in a rain: all are back with the right state within 10 s`, async (t) => {
  const room = newRoom();
  const all = await pooled(Array.from({length: VIEWERS}, (_, i) => i), 32, async (i) =>
    entered(viewerOf(servers[i % 3]), String(10_000 + i), {room}));
  const api = servers[0];
  const {code} = await startRain(api, {room, count: 5, total: 500, limit: 2, duration_ms: 600_000});
  await Promise.all(all.map((m) => m.push("RED_PACKET_CONFIG", (p) => p.config_code === code, {timeoutMs: 30_000})));
  const step = (i) => api.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "STEP", payload: {i}});
  await step(1);
  const lost = all.filter((_, i) => i % 3 === 2);
  await Promise.all(all.map((m) => m.push("STEP", (p) => p.i === 1, {timeoutMs: 30_000})));
  const winner = lost[0];
  assert.equal((await winner.grab(code, 0)).name, "OK");

  const redis = await watchRedis(new Set(lost.map((m) => m.user)));
  t.after(() => redis.stop());
  await kill9(servers[2]);
  const from = performance.now();
  await step(2); // while they are away
  const back = await Promise.all(lost.map(async (old, i) => {
    await old.closed;
    const last = old.pushes.filter((p) => p.seq).at(-1);
    await sleep(Math.random() * BACKOFF_MS);
    const m = await entered(viewerOf(servers[i % 2]), old.user);
    m.joinReply = await m.join(room, {epoch: last.epoch, seq: last.seq});
    return {old, last, m, ms: performance.now() - from};
  }));
  const slowest = Math.max(...back.map((b) => b.ms));
  assert.ok(slowest < BACK_MS, `the last was back after ${slowest.toFixed(0)} ms`);
  await step(3);
  for (const {last, m} of back) {
    const {name, recovered, missed, rains, seq} = m.joinReply;
    assert.equal(name, "OK");
    assert.equal(recovered, true);
    assert.ok(rains.some((r) => r.payload.config_code === code), "the rain is there");
    await m.push("STEP", (p) => p.i === 3, {timeoutMs: 30_000});
    // From the log and from the socket together: every seq after the position, each once.
    const seqs = [...missed.map(([, , p]) => p.seq), ...m.pushes.filter((p) => p.seq).map((p) => p.seq)];
    assert.deepEqual(seqs, Array.from({length: seqs.length}, (_, i) => last.seq + 1 + i));
    assert.ok(seqs.includes(seq) || seq === last.seq);
  }
  // Nobody's chance is gone: the next packet of who had one, and his first is his still.
  const again = back.find((b) => b.old === winner).m;
  assert.equal((await again.grab(code, 0, true)).name, "OK");
  assert.equal((await again.grab(code, 1)).name, "OK");
  redis.stop();
  const most = Math.max(0, ...redis.calls.values());
  assert.ok(redis.calls.size > 0, "calls were seen");
  assert.ok(most <= 1, `${most} Redis calls of one viewer`);
  await closeRain(api, code);
  const rest = [...all.filter((_, i) => i % 3 !== 2), ...back.map((b) => b.m)];
  await pooled(rest, 64, (m) => m.cut());
  await until("they are gone", async () => {
    const text = await (await fetch(`${servers[0].adminUrl}/metrics`)).text();
    return /^redrain_connections 0$/m.test(text);
  }, {timeoutMs: 20_000});
});

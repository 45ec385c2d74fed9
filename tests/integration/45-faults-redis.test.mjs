// Redis fails in every way it can, in the middle of a rain: what viewers see, and the oracle over their histories and SQL.
// The rows are those of docs/FAULTS.md.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {mkdtempSync, rmSync, statfsSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {promisify} from "node:util";
import {pause, rainUnder, startBehindProxies, toldMore} from "../lib/faults.mjs";
import {Proxy, REDIS_GARBAGE, REDIS_HUGE_BULK, redisFails} from "../lib/proxy.mjs";
import {PrivateRedis} from "../lib/redis.mjs";
import {redisPause, redisResume} from "../lib/services.mjs";
import {enter, until} from "../lib/ws.mjs";
import {newRoom} from "./helpers.mjs";

// A call of the grab script: its keys are list, state, users and outbox of a shard.
const GRAB = /:state\}?\r\n[^]*:users\r\n[^]*:outbox\r\n/;
const REPLIES = 3;

let stack;
let redis;
before(async () => {
  stack = await startBehindProxies({redis: true, workers: 2, conf: {"redis.timeout_ms": 800}});
  ({redis} = stack.proxies);
});
after(() => stack?.end());

async function ready(yes) {
  await until(`readyz says ${yes ? 200 : 503}`, async () =>
    (await fetch(`${stack.adminUrl}/readyz`)).status === (yes ? 200 : 503), {timeoutMs: 20_000, everyMs: 50});
}

/** Arms one of a link's next answers after a grab call: what comes back is not what Redis said. */
async function answersOfGrabs(then, times = REPLIES) {
  const asked = new WeakSet(); // links that wait for such an answer
  redis.on({match: GRAB, times: Infinity, then: {call: (link) => { asked.add(link); }}});
  const answered = redis.on({to: "client", times, then, match: (_chunk, _text, link) => asked.delete(link)});
  await answered.waitHit(times);
  await redis.heal();
}

for (const kind of ["LOADING", "READONLY", "MISCONF", "OOM", "CLUSTERDOWN", "NOAUTH", "BUSY"]) {
  test(`redis says ${kind}: a grab is retried, none is refused`, async () => {
    const {history} = await rainUnder(stack, async () => {
      const rule = redis.on({match: GRAB, times: 6, then: redisFails(kind)});
      await rule.waitHit(6);
      await redis.heal();
    });
    const names = history.names();
    assert.ok(["PENDING", "BUSY", "UNAVAILABLE", "RECOVERING"].some((n) => names.has(n)), `somebody noticed: ${[...names]}`);
  });
}

test("redis forgot the scripts (NOSCRIPT): they are sent again, nobody notices", async () => {
  const {history} = await rainUnder(stack, async ({history: seen}) => {
    for (let i = 0; i < 5; i++) {
      await stack.redis.script("FLUSH");
      await toldMore(seen, "OK", 3);
    }
  });
  assert.deepEqual([...history.names()].filter((n) => !["OK", "PENDING"].includes(n)), []);
});

test("the answer of a grab is lost: the script ran, the same packet comes on the repeat", async () => {
  const {history} = await rainUnder(stack, async () => {
    const rule = redis.on({match: GRAB, times: REPLIES, then: "cut-after"});
    await rule.waitHit(REPLIES);
  });
  assert.ok(history.pending > 0, "PENDING until it is known");
});

test("the connection goes before the call: it did not run", async () => {
  await rainUnder(stack, async () => { await redis.on({match: GRAB, times: REPLIES, then: "cut-before"}).waitHit(REPLIES); });
});

test("half of an answer, then the connection is gone", async () => {
  const {history} = await rainUnder(stack, () => answersOfGrabs("half"));
  assert.ok(history.pending > 0);
});

test("the connection is reset in the middle of an answer", async () => {
  await rainUnder(stack, () => answersOfGrabs("reset"));
});

test("garbage instead of an answer", async () => {
  const {history} = await rainUnder(stack, () => answersOfGrabs({replace: REDIS_GARBAGE}));
  assert.ok(history.pending > 0);
});

test("an answer that announces 512 MiB: memory stays, the connection does not", async () => {
  const rss = () => Math.max(...stack.workerPids().map((pid) => Number(/VmRSS:\s+(\d+)/.exec(stack.proc(pid, "status"))[1])));
  const before = rss();
  await rainUnder(stack, () => answersOfGrabs({replace: REDIS_HUGE_BULK}));
  assert.ok(rss() < before + 128 * 1024, `${before} KiB before, ${rss()} KiB after`);
});

test("every answer and every question in pieces of one byte", async () => {
  await rainUnder(stack, async ({history}) => {
    redis.slice(1);
    await toldMore(history, "OK", 10, 30_000);
    await redis.heal();
  });
});

test("500 ms of latency: PENDING, then the amount; the loop goes on", async () => {
  const {history} = await rainUnder(stack, async (seen) => {
    redis.latency({up: 250, down: 250});
    await toldMore(seen.history, "PENDING", 3);
    const begin = Date.now();
    assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200);
    assert.ok(Date.now() - begin < 400, "livez does not wait for Redis");
    await redis.heal();
  });
  assert.ok(history.pending > 0);
});

test("redis stands still (SIGSTOP) for 1.5 s: PENDING, sockets and pings go on, all is resolved", async () => {
  const {history} = await rainUnder(stack, async (seen) => {
    await redisPause();
    try {
      await toldMore(seen.history, "PENDING", 3);
      await pause(1500);
    } finally {
      await redisResume();
    }
  });
  assert.ok(history.pending > 0);
});

test("CLIENT PAUSE WRITE for 1 s", async () => {
  const {history} = await rainUnder(stack, async (seen) => {
    await stack.redis.call("CLIENT", "PAUSE", "1000", "WRITE");
    await toldMore(seen.history, "PENDING", 1);
  });
  assert.ok(history.pending > 0);
});

test("a new worker lets viewers in once it hears Redis: the first JOIN is answered OK", async () => {
  const login = redis.on({match: /SETNAME/, times: Infinity, then: {call: () => pause(100)}});
  const dead = stack.workerPids();
  for (const pid of dead) process.kill(pid, "SIGKILL");
  await login.waitHit(1);
  const room = newRoom("fresh");
  const first = await Promise.all(Array.from({length: 4}, (_, i) => until("a socket", async () => {
    try {
      return await enter(stack, String(8460 + i), {room});
    } catch (error) {
      if (/JOIN/.test(error.message)) return error;
      throw error; // a connection that a dead worker had taken
    }
  }, {timeoutMs: 20_000, everyMs: 5})));
  await redis.heal();
  for (const client of first) assert.ok(!(client instanceof Error), client.message);
  for (const client of first) await client.close();
});

test("a black hole for 2 s: connections time out, are made again, and nothing is lost", async () => {
  await rainUnder(stack, async (seen) => {
    redis.blackhole();
    await toldMore(seen.history, "PENDING", 3);
    await ready(false);
    await redis.heal();
    await ready(true);
  });
});

test("redis cannot be reached for 2 s: readyz says 503, sockets stay", async () => {
  await rainUnder(stack, async () => {
    await redis.refuse();
    await ready(false);
    await redis.heal();
    await ready(true);
  });
});

// ---- real ones: a Redis of the test's own ----

const run = promisify(execFile);
const skipUnlessRoot = process.getuid() === 0 ? false : "needs root to mount a small tmpfs";

/** A stack on a private Redis, reached through a proxy. */
async function own(t, {conf, ...o} = {}) {
  const primary = new PrivateRedis(o);
  await primary.start();
  t.after(() => primary.destroy());
  const front = await Proxy.start({host: "127.0.0.1", port: primary.port});
  t.after(() => front.close());
  const other = await startBehindProxies({workers: 2, conf: {"redis.timeout_ms": 800, "redis.url": front.url(primary.url), ...conf}});
  t.after(() => other.end());
  return {stack: other, primary, front};
}

test("maxmemory is reached: writes are refused as a whole, nobody is told sold out", async (t) => {
  const {stack: other, primary} = await own(t);
  const {history} = await rainUnder(other, async (seen) => {
    await primary.client.config("SET", "maxmemory", "1");
    await toldMore(seen.history, "PENDING", 1).catch(() => {});
    await until("somebody noticed", () => ["PENDING", "BUSY", "UNAVAILABLE"].some((n) => seen.history.names().has(n)));
    await primary.client.config("SET", "maxmemory", "0");
  });
  assert.ok(history.names().size > 1);
});

/** A tmpfs of so many KiB, gone with the test. */
async function smallDisk(t, kib) {
  const dir = mkdtempSync(join(tmpdir(), "redrain-disk-"));
  await run("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", dir]);
  t.after(async () => {
    await run("umount", ["-l", dir]);
    rmSync(dir, {recursive: true, force: true});
  });
  const filler = join(dir, "filler");
  return {
    dir,
    fill() {
      const {bavail, bsize} = statfsSync(dir);
      writeFileSync(filler, Buffer.alloc(bavail * bsize, 1));
    },
    free: () => rmSync(filler, {force: true}),
  };
}

test("the disk is full, everysec: MISCONF, and all goes on when there is room", {skip: skipUnlessRoot}, async (t) => {
  const disk = await smallDisk(t, 4096);
  const {stack: other, primary} = await own(t, {fsync: "everysec", root: disk.dir});
  await rainUnder(other, async ({history}) => {
    disk.fill();
    await until("Redis refuses writes", async () => {
      const failed = await primary.client.set("probe", "x").then(() => false, (error) => /MISCONF/.test(error.message));
      return failed && (await primary.client.info("persistence")).includes("aof_last_write_status:err");
    }, {timeoutMs: 20_000, everyMs: 100});
    await toldMore(history, "PENDING", 1).catch(() => {});
    disk.free();
    await toldMore(history, "OK", 5, 30_000);
  });
});

test("the disk is full, always: Redis ends; restarted with room, the rain is recovered", {skip: skipUnlessRoot}, async (t) => {
  const disk = await smallDisk(t, 4096);
  const {stack: other, primary} = await own(t, {fsync: "always", root: disk.dir});
  await rainUnder(other, async ({history}) => {
    disk.fill();
    await until("Redis has ended", () => primary.ended, {timeoutMs: 20_000, everyMs: 50});
    disk.free();
    await primary.start();
    await toldMore(history, "OK", 10, 40_000);
  }, {deadlineMs: 90_000});
});

test("failover with the link cut: acknowledged pops are lost, nobody gets a packet of another", async (t) => {
  const {stack: other, primary, front} = await own(t, {conf: {"redis.topology": "failover"}});
  const link = await Proxy.start({host: "127.0.0.1", port: primary.port});
  t.after(() => link.close());
  const replica = new PrivateRedis({fsync: "everysec", args: ["--replicaof", "127.0.0.1", String(link.port)]});
  await replica.start();
  t.after(() => replica.destroy());
  await until("the replica follows", async () => (await replica.client.info("replication")).includes("master_link_status:up"), {timeoutMs: 20_000});
  let lost = 0;
  const granted = async (redis, code) => {
    const all = await Promise.all([0, 1].map((s) => redis.client.hget(`${other.namespace}redpkt:{${code}:${s}}:state`, "granted")));
    return all.reduce((sum, n) => sum + Number(n), 0);
  };
  const {history, oracle} = await rainUnder(other, async ({history: seen, code}) => {
    link.blackhole();
    await toldMore(seen, "OK", 20);
    lost = await granted(primary, code) - await granted(replica, code);
    await primary.kill9();
    await replica.client.call("REPLICAOF", "NO", "ONE");
    front.retarget({host: "127.0.0.1", port: replica.port});
    await toldMore(seen, "OK", 10, 60_000);
  }, {deadlineMs: 120_000});
  assert.ok(lost >= 20, `pops that the primary had acknowledged and the replica had not: ${lost}`);
  assert.ok(history.names().has("RECOVERING") || history.names().has("PENDING"), [...history.names()].join());
  assert.equal(oracle.wins.length, 120);
  const fences = await other.sql("SELECT state, kind FROM rp_fence");
  assert.ok(fences.length > 0 && fences.every((f) => f.state >= 5) && fences.some((f) => f.kind === "full"), JSON.stringify(fences));
});

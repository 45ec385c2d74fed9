// Redis fails in every way it can, in the middle of a rain: what viewers see, and the oracle over their histories and SQL.
// The rows are those of docs/FAULTS.md.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {pause, rainUnder, startBehindProxies, toldMore} from "../lib/faults.mjs";
import {REDIS_GARBAGE, REDIS_HUGE_BULK, redisFails} from "../lib/proxy.mjs";
import {redisPause, redisResume} from "../lib/services.mjs";
import {until} from "../lib/ws.mjs";

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
  const asked = redis.on({match: GRAB, times: Infinity, then: {call: (link) => { link.marked = true; }}});
  const answered = redis.on({to: "client", times, then, match: (_chunk, _text, link) => link.marked && !(link.marked = false)});
  await answered.waitHit(times);
  assert.ok(asked.hits >= times);
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
  const {history} = await rainUnder(stack, async () => {
    const rule = redis.on({match: (chunk, text) => /EVALSHA/.test(text) && GRAB.test(text), times: 5, then: redisFails("NOSCRIPT")});
    await rule.waitHit(5);
    await redis.heal();
    await stack.redis.script("FLUSH");
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

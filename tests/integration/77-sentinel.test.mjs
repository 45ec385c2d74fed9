// A primary with a replica, watched by a sentinel: the primary dies in a rain with grants the replica never saw, everybody finds
// the new one, and the rain goes on.
import {test} from "node:test";
import assert from "node:assert/strict";
import {PrivateSentinel} from "../lib/redis-cluster.mjs";
import {until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {LIMIT, VIEWERS, fences, rainWhile, recovered} from "./hurt.mjs";

test("failover by a sentinel in a rain", async (t) => {
  const group = new PrivateSentinel();
  await group.start();
  t.after(() => group.destroy());
  const stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000, "redis.url": group.url,
    "redis.topology": "sentinel", "redis.sentinel_master": group.master, "fence.wait_ms": 3000}});
  t.after(() => stack.stop());
  const done = await rainWhile({stack, redis: group}, async ({code, tally}) => {
    await group.primary.cutReplicas();
    const told = tally.told;
    await until("more is told, and the replica does not know", () => tally.told > told + 40, {timeoutMs: 20_000, everyMs: 5});
    await group.primary.kill9();
    await recovered(stack, code);
  });
  assert.equal(done.wins.filter((w) => w.user !== "7999").length, VIEWERS * LIMIT, "everybody got what the limit allows");
  assert.ok(done.tally.recovering > 0);
  // The new primary's room log has another epoch: what was pushed before a worker loaded it is told out of the snapshot.
  await done.watcher.push("RED_PACKET_STATE", (p) => p.config_code === done.code && p.state === "OPEN");
  const states = done.watcher.pushesOf("RED_PACKET_STATE").filter((p) => p.payload.config_code === done.code).map((p) => p.payload.state);
  assert.equal(states[0], "RECOVERING");
  assert.equal(states.at(-1), "OPEN");
  assert.deepEqual((await fences(stack, done.code)).map((f) => f.kind).filter(Boolean), ["full"]);
  assert.equal((await group.replica.client.role())[0], "master");
});

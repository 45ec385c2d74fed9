// Rooms and pools in a Redis Cluster of three primaries, the first with a replica: a whole rain, a slot that moves in a rain, a
// primary that dies with grants its replica never saw.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {PrivateCluster} from "../lib/redis-cluster.mjs";
import {enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {LIMIT, VIEWERS, fences, rainWhile, recovered, stubborn} from "./hurt.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const SHARDS = 6;
const PACKETS = 960;
const long = process.env.REDRAIN_TEST_LONG ? false : "long";

let cluster;
let stack;

before(async () => {
  cluster = new PrivateCluster({replicas: 1});
  await cluster.start();
  stack = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000, "redis.url": cluster.url, "redis.topology": "cluster",
    "fence.wait_ms": 3000}});
});
after(async () => {
  await stack?.stop();
  await cluster?.destroy();
});

const listOf = (code, shard) => `${stack.namespace}redpkt:{${code}:${shard}}:list`;

async function metric(name) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^redrain_${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1] ?? NaN);
}

/** A shard of the rain, by the node that has it. */
async function shardsByNode(code) {
  const by = new Map();
  for (let shard = 0; shard < SHARDS; shard += 1) {
    const {node} = await cluster.ownerOf(listOf(code, shard));
    by.set(node, [...(by.get(node) ?? []), shard]);
  }
  return by;
}

test("a rain over three primaries", async () => {
  const room = newRoom("cluster");
  const watcher = await enter(stack, "8000", {room});
  const tally = {told: 0, recovering: 0, regained: 0};
  const {code} = await startRain(stack, {room, count: PACKETS, total: 32_000, limit: LIMIT, shards: SHARDS});
  await watcher.push("RED_PACKET_CONFIG", (p) => p.config_code === code);
  const deadline = Date.now() + 30_000;
  const wins = (await Promise.all(Array.from({length: VIEWERS},
    (_, i) => stubborn(stack, String(7000 + i), room, code, tally, deadline, 0)))).flat();
  assert.equal(wins.length, VIEWERS * LIMIT);
  assert.equal(tally.recovering, 0);
  assert.ok((await shardsByNode(code)).size > 1, "more than one primary has a part of it");
  await watcher.push("RED_PACKET_TICK", (p) => p.config_code === code);
  await closeRain(stack, code);
  await settled(stack, code, 30_000);
  await watcher.push("RED_PACKET_RESULT", (p) => p.config_code === code);
  await assertBooks(stack, code, wins, {total: 32_000});
  await stack.verify();
  /* A room without any rain: pushes between workers, in every slot. */
  for (let i = 0; i < 6; i += 1) {
    const client = await enter(stack, String(8100 + i), {room: newRoom("other")});
    await client.close();
  }
  await watcher.close();
});

test("without a number of shards there is one per primary, if it is worth it", async () => {
  const shardsOf = async (count) => {
    await stack.deposit("9001", count * 10);
    const {code} = await stack.must("POST", "/api/v1/rains",
      {sender: "9001", room: newRoom("spread"), count, total: count * 10, biz_id: `s-${count}`});
    return Number((await stack.sql("SELECT shards FROM t_red_packet_config WHERE config_code = ?", [code]))[0].shards);
  };
  assert.equal(await shardsOf(3000), 3);
  assert.equal(await shardsOf(2999), 1);
});

test("a slot moves to another primary in a rain", async () => {
  const redirects = await metric("redis_redirects_total");
  const done = await rainWhile({stack, redis: cluster}, async ({code}) => {
    const {from, to} = await cluster.moveSlotOf(listOf(code, 0));
    assert.notEqual(from, to);
    /* Another run of Redis has the shard now: that is a recovery, which loses nothing. */
    await recovered(stack, code);
  }, {shards: SHARDS, packets: PACKETS});
  assert.ok((await metric("redis_redirects_total")) > redirects, "MOVED or ASK was followed");
  assert.equal(done.wins.filter((w) => w.user !== "7999").length, VIEWERS * LIMIT, "everybody got what the limit allows");
  const [shard] = await stack.sql("SELECT COUNT(*) AS n FROM rp_fence_shard s JOIN rp_fence f ON f.id = s.fence"
    + " WHERE f.code = ? AND f.state = 5", [done.code]);
  assert.ok(Number(shard.n) >= 1 && Number(shard.n) < SHARDS, "only what moved was recovered");
});

test("a primary dies with grants its replica never saw; the replica takes over", async () => {
  const [primary] = cluster.nodes;
  const replica = cluster.nodes.at(-1);
  const done = await rainWhile({stack, redis: cluster}, async ({code, tally}) => {
    const mine = (await shardsByNode(code)).get(primary) ?? [];
    await primary.cutReplicas();
    const told = tally.told;
    await until("more is told, and the replica does not know", () => tally.told > told + 40, {timeoutMs: 20_000, everyMs: 5});
    await primary.kill9();
    await until("the replica is primary", async () => (await replica.client.role())[0] === "master", {timeoutMs: 20_000});
    if (mine.length) await recovered(stack, code);
  }, {shards: SHARDS, packets: PACKETS});
  assert.equal(done.wins.filter((w) => w.user !== "7999").length, VIEWERS * LIMIT, "everybody got what the limit allows");
  assert.ok((await fences(stack, done.code)).every((f) => f.state >= 5));
  await cluster.untilWhole();
});

test("a primary without a replica dies and comes back", {skip: long}, async () => {
  const dead = cluster.nodes[2];
  const done = await rainWhile({stack, redis: cluster}, async ({code}) => {
    await dead.kill9();
    const [room] = [newRoom("meanwhile")];
    const client = await enter(stack, "8200", {room}).catch(() => null); // its slot may be of the dead one
    await client?.close();
    await dead.start();
    await cluster.untilWhole();
    if (((await shardsByNode(code)).get(dead) ?? []).length) await recovered(stack, code);
  }, {shards: SHARDS, packets: PACKETS});
  assert.equal(done.wins.filter((w) => w.user !== "7999").length, VIEWERS * LIMIT);
});

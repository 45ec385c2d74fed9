// Kafka fails in every way it can, in the middle of a rain: errors by librdkafka's mock cluster, the log's own troubles on the
// real one. The rows are those of docs/FAULTS.md.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {long, pause, rainUnder, startBehindProxies, toldMore, untilSettled} from "../lib/faults.mjs";
import {API, KAFKA, MockKafka, produceRaw} from "../lib/mock-kafka.mjs";
import {History, assertOracle} from "../lib/oracle.mjs";
import {kafkaBootstrap, skipWithoutDurableBroker} from "../lib/services.mjs";
import {OP, encode, enter, pooled, until} from "../lib/ws.mjs";
import {closeRain, newRoom, startRain} from "./helpers.mjs";

const TOPIC = "receive_red_packet";

let mock;
let onMock; // a stack on the mock cluster
let onReal; // a stack on the broker of the tests
before(async () => {
  mock = await MockKafka.start();
  onMock = await startBehindProxies({
    workers: 2, conf: {"kafka.bootstrap": mock.bootstrap, "rain.outbox_max": 100},
    prepare: (stack) => mock.topic(stack.namespace + TOPIC, 4),
  });
  onReal = await startBehindProxies({workers: 2});
});
after(async () => {
  const problems = [];
  for (const end of [() => onMock?.end(), () => onReal?.end(), () => mock?.stop()]) {
    try {
      await end();
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length) throw problems[0];
});

const metric = async (stack, name) => {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return text.split("\n").filter((l) => new RegExp(`^redrain_${name}\\b`).test(l)).reduce((sum, l) => sum + Number(l.split(" ").at(-1)), 0);
};

/** Only these may have been said. */
const only = (history, ...names) => assert.deepEqual([...history.names()].filter((n) => !names.includes(n)), []);

test(`all brokers are down for ${long ? 60 : 6} s: PENDING, and the amount follows`, async () => {
  const {history} = await rainUnder(onMock, async (seen) => {
    await mock.down();
    await toldMore(seen.history, "PENDING", 5);
    await pause(long ? 60_000 : 6000);
    await mock.up();
  }, {deadlineMs: 120_000, allow: []});
  assert.ok(history.pending > 0);
  only(history, "OK", "PENDING", "LIMIT", "-");
});

test("the outbox reaches its cap while brokers are down: BUSY, then everybody wins", async () => {
  const room = newRoom("cap");
  const history = new History();
  const {code} = await startRain(onMock, {room, count: 400, total: 4000, limit: 1, shards: 1, duration_ms: 300_000});
  const clients = await pooled(Array.from({length: 160}, (_, i) => String(8500 + i)), 20, (user) => enter(onMock, user, {room}));
  await mock.down();
  const waiting = [];
  try {
    // One after the other, so that each grab is an entry of its own; nobody waits for his answer.
    await until("BUSY is told", () => {
      if (history.names().has("BUSY")) return true;
      const client = clients[waiting.length];
      if (!client) return false;
      history.asked(client.user, code, 0);
      const asked = client.ask(OP.GRAB, {code, seq: 0});
      waiting.push(asked);
      asked.first.then((reply) => history.answered(client.user, code, 0, reply), () => {});
      return false;
    }, {timeoutMs: 20_000, everyMs: 15});
  } finally {
    await mock.up();
  }
  assert.ok(waiting.length > 90, `${waiting.length} asked before the cap of 100 was reached`);
  await pooled(clients.slice(0, waiting.length), 16, (client) => until(`user ${client.user} has his amount`, async () => {
    const reply = await client.grab(code, 0, true);
    history.answered(client.user, code, 0, reply);
    if (reply.name !== "OK") throw new Error(reply.name);
    return true;
  }, {timeoutMs: 30_000, everyMs: 200}));
  await closeRain(onMock, code);
  await untilSettled(onMock, code);
  const oracle = await assertOracle(onMock, history, code, {total: 4000});
  assert.equal(oracle.wins.length, waiting.length);
  await Promise.all(clients.map((c) => c.close()));
  await onMock.verify();
});

for (const [name, code] of Object.entries(KAFKA)) {
  test(`the broker answers ${name} for a while`, async () => {
    const {history} = await rainUnder(onMock, async (seen) => {
      await mock.errors(API.PRODUCE, 12, code);
      await toldMore(seen.history, "OK", 20, 30_000);
    });
    only(history, "OK", "PENDING", "LIMIT", "-");
  });
}

test("the leader moves in the middle of a rain", async () => {
  await rainUnder(onMock, async (seen) => {
    for (let broker = 1; broker <= 3; broker += 1) {
      for (let part = 0; part < 4; part += 1) await mock.leader(onMock.namespace + TOPIC, part, broker);
      await toldMore(seen.history, "OK", 8, 30_000);
    }
  });
});

test("700 ms to Kafka and back: PENDING, then told", async () => {
  const {history} = await rainUnder(onMock, async (seen) => {
    await mock.rtt(700);
    await toldMore(seen.history, "PENDING", 5);
    await toldMore(seen.history, "OK", 5);
    await mock.rtt(0);
  });
  only(history, "OK", "PENDING", "LIMIT", "-");
});

test("1.8 s to Kafka and back: a report that comes too late tells nobody, nothing is lost", async () => {
  const {history} = await rainUnder(onMock, async (seen) => {
    await mock.rtt(1800);
    await toldMore(seen.history, "PENDING", 10);
    await pause(4000);
    await mock.rtt(0);
  });
  only(history, "OK", "PENDING", "LIMIT", "-");
});

test("fetches fail for a while: the books lag, then catch up", async () => {
  await rainUnder(onMock, async () => { await mock.errors(API.FETCH, 20, KAFKA.NOT_LEADER); });
});

test("every win is produced five times more: duplicates are dropped", {skip: skipWithoutDurableBroker}, async () => {
  const room = newRoom("dup");
  const history = new History();
  const {code} = await startRain(onReal, {room, count: 10, total: 100, limit: 2, shards: 2, duration_ms: 300_000});
  const duplicates = await metric(onReal, "duplicates_total");
  for (const user of ["8601", "8602"]) {
    const client = await enter(onReal, user, {room});
    for (const seq of [0, 1]) {
      const first = await client.grab(code, seq);
      history.answered(user, code, seq, first);
      for (let i = 0; i < 5; i += 1) {
        const again = await client.grab(code, seq, true);
        assert.deepEqual([again.name, again.shard, again.no, again.amount], ["OK", first.shard, first.no, first.amount]);
      }
    }
    await client.close();
  }
  await until("20 duplicates were counted", async () => await metric(onReal, "duplicates_total") >= duplicates + 20, {timeoutMs: 20_000, everyMs: 100});
  await closeRain(onReal, code);
  await untilSettled(onReal, code);
  const {grants} = await assertOracle(onReal, history, code, {total: 100});
  assert.equal(grants.length, 4);
});

test("the books' offset goes back to 0: everything is read again, nothing is paid again", {skip: skipWithoutDurableBroker}, async () => {
  const paid = async () => (await onReal.sql("SELECT COUNT(*) AS n, COALESCE(SUM(delta), 0) AS fen FROM account_log WHERE biz_type = 'grant' AND account_kind = 'balance'"))[0];
  await rainUnder(onReal, async () => {});
  const before = await paid();
  await onReal.settler.stop();
  const [{n}] = await onReal.sql("SELECT SUM(next_offset) AS n FROM rp_offset");
  assert.ok(Number(n) > 0);
  await onReal.sql("UPDATE rp_offset SET next_offset = 0");
  await onReal.settler.start();
  await until("it has read all of it again", async () =>
    Number((await onReal.sql("SELECT SUM(next_offset) AS n FROM rp_offset"))[0].n) >= Number(n), {timeoutMs: 30_000});
  assert.deepEqual(await paid(), before);
  await onReal.verify();
});

test("the books' offset is past the end of the log: from the start again, with a finding", {skip: skipWithoutDurableBroker}, async () => {
  await onReal.settler.stop();
  await onReal.sql("UPDATE rp_offset SET next_offset = next_offset + 100000");
  await onReal.settler.start();
  await rainUnder(onReal, async () => {});
  await until("a finding is noted", () => onReal.logs().some((l) => l.includes('"finding"')));
});

test("poison and a record of an unknown version: kept whole, told to the operator, the others go on", {skip: skipWithoutDurableBroker}, async () => {
  const topic = onReal.namespace + TOPIC;
  const dead = await metric(onReal, "dead_total");
  const future = encode({version: 99, biz_id: "x:1:0", code: "x", shard: 0, packet_no: 0, user_id: 1, room_id: "r", seq: 0, price: 1, granted_at: 1, rid: "a"});
  await rainUnder(onReal, async ({history, code}) => {
    await produceRaw(kafkaBootstrap, topic, `${code}:0`, Buffer.from("\xff\x00 poison", "latin1"));
    await produceRaw(kafkaBootstrap, topic, `${code}:1`, future);
    await produceRaw(kafkaBootstrap, topic, `${code}:1`, Buffer.alloc(0));
    await toldMore(history, "OK", 10);
  });
  const rows = await onReal.sql("SELECT raw, state FROM rp_dead ORDER BY id");
  assert.equal(rows.length, 3);
  assert.ok(rows.some((r) => Buffer.compare(Buffer.from(r.raw), Buffer.from(future)) === 0), "its bytes are kept");
  await until("the metric says so", async () => await metric(onReal, "dead_total") >= dead + 3, {timeoutMs: 10_000, everyMs: 100});
  assert.ok(onReal.logs().some((l) => l.includes('"set_aside"')), "and the log");
});

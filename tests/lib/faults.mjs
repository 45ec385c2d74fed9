// A stack whose ways to Redis, MySQL and Kafka go through proxies, and rains that are played while the ways are hurt.
import assert from "node:assert/strict";
import {FINAL_NO, History, assertOracle, assertVisible, playViewer, repeatWins} from "./oracle.mjs";
import {Proxy} from "./proxy.mjs";
import {kafkaBootstrap, mysqlUrl, redisUrl} from "./services.mjs";
import {startStack} from "./stack.mjs";
import {until} from "./ws.mjs";
import {closeRain, newRoom, startRain} from "../integration/helpers.mjs";

/** Tests that take long run only where they are asked for: ./dev test --long. */
export const long = process.env.REDRAIN_TEST_LONG === "1";
export const skipUnlessLong = long ? false : "takes long: ./dev test --long";

const VIEWERS = 12;
const LIMIT = 10;
const PACE_MS = 30;
const SETTLED = 5;

/**
 * startStack with proxies in front of what is named: {redis: true, mysql: true, settlerMysql: true, kafka: true}.
 * settlerMysql: the settler has its own way to MySQL; `mysql` is then the server's.
 * prepare(stack): runs before the schema and the topic are made.
 * Resolves with the stack; stack.proxies has them by name, stack.end() stops everything.
 */
export async function startBehindProxies({redis = false, mysql = false, settlerMysql = false, kafka = false, conf = {}, prepare = null, ...more}) {
  const proxies = {};
  const stack = await startStack({...more, migrate: more.migrate !== false && !prepare, server: false, settler: false,
    conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000, "kafka.message_timeout_ms": 2000, "settler.task_interval_ms": 50, ...conf}});
  stack.proxies = proxies;
  stack.end = async () => {
    try {
      for (const p of Object.values(proxies)) await p.heal();
      await stack.stop();
    } finally {
      for (const p of Object.values(proxies)) await p.close();
    }
  };
  try {
    if (prepare) {
      await prepare(stack);
      await stack.migrate();
    }
    if (redis) proxies.redis = await Proxy.to(redisUrl, 6379);
    if (mysql) proxies.mysql = await Proxy.to(mysqlUrl, 3306);
    if (settlerMysql) proxies.settlerMysql = await Proxy.to(mysqlUrl, 3306);
    if (kafka) proxies.kafka = await Proxy.to(kafkaBootstrap, 9092);
    if (redis) stack.conf["redis.url"] = proxies.redis.url(redisUrl);
    if (kafka) stack.conf["kafka.bootstrap"] = proxies.kafka.address;
    if (mysql) stack.conf["mysql.url"] = proxies.mysql.url(mysqlUrl);
    if (settlerMysql) stack.settlerConf["mysql.url"] = proxies.settlerMysql.url(mysqlUrl);
    stack.writeConfig();
    if (more.server !== false) await stack.startServer();
    if (more.settler !== false) {
      const settler = stack.settler.start();
      await until(() => `the settler runs; ${settler.tail()}`, () => settler.events().some((e) => e.event === "ready"), {timeoutMs: 30_000});
    }
    if (more.server !== false) await stack.waitReady();
  } catch (error) {
    await stack.abandon();
    for (const p of Object.values(proxies)) await p.close();
    throw error;
  }
  return stack;
}

/** Waits until the rain is SETTLED by SQL; leases of steps that were cut off end at once. */
export async function untilSettled(stack, code, timeoutMs = 40_000) {
  await until(() => `rain ${code} is SETTLED`, async () => {
    await stack.sql("UPDATE rp_task SET next_at = 0 WHERE code = ? AND state = 0 AND next_at > ?", [code, Date.now() + 1000]);
    const [{status}] = await stack.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]);
    if (status !== SETTLED) throw new Error(`status ${status}`);
    return true;
  }, {timeoutMs, everyMs: 250});
}

/**
 * Plays a rain with packets for everybody; hurt({history, code, room}) does its worst in the middle of it and heals. Then
 * everybody has his limit, the rain ends, and the oracle has its say. What viewers may be told meanwhile is the same for every
 * fault: never a final no for a packet that is there. Resolves with {history, code, oracle}.
 */
export async function rainUnder(stack, hurt, {viewers = VIEWERS, limit = LIMIT, shards = 2, paceMs = PACE_MS, deadlineMs = 60_000, allow = []} = {}) {
  const room = newRoom("fault");
  const history = new History();
  const count = viewers * limit * 2 + 40; // whatever a shard gets, it has enough for all
  const total = count * 20;
  const {code} = await startRain(stack, {room, count, total, limit, shards, duration_ms: 300_000});
  const deadline = Date.now() + deadlineMs;
  let failed = null;
  const playing = Promise.all(Array.from({length: viewers}, (_, i) =>
    playViewer({stack, history, user: String(8200 + i), room, code, deadline, max: limit, paceMs})));
  playing.catch((error) => { failed = error; });
  await until("a fifth is told", () => failed || history.told >= viewers * limit / 5, {timeoutMs: 20_000, everyMs: 5});
  if (!failed) await hurt({history, code, room});
  await playing;
  const refused = [...history.names(code)].filter((name) => FINAL_NO.has(name) && !allow.includes(name));
  assert.deepEqual(refused, [], "nobody was finally refused: there were packets for all");
  assert.equal(history.wins(code).length, viewers * limit, "everybody has all he may have");
  await repeatWins(stack, history, code, room);
  await closeRain(stack, code).catch(() => {});
  await until("the close is asked for", async () => (await stack.api("POST", `/api/v1/rains/${code}/close`, {})).status < 300, {timeoutMs: 20_000, everyMs: 100});
  await untilSettled(stack, code);
  const oracle = await assertOracle(stack, history, code, {total});
  assert.equal(oracle.hidden.length, 0, "what is in the books was told");
  assert.equal(oracle.voids.length, 0, "no packet was granted to nobody");
  await assertVisible(stack, history, code, room);
  await stack.verify();
  return {history, code, room, oracle};
}

/** Waits until viewers were told `name` n times more than now. */
export function toldMore(history, name, n = 1, timeoutMs = 15_000) {
  const count = () => history.events.filter((e) => e.name === name).length;
  const before = count();
  return until(() => `${name} is told ${n} times more; told: ${[...new Set(history.events.map((e) => e.name))]}`, () => count() >= before + n, {timeoutMs, everyMs: 10});
}

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

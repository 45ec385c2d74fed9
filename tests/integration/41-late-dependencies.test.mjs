// Redis, MySQL and Kafka are not there at the start: it is said what is waited for, and all is well once they come.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {connect, createServer} from "node:net";
import {freePort, kafkaBootstrap, mysqlUrl, redisUrl} from "../lib/services.mjs";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

/** A closed port that becomes the way to a service when it is opened. */
class Relay {
  #server = null;
  #sockets = new Set();

  constructor(host, port) {
    this.target = {host, port};
  }

  async reserve() {
    this.port = await freePort();
    return this;
  }

  open() {
    this.#server = createServer((from) => {
      const to = connect(this.target);
      for (const s of [from, to]) {
        this.#sockets.add(s);
        s.on("error", () => {});
        s.on("close", () => {
          this.#sockets.delete(s);
          from.destroy();
          to.destroy();
        });
      }
      from.pipe(to).pipe(from);
    });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.port, "127.0.0.1", resolve);
    });
  }

  async close() {
    if (!this.#server) return;
    const closed = new Promise((resolve) => { this.#server.close(resolve); });
    for (const s of this.#sockets) s.destroy();
    await closed;
    this.#server = null;
  }
}

const through = (url, relay) => {
  const u = new URL(url);
  u.hostname = "127.0.0.1";
  u.port = String(relay.port);
  return u.href;
};
const relayTo = (url, port) => new Relay(new URL(url).hostname, Number(new URL(url).port || port)).reserve();

let stack;
let redis;
let mysql;
let kafka;

before(async () => {
  stack = await startStack({workers: 2, server: false, settler: false});
  redis = await relayTo(redisUrl, 6379);
  mysql = await relayTo(mysqlUrl, 3306);
  kafka = await relayTo(`kafka://${kafkaBootstrap.split(",")[0]}`, 9092);
  Object.assign(stack.conf, {
    "redis.url": through(redisUrl, redis), "mysql.url": through(mysqlUrl, mysql), "kafka.bootstrap": `127.0.0.1:${kafka.port}`,
  });
  stack.writeConfig();
  await stack.startServer();
  stack.settler.start();
});

after(async () => {
  try {
    await stack?.stop();
  } finally {
    await Promise.all([redis?.close(), mysql?.close(), kafka?.close()]);
  }
});

async function readyz() {
  const answer = await fetch(`${stack.adminUrl}/readyz?verbose`);
  return {status: answer.status, text: await answer.text()};
}

/** Waits until readyz says of each service whether it is there. */
const says = (there) => until(() => `readyz says ${JSON.stringify(there)}`, async () => {
  const {text} = await readyz();
  for (const [name, good] of Object.entries(there)) {
    if (new RegExp(`^\\[\\+\\]${name}`, "m").test(text) !== good) throw new Error(text);
  }
  return true;
}, {timeoutMs: 25_000, everyMs: 100});

test("with nothing there: alive, not ready, and it says what it waits for", async () => {
  assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200);
  await says({redis: false, mysql: false, kafka: false});
  const {status, text} = await readyz();
  assert.equal(status, 503);
  for (const name of ["redis", "mysql", "kafka"]) assert.match(text, new RegExp(`^\\[[-!]\\]${name} .*waiting`, "m"));
  await until("the server's log says it", () =>
    ["redis", "mysql", "kafka"].every((name) => stack.server.lines.some((l) => l.includes(name) && l.includes("waiting"))));
  await until("the settler's log says it", () =>
    stack.settler.current().lines.some((l) => l.includes("waiting")), {timeoutMs: 20_000});
  assert.equal(stack.settler.current().exit, null, "the settler waits, it does not end");
});

test("with nothing there: sockets are served with clear answers", async () => {
  const client = await Client.open(stack.wsUrl, {origin: stack.origin});
  const hello = await client.hello(stack.mint("1", {role: "anchor"}));
  assert.ok(["OK", "UNAVAILABLE"].includes(hello.name), hello.name);
  const joined = await client.join("late");
  assert.equal(joined.name, "UNAVAILABLE");
  await client.close();
  const api = await stack.api("GET", "/api/v1/wallets/1");
  assert.equal(api.status, 503);
  assert.equal(api.body.name, "UNAVAILABLE");
});

test("with Redis alone: rooms and pushes work, rain commands say UNAVAILABLE", async () => {
  await redis.open();
  await says({redis: true, mysql: false, kafka: false});
  const room = newRoom("late");
  const anchor = await enter(stack, "9001", {room, role: "anchor"});
  assert.equal((await anchor.request(OP.ANNOUNCE, {text: "hello"})).name, "OK");
  assert.equal((await anchor.push("ANNOUNCE")).payload.text, "hello");
  const created = await anchor.request(OP.CREATE, {biz_id: "b1", total: 10, count: 1});
  assert.equal(created.name, "UNAVAILABLE");
  assert.equal((await anchor.request(OP.MY_GRANTS, {})).name, "UNAVAILABLE");
  await anchor.close();
});

test("when all have come it is ready, and a rain goes through", async () => {
  await mysql.open();
  await says({mysql: true});
  await kafka.open();
  await stack.waitReady();
  const room = newRoom("late");
  const v = await enter(stack, "2", {room});
  const {code} = await startRain(stack, {room, count: 3, total: 30, limit: 3});
  await v.push("RED_PACKET_CONFIG");
  const {wins} = await grabAll(v, code);
  assert.equal(wins.length, 3);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 30});
  await v.close();
});

test("MySQL goes and comes back: livez stays 200, nothing is lost", async () => {
  const room = newRoom("late");
  const v = await enter(stack, "3", {room});
  const {code} = await startRain(stack, {room, count: 5, total: 50, limit: 5});
  await v.push("RED_PACKET_CONFIG");
  await mysql.close();
  const {wins} = await grabAll(v, code);
  assert.equal(wins.length, 5, "a grab needs no MySQL");
  assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200);
  await mysql.open();
  await until("the API is back", async () => (await stack.api("GET", "/api/v1/wallets/1")).status === 200, {timeoutMs: 20_000, everyMs: 100});
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 50});
  await v.close();
});

test("Redis goes and comes back: sockets stay, rooms catch up", async () => {
  const room = newRoom("late");
  const v = await enter(stack, "4", {room});
  await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "BEFORE", payload: {}});
  await v.push("BEFORE");
  await redis.close();
  await says({redis: false});
  assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200);
  assert.equal(v.isClosed, false);
  // Written past the relay while our server cannot hear it.
  await redis.open();
  await stack.waitReady();
  await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "AFTER", payload: {}});
  await v.push("AFTER");
  assert.deepEqual(v.pushes.filter((p) => p.seq).map((p) => p.seq), [1, 2]);
  await v.close();
});

test("all of it was logged as one JSON object a line", () => {
  for (const line of stack.logs().filter(Boolean)) assert.doesNotThrow(() => JSON.parse(line), line);
});

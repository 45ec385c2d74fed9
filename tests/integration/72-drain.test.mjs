// A server leaves: nobody is reset, nobody misses a push, nobody loses a packet, and the balancer sees it first.
import {after, afterEach, before, test} from "node:test";
import assert from "node:assert/strict";
import {connect} from "node:net";
import {kafkaPause, kafkaResume, skipWithoutKafka} from "../lib/services.mjs";
import {Balancer, Follower} from "../lib/follower.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const SPREAD_MS = 1500;
const FOLLOWERS = 16;

let stack;
before(async () => {
  stack = await startStack({workers: 2, server: false, conf: {"limits.grab_per_s": 1000, "limits.command_per_s": 1000}});
});
after(() => stack?.stop());

const toEnd = []; // also after a failed assertion
/** These are closed when the test is over. */
function ending(things) {
  toEnd.push(...things.map((one) => () => one.close()));
  return things;
}
afterEach(() => Promise.all(toEnd.splice(0).map((end) => end())));

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Another server of the same stack, on a port of its own; stack.server is it from here on. */
async function startAnother(drain) {
  Object.assign(stack.conf, {"server.port": 0}, Object.fromEntries(Object.entries(drain).map(([k, v]) => [`drain.${k}`, v])));
  stack.writeConfig();
  await stack.startServer();
  await stack.waitReady();
  return {program: stack.server, wsUrl: stack.wsUrl, adminUrl: stack.adminUrl};
}

/** Pushes {n} 1, 2, … into the room until stop(); resolves with the last n. */
function pusher(room) {
  let on = true;
  let n = 0;
  const done = (async () => {
    while (on) {
      n += 1;
      await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "SEEN", payload: {n}});
      await pause(10);
    }
  })();
  return async () => {
    on = false;
    await done;
    return n;
  };
}

/** Connects to a port again and again until it is refused; resolves with what happened. */
async function knock(url) {
  const {hostname, port} = new URL(url);
  const seen = {connected: 0, answered: 0, reset: 0, refused: 0};
  while (!seen.refused) {
    await new Promise((resolve) => {
      const socket = connect({host: hostname, port: Number(port)});
      let was = "";
      socket.once("connect", () => {
        seen.connected += 1;
        socket.write("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      });
      socket.once("data", () => { was = "answered"; });
      socket.once("error", (error) => { was = error.code === "ECONNREFUSED" ? "refused" : "reset"; });
      socket.once("close", () => {
        if (was) seen[was] += 1;
        resolve();
      });
    });
  }
  return seen;
}

const upTo = (n) => Array.from({length: n}, (_, i) => i + 1);

test("SIGTERM: 503 first, GOAWAY spread over the time there is, everybody moves and misses nothing, exit 0", async () => {
  const room = newRoom("drain");
  const a = await startAnother({ready_wait_ms: 500, spread_ms: SPREAD_MS, wait_rain_ms: 0, timeout_ms: 30_000});
  const balancer = new Balancer(stack);
  const followers = ending(await Promise.all(upTo(FOLLOWERS).map((i) => Follower.enter(balancer, 7200 + i, room))));
  const b = await startAnother({});
  const stopPushing = pusher(room);
  toEnd.push(stopPushing);
  await until("pushes flow", () => followers.every((f) => f.seen.length > 3));

  const knocks = upTo(4).map(() => knock(a.wsUrl.replace("ws:", "http:")));
  const begun = Date.now();
  const exited = a.program.signal("SIGTERM");
  assert.equal(await balancer.follow(a.adminUrl, b.wsUrl), 503, "/readyz says so before anything is closed");
  const unready = Date.now() - begun;
  assert.equal((await exited).code, 0);

  await until("all have moved", () => followers.every((f) => f.moves.length === 1));
  const last = await stopPushing();
  await until("all pushes are there", () => followers.every((f) => f.seen.at(-1) === last));
  for (const f of followers) {
    const from = f.seen[0];
    assert.deepEqual(f.seen, upTo(last).slice(from - 1), "each push once, in order");
    assert.deepEqual(f.states, [], "he was ready all the time");
  }
  const times = followers.map((f) => f.moves[0] - begun).sort((x, y) => x - y);
  assert.ok(times[0] >= unready && times[0] >= 450, `nobody moves before a balancer knows: ${times}`);
  // Two workers, each with slots of its own: at no time more than a few.
  const busiest = Math.max(...times.map((t) => times.filter((u) => u >= t && u < t + SPREAD_MS / 5).length));
  assert.ok(times.at(-1) - times[0] > SPREAD_MS / 2, `spread: ${times}`);
  assert.ok(busiest <= FOLLOWERS / 2, `spread evenly: ${times}`);
  const seen = await Promise.all(knocks);
  assert.ok(seen.every((k) => k.connected > 0 && k.reset === 0), `nobody who had connected was reset: ${JSON.stringify(seen)}`);
  await stack.stopServer();
});

test("members of a room with a live rain are told after it, others at once; every grab is answered", async () => {
  const rainRoom = newRoom("drain");
  const quietRoom = newRoom("drain");
  const a = await startAnother({ready_wait_ms: 0, spread_ms: 300, wait_rain_ms: 20_000, timeout_ms: 40_000});
  const balancer = new Balancer(stack);
  const players = ending(await Promise.all(upTo(6).map((i) => Follower.enter(balancer, 7230 + i, rainRoom))));
  const quiet = ending(await Promise.all(upTo(4).map((i) => Follower.enter(balancer, 7240 + i, quietRoom))));
  const b = await startAnother({});
  balancer.target = b.wsUrl;
  const {code, end_at: endAt} = await startRain(stack, {room: rainRoom, count: 2000, total: 20_000, limit: 100, duration_ms: 3000});
  const wins = [];
  const playing = Promise.all(players.map(async (f) => {
    for (;;) {
      let answer;
      try {
        answer = await f.client.grab(code);
      } catch (error) {
        if (error.name !== "NOT_STARTED" && error.name !== "NOT_FOUND") throw error;
        answer = {};
      }
      if (answer.name === "ENDED" || answer.name === "LIMIT") return;
      if (answer.name === "OK") wins.push({user: f.user, code, seq: answer.seq, shard: answer.shard, no: answer.no, amount: answer.amount});
      await pause(30);
    }
  }));
  await until("the rain runs", () => wins.length > 6, {everyMs: 5});

  const exited = a.program.signal("SIGTERM", 40_000);
  await until("the quiet room has moved", () => quiet.every((f) => f.moves.length === 1));
  assert.ok(Date.now() < endAt, "while it rains elsewhere");
  assert.ok(players.every((f) => f.moves.length === 0), "those in the rain stay");
  const before = wins.length;
  await until("grabs go on", () => wins.length > before + 6, {everyMs: 5});
  await playing;
  assert.equal((await exited).code, 0);
  await until("they have moved too", () => players.every((f) => f.moves.length === 1));
  assert.ok(players.every((f) => f.moves[0] >= endAt - 50), "after the rain");
  for (const f of [...players, ...quiet]) assert.deepEqual(f.states, []);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 20_000});
  await stack.verify();
  await stack.stopServer();
});

test("grabs in flight are answered and Kafka's reports read before anybody is closed", {skip: skipWithoutKafka}, async () => {
  const room = newRoom("drain");
  const a = await startAnother({ready_wait_ms: 0, spread_ms: 0, wait_rain_ms: 0, timeout_ms: 20_000});
  const {code} = await startRain(stack, {room, count: 100, total: 1000, limit: 1, duration_ms: 60_000});
  const clients = ending(await Promise.all(upTo(10).map((i) => enter(stack, 7250 + i, {room}))));
  assert.equal((await clients[0].grab(code, 0)).name, "OK");
  await kafkaPause();
  let asked;
  let exited;
  try {
    asked = clients.slice(1).map((c) => c.ask(OP.GRAB, {code, seq: 0, again: false}));
    assert.deepEqual((await Promise.all(asked.map((q) => q.first))).map((r) => r.name), asked.map(() => "PENDING"));
    exited = a.program.signal("SIGTERM", 30_000);
    await until("it flushes", () => a.program.events().filter((e) => e.event === "drain_phase" && /^flushing/.test(e.msg)).length === 2);
    assert.ok(clients.every((c) => !c.isClosed), "nobody is closed while he waits");
    const late = await clients[0].grab(code, 1);
    assert.equal(late.name, "BUSY", "nothing new is begun");
  } finally {
    await kafkaResume();
  }
  const answers = await Promise.all(asked.map((q) => q.final));
  assert.deepEqual(answers.map((r) => r.name), asked.map(() => "OK"));
  assert.deepEqual((await Promise.all(clients.map((c) => c.waitClosed()))).map((c) => c.code), clients.map(() => 4001));
  assert.equal((await exited).code, 0);
  assert.equal(await stack.redis.xlen(`${stack.namespace}redpkt:{${code}:0}:outbox`), 0, "what Kafka has was deleted from the outbox");
});

test("a second SIGTERM does not wait for clients, a client that stays is closed with 4001", async () => {
  const room = newRoom("drain");
  const a = await startAnother({ready_wait_ms: 0, spread_ms: 60_000, wait_rain_ms: 60_000, timeout_ms: 120_000});
  const client = await enter(stack, "7271", {room});
  const first = a.program.signal("SIGTERM", 30_000);
  await until("GOAWAY", () => client.goaway);
  assert.equal(client.goaway.delay_ms, 0, "alone: at once");
  assert.equal((await client.request(OP.PING, {t0: 1})).name, "OK", "he may stay until his time is over");
  process.kill(a.program.pid, "SIGTERM");
  assert.equal((await client.waitClosed()).code, 4001);
  assert.equal((await first).code, 0);
});

// Two servers as on two machines: addresses, processes, shared memory of their own; they meet in Redis, Kafka and MySQL only.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, pooled, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const VIEWERS = 40;
const PACKETS = 100;
const TOTAL = 10_000;

let one;
let two;

before(async () => {
  one = await startStack({workers: 2, conf: {"limits.grab_per_s": 1000}});
  two = await startStack({workers: 1, migrate: false, settler: false, conf: {"limits.grab_per_s": 1000,
    "server.namespace": one.namespace, "server.host": "127.0.0.2", "token.keys_file": one.keysFile}});
  two.wsUrl = two.wsUrl.replace("127.0.0.1", "127.0.0.2");
  two.mint = one.mint.bind(one);
});
after(async () => {
  await two?.stop();
  await one?.stop();
});

const at = (i) => (i % 2 ? two : one);

test("one rain, viewers on both: all hear it, every packet goes to one of them", async () => {
  const room = newRoom("two");
  const clients = await pooled(Array.from({length: VIEWERS}, (_, i) => i), 8, (i) => enter(at(i), String(7000 + i), {room}));
  /* Viewers of the first machine have a second socket at the other. */
  const twins = await pooled(clients.filter((c) => c.user % 2 === 0), 8, (c) => enter(two, c.user, {room}));
  const {code} = await startRain(two, {room, count: PACKETS, total: TOTAL, limit: 5, shards: 1, countdown_ms: 300});
  await Promise.all(clients.map((c) => c.push("RED_PACKET_CONFIG", (p) => p.config_code === code)));
  const wins = (await Promise.all(clients.map((c) => grabAll(c, code)))).flatMap((r) => r.wins);
  assert.equal(new Set(wins.map((w) => `${w.shard}:${w.no}`)).size, wins.length, "no packet twice");
  assert.equal(wins.length, PACKETS);
  assert.ok(wins.some((w) => Number(w.user) % 2) && wins.some((w) => Number(w.user) % 2 === 0));
  /* What is told of it is the same on both. */
  for (const c of clients.slice(0, 2)) await c.push("RED_PACKET_TICK", (p) => p.config_code === code && p.granted === PACKETS);
  for (const c of clients.slice(0, 2)) await c.push("ROOM_COUNT", (p) => p.online === VIEWERS + twins.length);
  /* An answer that was lost with one machine is given by the other. */
  const won = wins.find((w) => w.seq === 0 && Number(w.user) % 2 === 0);
  const twin = twins.find((c) => c.user === won.user);
  const again = await twin.grab(code, 0, true);
  assert.deepEqual([again.name, again.shard, again.no, again.amount], ["OK", won.shard, won.no, won.amount]);
  await closeRain(one, code);
  await settled(one, code);
  await Promise.all(clients.map((c) => c.push("RED_PACKET_RESULT", (p) => p.config_code === code)));
  /* What the settlers tell reaches each socket of a user, wherever it is. */
  for (const c of [twin, clients.find((other) => other.user === won.user)])
    await c.push("GRANT_SETTLED", (p) => p.no === won.no && p.amount === won.amount);
  await assertBooks(one, code, wins, {total: TOTAL});
  await one.verify();
  await Promise.all([...clients, ...twins].map((c) => c.close()));
});

test("a viewer goes on at the other machine where he was at the first", async () => {
  const room = newRoom("moves");
  const here = await enter(one, "7100", {room});
  const stays = await enter(two, "7101", {room});
  const {code} = await startRain(one, {room, count: 2, total: 200, shards: 1});
  const {epoch, seq} = await here.push("RED_PACKET_CONFIG", (p) => p.config_code === code).then(() =>
    here.pushes.find((p) => p.biz_code === "RED_PACKET_CONFIG"));
  here.cut();
  await closeRain(two, code);
  await settled(one, code);
  await stays.push("RED_PACKET_RESULT", (p) => p.config_code === code);
  const there = await enter(two, "7100");
  const joined = await there.join(room, {epoch, seq});
  assert.equal(joined.recovered, true);
  await until("what was missed has come", () =>
    there.pushes.some((p) => p.biz_code === "RED_PACKET_RESULT")
    || joined.missed?.some(([, , m]) => m.biz_code === "RED_PACKET_RESULT"));
  await Promise.all([there, stays].map((c) => c.close()));
});

test("a viewer goes on at a machine that never saw the room", async (t) => {
  const room = newRoom("moves");
  const say = (i) => one.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "STEP", payload: {i}});
  const here = await enter(one, "7110", {room});
  t.after(() => here.close());
  for (const i of [1, 2, 3]) await say(i);
  await here.push("STEP", (p) => p.i === 3);
  const [{epoch, seq}] = here.pushesOf("STEP");
  const there = await enter(two, "7110");
  t.after(() => there.close());
  const joined = await there.join(room, {epoch, seq});
  assert.equal(joined.recovered, true);
  assert.deepEqual(joined.missed.map(([, , m]) => m.payload.i), [2, 3]);
});

test("kicked at one machine, gone at both", async () => {
  const room = newRoom("kick");
  const sockets = [await enter(one, "7200", {room}), await enter(two, "7200", {room})];
  const anchor = await enter(two, "9001", {room, role: "anchor"});
  const reply = await anchor.request(OP.KICK, {room, user: "7200", secs: 30});
  assert.equal(reply.name, "OK");
  await Promise.all(sockets.map((s) => s.waitClosed()));
  await anchor.close();
});

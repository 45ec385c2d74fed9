// Rooms over two workers: membership, rights, pushes in order, recovery, presence, chat, the anchor's tools.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, pooled, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, assertAlive, bizId, newRoom, startRain} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 2, conf: {"limits.say_per_s": 8}}); });
after(() => stack?.stop());

const push = (room, bizCode, payload) => stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: bizCode, payload});
const closeAll = (clients) => Promise.all(clients.map((c) => c.close()));

/** Enough members that both workers have some. */
const crowd = (room, n = 12, first = 100) =>
  pooled(Array.from({length: n}, (_, i) => String(first + i)), 6, (user) => enter(stack, user, {room}));

test("join tells the position, leave ends it", async () => {
  const room = newRoom();
  const client = await enter(stack, "1", {room});
  const {epoch, seq, recovered, online, rains} = client.joinReply;
  assert.match(epoch, /^[0-9a-f]{16}$/);
  assert.equal(seq, 0);
  assert.equal(recovered, false);
  assert.ok(online >= 0);
  assert.deepEqual(rains, []);
  assert.equal(client.joinReply.room, room);
  assert.equal((await client.request(OP.LEAVE)).name, "OK");
  assert.equal((await client.request(OP.SAY, {text: "x"})).name, "NOT_ELIGIBLE");
  assert.equal((await client.request(OP.LEAVE)).name, "OK");
  await push(room, "AFTER_LEAVE", {});
  await assertAlive(client);
  assert.equal(client.pushesOf("AFTER_LEAVE").length, 0);
  await client.close();
});

test("a token's rooms are the only ones, unknown and forbidden look alike", async () => {
  const room = newRoom();
  const client = await enter(stack, "2", {room, rooms: [room, "second"]});
  const refused = await client.join("other");
  const unknown = await client.join("no-such-room-ever");
  assert.equal(refused.name, "NOT_ELIGIBLE");
  assert.deepEqual({...refused}, {...unknown});
  assert.equal((await client.join("")).name, "BAD_REQUEST");
  assert.equal((await client.join(`${room},second`)).name, "BAD_REQUEST");
  await push(room, "STILL_HERE", {});
  await client.push("STILL_HERE");
  await client.close();
});

test("joining another room leaves the first", async () => {
  const [first, second] = [newRoom(), newRoom()];
  const client = await enter(stack, "3", {room: first, rooms: [first, second]});
  assert.equal((await client.join(second)).name, "OK");
  await push(first, "IN_FIRST", {});
  await push(second, "IN_SECOND", {});
  await client.push("IN_SECOND");
  assert.equal(client.pushesOf("IN_FIRST").length, 0);
  await client.close();
});

test("a push by the API reaches every member on every worker once, in order, with seq", async () => {
  const room = newRoom();
  const members = await crowd(room, 24);
  const payload = {text: "你好", n: 1, deep: {list: [1, 2.5, true, null, "x"]}};
  for (let i = 0; i < 20; i += 1) await push(room, "STEP", {...payload, i});
  for (const m of members) {
    await m.push("STEP", (p) => p.i === 19);
    const got = m.pushesOf("STEP");
    assert.deepEqual(got.map((p) => p.payload.i), Array.from({length: 20}, (_, i) => i));
    assert.deepEqual(got.map((p) => p.seq), Array.from({length: 20}, (_, i) => m.joinReply.seq + 1 + i));
    assert.deepEqual(got[0].payload, {...payload, i: 0});
    assert.equal(got[0].room, room);
  }
  assert.equal(new Set(members.flatMap((m) => m.pushesOf("STEP").map((p) => p.epoch))).size, 1, "one epoch on all workers");
  await closeAll(members);
});

test("parallel pushes and joins: every member sees a gapless suffix", async () => {
  const room = newRoom();
  const early = await enter(stack, "400", {room});
  const total = 60;
  const pushing = pooled(Array.from({length: total}, (_, i) => i), 4, (i) => push(room, "RACE", {i}));
  const late = await pooled(Array.from({length: 20}, (_, i) => String(401 + i)), 5, (user) => enter(stack, user, {room}));
  await pushing;
  for (const m of [early, ...late]) {
    await m.when("the last seq", () => m.pushes.some((p) => p.seq === total) || m.joinReply.seq === total);
    const seqs = m.pushesOf("RACE").map((p) => p.seq);
    assert.deepEqual(seqs, Array.from({length: total - m.joinReply.seq}, (_, i) => m.joinReply.seq + 1 + i));
  }
  await closeAll([early, ...late]);
});

test("recovery by (epoch, seq): what was missed, in order, nothing twice", async () => {
  const room = newRoom();
  const keeper = await enter(stack, "500", {room});
  const client = await enter(stack, "501", {room});
  await push(room, "A", {i: 1});
  await client.push("A");
  const [{epoch, seq}] = client.pushesOf("A");
  const at = {epoch, seq};
  client.cut();
  await push(room, "A", {i: 2});
  await push(room, "A", {i: 3});
  await keeper.push("A", (p) => p.i === 3);
  const back = await enter(stack, "501");
  const reply = await back.join(room, at);
  assert.equal(reply.name, "OK");
  assert.equal(reply.recovered, true);
  assert.deepEqual(reply.missed.map(([, , m]) => m.payload.i), [2, 3]);
  assert.deepEqual(reply.missed.map(([, , m]) => m.seq), [at.seq + 1, at.seq + 2]);
  assert.deepEqual(reply.missed.map(([op, id, m]) => [op, id, m.biz_code]), [[OP.PUSH, 0, "A"], [OP.PUSH, 0, "A"]]);
  await push(room, "A", {i: 4});
  await back.push("A", (p) => p.i === 4);
  assert.deepEqual(back.pushesOf("A").map((p) => p.payload.i), [4]);
  const current = await enter(stack, "502");
  const nothing = await current.join(room, {epoch: at.epoch, seq: reply.seq + 1});
  assert.equal(nothing.recovered, true);
  assert.deepEqual(nothing.missed, []);
  await closeAll([keeper, back, current]);
});

test("a position taken before anything happened: nothing is lost without a word", async () => {
  const room = newRoom();
  const keeper = await enter(stack, "505", {room});
  const client = await enter(stack, "506", {room});
  const {epoch, seq} = client.joinReply;
  client.cut();
  for (let i = 1; i <= 3; i += 1) await push(room, "A", {i});
  await keeper.push("A", (p) => p.i === 3);
  const back = await enter(stack, "506");
  const reply = await back.join(room, {epoch, seq});
  // A room without a log has no epoch yet: its first pushes are either recovered, or it is said that they are not.
  if (reply.recovered) assert.deepEqual(reply.missed.map(([, , m]) => m.payload.i), [1, 2, 3]);
  assert.equal(reply.seq, 3);
  await closeAll([keeper, back]);
});

test("another epoch, or a position that cannot be, is a snapshot", async () => {
  const room = newRoom();
  const client = await enter(stack, "510", {room});
  await push(room, "A", {i: 1});
  await client.push("A");
  for (const at of [{epoch: "0000000000000001", seq: 0}, {epoch: client.pushes[0].epoch, seq: 1_000_000}]) {
    const other = await enter(stack, "511");
    const reply = await other.join(room, at);
    assert.equal(reply.name, "OK");
    assert.equal(reply.recovered, false);
    assert.equal(reply.missed, undefined);
    await other.close();
  }
  await client.close();
});

test("a late joiner gets the live rain's state", async () => {
  const room = newRoom();
  const {code, open_at: openAt, end_at: endAt} = await startRain(stack, {room, count: 5, total: 500, countdown_ms: 60_000});
  const client = await enter(stack, "520", {room});
  const config = client.joinReply.rains.find((r) => r.biz_code === "RED_PACKET_CONFIG");
  assert.ok(config, JSON.stringify(client.joinReply.rains));
  assert.equal(config.payload.config_code, code);
  assert.equal(config.payload.open_at, openAt);
  assert.equal(config.payload.end_at, endAt);
  assert.equal(config.payload.total_count, 5);
  assert.equal(client.joinReply.next?.[code] ?? 0, 0);
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await client.push("RED_PACKET_RESULT");
  await client.close();
});

test("presence: the count is right on every worker and follows", async () => {
  const room = newRoom();
  const members = await crowd(room, 14, 600);
  const counted = (n) => Promise.all(members.filter((m) => !m.isClosed)
    .map((m) => m.push("ROOM_COUNT", (p) => p.online === n)));
  await counted(14);
  assert.equal(members[0].pushesOf("ROOM_COUNT")[0].seq ?? 0, 0, "no seq");
  for (const m of members.splice(0, 5)) m.cut();
  for (const m of members) m.pushes.length = 0;
  await counted(9);
  await closeAll(members);
});

test("chat reaches the room with name and text, rate-limited", async () => {
  const room = newRoom();
  const [a, b] = [await enter(stack, "701", {room, name: "甲", maySend: true}), await enter(stack, "702", {room})];
  assert.equal((await a.request(OP.SAY, {text: "大家好 <script>"})).name, "OK");
  const {payload} = await b.push("SAY");
  assert.deepEqual({...payload, at: 0}, {user: "701", name: "甲", text: "大家好 <script>", at: 0});
  const replies = await Promise.all(Array.from({length: 30}, (_, i) => a.request(OP.SAY, {text: `n${i}`})));
  const limited = replies.filter((r) => r.name === "RATE_LIMITED");
  assert.ok(limited.length >= 10, `${limited.length} of 30 refused`);
  assert.ok(limited.every((r) => r.retry_after_ms > 0));
  await closeAll([a, b]);
});

test("a guest watches and may neither chat nor grab", async () => {
  const room = newRoom();
  const guest = await enter(stack, "710", {room, role: "guest"});
  await push(room, "SEEN", {});
  await guest.push("SEEN");
  assert.equal((await guest.request(OP.SAY, {text: "x"})).name, "NOT_ELIGIBLE");
  assert.equal((await guest.grab("A".repeat(22))).name, "NOT_ELIGIBLE");
  await guest.close();
});

test("the anchor's commands are the anchor's, in a room of its token", async () => {
  const room = newRoom();
  const viewer = await enter(stack, "720", {room});
  const guest = await enter(stack, "721", {room, role: "guest"});
  const code = "A".repeat(22);
  const commands = [
    [OP.CREATE, {biz_id: bizId(), total: 10, count: 1}], [OP.PREPARE, {code}], [OP.START, {code}],
    [OP.EXTEND, {code, add_ms: 1000}], [OP.CLOSE, {code}], [OP.CANCEL, {code}], [OP.ANNOUNCE, {text: "x"}],
    [OP.KICK, {user: "721"}], [OP.MUTE, {user: "721", secs: 1}], [OP.STATS, {}],
  ];
  for (const client of [viewer, guest]) {
    for (const [op, body] of commands) assert.equal((await client.request(op, body)).name, "NOT_ELIGIBLE", `op ${op}`);
  }
  const outside = await enter(stack, "722", {role: "anchor", rooms: [room]});
  for (const [op, body] of commands) assert.equal((await outside.request(op, body)).name, "NOT_ELIGIBLE", `op ${op}, no room`);
  await closeAll([viewer, guest, outside]);
});

test("announce, mute and kick work over all workers", async () => {
  const room = newRoom();
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor", name: "主播"});
  const bystander = await enter(stack, "731", {room, maySend: true});
  const sockets = await pooled(Array(8).fill("730"), 4, (user) => enter(stack, user, {room, maySend: true}));
  assert.equal((await anchor.request(OP.ANNOUNCE, {text: "开始了"})).name, "OK");
  for (const s of sockets) assert.equal((await s.push("ANNOUNCE")).payload.text, "开始了");
  assert.equal((await anchor.request(OP.MUTE, {user: "730", secs: 600})).name, "OK");
  for (const s of sockets) {
    assert.equal((await s.push("MUTED")).payload.secs, 600);
    assert.equal((await s.request(OP.SAY, {text: "x"})).name, "NOT_ELIGIBLE");
  }
  assert.equal((await bystander.request(OP.SAY, {text: "I may"})).name, "OK");
  assert.equal((await anchor.request(OP.MUTE, {user: "730", secs: 0})).name, "OK");
  for (const s of sockets) await s.push("MUTED", (p) => p.secs === 0);
  assert.equal((await sockets[0].request(OP.SAY, {text: "again"})).name, "OK");
  assert.equal((await anchor.request(OP.KICK, {user: "730"})).name, "OK");
  for (const s of sockets) {
    await s.push("KICKED");
    assert.equal((await s.waitClosed()).code, 4503);
  }
  await assertAlive(bystander);
  await assertAlive(anchor);
  await closeAll([anchor, bystander]);
});

test("a kick or mute with secs holds on new sockets, on any worker, in that room only", async () => {
  const room = newRoom();
  const anchor = await enter(stack, ANCHOR, {room, role: "anchor"});
  const [kicked, muted] = [await enter(stack, "750", {room}), await enter(stack, "751", {room})];
  assert.equal((await anchor.request(OP.KICK, {user: "750", secs: 600})).name, "OK");
  assert.equal((await anchor.request(OP.MUTE, {user: "751", secs: 600})).name, "OK");
  assert.equal((await kicked.waitClosed()).code, 4503);
  await muted.push("MUTED");
  const back = await pooled(Array(6).fill("750"), 3, (user) => enter(stack, user, {rooms: "*"}));
  for (const s of back) {
    const answer = await s.join(room);
    assert.equal(answer.name, "NOT_ELIGIBLE");
    assert.ok(answer.retry_after_ms > 0);
  }
  assert.equal((await back[0].join(newRoom())).name, "OK");
  const again = await pooled(Array(6).fill("751"), 3, (user) => enter(stack, user, {room}));
  for (const s of again) assert.equal((await s.request(OP.SAY, {text: "x"})).name, "NOT_ELIGIBLE");
  await closeAll([anchor, muted, ...back, ...again]);
});

test("a push to one user reaches all his sockets on every worker, and nobody else", async () => {
  const room = newRoom();
  const mine = await pooled(Array(8).fill("740"), 4, (user) => enter(stack, user, {room}));
  const other = await enter(stack, "741", {room});
  const {code} = await startRain(stack, {room, count: 1, total: 77, limit: 1});
  await Promise.all([...mine, other].map((m) => m.push("RED_PACKET_CONFIG")));
  const win = await mine[0].grab(code);
  assert.equal(win.name, "OK");
  for (const m of mine) {
    const {payload} = await m.push("GRANT_SETTLED", (p) => p.code === code, {timeoutMs: 20_000});
    assert.deepEqual([payload.seq, payload.amount, payload.state], [0, 77, "settled"]);
  }
  assert.equal(other.pushesOf("GRANT_SETTLED").length, 0);
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await closeAll([...mine, other]);
});

test("the API's push is checked", async () => {
  const room = newRoom();
  const rows = [
    [`/api/v1/rooms/${room}/push`, {biz_code: "RED_PACKET_CONFIG", payload: {}}, 400],
    [`/api/v1/rooms/${room}/push`, {biz_code: "RED_PACKET_RESULT", payload: {}}, 400],
    [`/api/v1/rooms/${room}/push`, {biz_code: "lower", payload: {}}, 400],
    [`/api/v1/rooms/${room}/push`, {biz_code: "X".repeat(33), payload: {}}, 400],
    [`/api/v1/rooms/${room}/push`, {payload: {}}, 400],
    [`/api/v1/rooms/${room}/push`, {biz_code: "X"}, 400],
    [`/api/v1/rooms/${room}/push`, {biz_code: "X", payload: "x".repeat(20_000)}, 400],
    [`/api/v1/rooms/${"r".repeat(65)}/push`, {biz_code: "X", payload: {}}, 404],
    ["/api/v1/rooms/a%20b/push", {biz_code: "X", payload: {}}, 404],
  ];
  for (const [path, body, status] of rows) {
    assert.equal((await stack.api("POST", path, body)).status, status, JSON.stringify(body).slice(0, 80));
  }
});

test("sockets that vanish without a close are forgotten", async () => {
  const connections = async () =>
    Number(/^redrain_connections (\d+)$/m.exec(await (await fetch(`${stack.adminUrl}/metrics`)).text())[1]);
  await until("those of the tests before are gone", async () => await connections() === 0);
  const clients = await crowd(newRoom(), 5, 750);
  await until("they are counted", async () => await connections() === 5);
  for (const c of clients) c.cut();
  await until("they are gone", async () => await connections() === 0);
});

// One packet of each kind from end to end: who creates it, who may have it, its end, what comes back, the books.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertBooks, balance, bizId, closeRain, grabAll, newRoom, settled, showRain} from "./helpers.mjs";

const RICH = 100_000;
const DAY_MS = 86_400_000;
let stack;
let senders = 7000;
before(async () => {
  stack = await startStack({workers: 2, conf: {
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "limits.send_per_min": 600, "marketing.budget_fen": 1500,
  }});
});
after(() => stack?.stop());

/** A user with money whose token says may_send, in the room. */
async function senderIn(room, more = {}) {
  senders += 1;
  const user = String(senders);
  await stack.deposit(user, RICH);
  return enter(stack, user, {room, maySend: true, ...more});
}

/** A viewer whose token says level and since. */
const viewerIn = async (room, user, claims = {}) => {
  const token = stack.mint(user, {rooms: [room], claims});
  const viewer = await Client.open(stack.wsUrl, {origin: stack.origin});
  assert.equal((await viewer.hello(token)).name, "OK");
  assert.equal((await viewer.join(room)).name, "OK");
  viewer.user = String(user);
  return viewer;
};

const send = (client, body) => client.request(OP.SEND, {biz_id: bizId(), ...body});

/** GRAB, asked again while the worker has not read the list. */
async function grabOnce(client, code, again = false) {
  return until(`an answer other than BUSY for ${client.user}`, async () => {
    const reply = await client.grab(code, 0, again);
    return reply.name === "BUSY" ? null : reply;
  });
}

/** Makes the packet's time be over: what its 24 hours would do. */
async function expireNow(code) {
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  return settled(stack, code);
}

const closeAll = (...clients) => Promise.all(clients.map((c) => c.close()));

test("group: a viewer who may send sends into the room, everybody else grabs, the rest comes back", async () => {
  const room = newRoom();
  const sender = await senderIn(room);
  const [a, b] = [await enter(stack, "201", {room}), await enter(stack, "202", {room})];
  const body = {biz_id: bizId(), kind: "group", total: 600, count: 3, text: "手气最佳"};
  const sent = await sender.request(OP.SEND, body);
  assert.deepEqual([sent.name, sent.status, sent.kind, sent.balance], ["OK", "SENT", "group", RICH - 600], JSON.stringify(sent));
  const {code} = sent;
  for (const v of [a, b, sender]) {
    const {payload} = await v.push("RED_PACKET_CONFIG");
    assert.deepEqual([payload.config_code, payload.sender, payload.kind, payload.text], [code, sender.user, "group", "手气最佳"]);
    assert.ok(payload.end_at - payload.open_at > DAY_MS - 60_000 && payload.end_at - payload.open_at <= DAY_MS, "24 hours");
  }
  const repeats = await Promise.all([1, 2, 3].map(() => sender.request(OP.SEND, body)));
  assert.deepEqual([...new Set(repeats.map((r) => `${r.name} ${r.code}`))], [`OK ${code}`], "one packet however often it is sent");
  assert.equal((await sender.request(OP.SEND, {...body, total: 601})).name, "CONFLICT");
  assert.equal(await balance(stack, sender.user), RICH - 600, "one debit");
  const won = [];
  for (const v of [a, b]) {
    const {wins, last} = await grabAll(v, code);
    assert.equal(wins.length, 1);
    assert.equal(last.name, "LIMIT");
    won.push(...wins);
  }
  const fen = won.reduce((sum, w) => sum + w.amount, 0);
  const row = await showRain(stack, code);
  assert.deepEqual([row.sender, row.anchor], [sender.user, "0"], "its sender is not the anchor");
  const rain = await expireNow(code);
  assert.equal(rain.refunded_fen, 600 - fen);
  assert.equal(await balance(stack, sender.user), RICH - fen);
  const {payload: report} = await sender.push("SENT_REPORT", (p) => p.code === code);
  assert.deepEqual([report.status, report.settled_fen, report.refunded_fen], ["SETTLED", fen, 600 - fen]);
  const {sent: list, balance: left} = await sender.request(OP.MY_SENT);
  assert.deepEqual([list.length, list[0].code, list[0].status, list[0].refunded_fen, left], [1, code, "SETTLED", 600 - fen, RICH - fen]);
  await assertBooks(stack, code, won, {total: 600, sender: sender.user});
  await closeAll(sender, a, b);
});

test("who may not send does not, and nobody sends what is not his", async () => {
  const room = newRoom();
  await stack.deposit("211", 1000);
  const plain = await enter(stack, "211", {room});
  assert.equal((await send(plain, {kind: "group", total: 100, count: 2})).name, "NOT_ELIGIBLE");
  const guest = await enter(stack, "212", {room, role: "guest", maySend: true});
  assert.equal((await send(guest, {kind: "group", total: 100, count: 2})).name, "NOT_ELIGIBLE");
  const sender = await senderIn(room);
  const outside = await enter(stack, sender.user, {maySend: true});
  assert.equal((await send(outside, {kind: "group", total: 100, count: 2})).name, "NOT_ELIGIBLE", "without a room");
  for (const [change, field] of [
    [{kind: "rain"}, "kind"], [{kind: "marketing"}, "kind"], [{kind: "gift"}, "kind"], [{users: "1"}, "users"],
    [{kind: "enterprise"}, "users"], [{kind: "personal", users: "1,2", count: 1}, "users"], [{kind: "personal", users: "x", count: 1}, "users"],
    [{kind: "enterprise", users: "1", count: 2}, "count"], [{random: true}, "random"], [{total: 0}, "total"], [{total: 2_000_001}, "total"],
    [{expire_at: 1}, "expire_at"], [{kind: "equal", split: "line-cut"}, "split"],
  ]) {
    const reply = await send(sender, {kind: "group", total: 100, count: 2, ...change});
    assert.deepEqual([reply.name, reply.field], ["BAD_REQUEST", field], JSON.stringify(change));
  }
  const poor = await enter(stack, "213", {room, maySend: true});
  const refused = await send(poor, {kind: "group", total: 100, count: 2});
  assert.equal(refused.name, "CONFLICT");
  assert.match(refused.reason, /wallet/);
  assert.equal(await balance(stack, sender.user), RICH);
  await closeAll(plain, guest, sender, outside, poor);
});

test("equal: everybody the same", async () => {
  const room = newRoom();
  const sender = await senderIn(room);
  const viewers = await Promise.all(["221", "222", "223"].map((u) => enter(stack, u, {room})));
  const {code} = await send(sender, {kind: "equal", total: 300, count: 3});
  const won = [];
  for (const v of viewers) {
    await v.push("RED_PACKET_CONFIG");
    won.push(...(await grabAll(v, code)).wins);
  }
  assert.deepEqual(won.map((w) => w.amount), [100, 100, 100]);
  const rain = await expireNow(code);
  assert.equal(rain.refunded_fen, 0);
  await assertBooks(stack, code, won, {total: 300, sender: sender.user});
  await closeAll(sender, ...viewers);
});

test("enterprise: the users of the list and nobody else, also when they ask again", async () => {
  const room = newRoom();
  const sender = await senderIn(room);
  const [a, b, stranger] = await Promise.all(["231", "232", "233"].map((u) => enter(stack, u, {room})));
  const users = ["232", "231", ...Array.from({length: 60}, (_, i) => String(9_000_000_000 + i))].join(",");
  const {code, name} = await send(sender, {kind: "enterprise", total: 800, count: 4, users});
  assert.equal(name, "OK");
  for (const v of [a, b, stranger]) {
    const {payload} = await v.push("RED_PACKET_CONFIG");
    assert.equal(payload.listed, 62);
    assert.equal(JSON.stringify(payload).includes("9000000000"), false, "who is on the list is not told to the room");
  }
  for (const again of [false, true, true]) {
    assert.equal((await grabOnce(stranger, code, again)).name, "NOT_ELIGIBLE", `again ${again}`);
  }
  const won = [];
  for (const v of [a, b]) {
    const reply = await grabOnce(v, code);
    assert.equal(reply.name, "OK");
    won.push({user: v.user, ...reply});
    assert.equal((await v.grab(code, 0, true)).amount, reply.amount, "a win asked for again is the same win");
  }
  await a.push("INVITE", (p) => p.code === code && p.room === room && p.kind === "enterprise");
  assert.equal(stranger.pushesOf("INVITE").length, 0);
  // A worker that comes later reads the list too, and one that finds none has it put there again.
  await stack.redis.unlink(`${stack.namespace}redpkt:allow:{${code}}`);
  for (const pid of stack.childPids("worker")) process.kill(pid, "SIGKILL");
  const late = await until("a new worker answers", () => enter(stack, "233", {room}));
  assert.equal((await grabOnce(late, code)).name, "NOT_ELIGIBLE");
  const back = await enter(stack, "231", {room});
  assert.equal((await grabOnce(back, code, true)).amount, won[0].amount);
  const rain = await expireNow(code);
  const fen = won.reduce((sum, w) => sum + w.amount, 0);
  assert.equal(rain.refunded_fen, 800 - fen);
  assert.equal(await balance(stack, sender.user), RICH - fen);
  await assertBooks(stack, code, won, {total: 800, sender: sender.user});
  await closeAll(sender, a, b, stranger, late, back);
});

test("personal: one user, the amount fixed or drawn", async () => {
  const room = newRoom();
  const sender = await senderIn(room);
  const [you, other] = [await enter(stack, "241", {room}), await enter(stack, "242", {room})];
  const fixed = await send(sender, {kind: "personal", total: 520, count: 1, users: "241", text: "生日快乐"});
  assert.equal(fixed.name, "OK");
  await you.push("RED_PACKET_CONFIG", (p) => p.config_code === fixed.code);
  await other.push("RED_PACKET_CONFIG", (p) => p.config_code === fixed.code);
  assert.equal((await grabOnce(other, fixed.code)).name, "NOT_ELIGIBLE");
  const win = await grabOnce(you, fixed.code);
  assert.deepEqual([win.name, win.amount], ["OK", 520]);
  const drawn = await send(sender, {kind: "personal", users: "241", random: true, lo: 100, hi: 900});
  assert.equal(drawn.name, "OK");
  assert.ok(drawn.total >= 100 && drawn.total <= 900);
  assert.equal(drawn.balance, RICH - 520 - drawn.total, "only what was drawn is taken");
  await you.push("RED_PACKET_CONFIG", (p) => p.config_code === drawn.code);
  const second = await grabOnce(you, drawn.code);
  assert.equal(second.amount, drawn.total);
  const nobody = await send(sender, {kind: "personal", total: 70, users: "243"});
  for (const {code} of [fixed, drawn, nobody]) await expireNow(code);
  assert.equal(await balance(stack, sender.user), RICH - 520 - drawn.total, "what nobody took is back");
  assert.equal(await balance(stack, "241"), 520 + drawn.total);
  await assertBooks(stack, fixed.code, [{user: "241", ...win}], {total: 520, sender: sender.user});
  await closeAll(sender, you, other);
});

test("marketing: level, registration, list; a budget per day that refunds do not lift", async () => {
  const room = newRoom();
  const sender = "7901";
  await stack.deposit(sender, RICH);
  const now = Math.floor(Date.now() / 1000);
  const create = (more) => stack.api("POST", "/api/v1/rains", {room, sender, kind: "marketing", biz_id: bizId(), total: 400, count: 4, ...more});
  const {body: rain} = await create({level: 3, new_days: 7});
  assert.equal(rain.name, "OK", JSON.stringify(rain));
  await stack.must("POST", `/api/v1/rains/${rain.code}/prepare`, {});
  await stack.must("POST", `/api/v1/rains/${rain.code}/start`, {countdown_ms: 0});
  const cases = [
    ["251", {level: 3, since: now - 3600}, "OK"], ["252", {level: 2, since: now - 3600}, "NOT_ELIGIBLE"],
    ["253", {level: 9, since: now - 8 * 86_400}, "NOT_ELIGIBLE"], ["254", {level: 9}, "NOT_ELIGIBLE"], ["255", {}, "NOT_ELIGIBLE"],
  ];
  const won = [];
  for (const [user, claims, name] of cases) {
    const viewer = await viewerIn(room, user, claims);
    const reply = await grabOnce(viewer, rain.code);
    assert.equal(reply.name, name, JSON.stringify(claims));
    if (name === "OK") won.push({user, ...reply});
    else assert.equal((await grabOnce(viewer, rain.code, true)).name, "NOT_ELIGIBLE");
    await viewer.close();
  }
  // A token that says less than the one he won with: the win stays his, another one is not.
  const lower = await viewerIn(room, "251", {level: 1});
  assert.equal((await grabOnce(lower, rain.code)).name, "NOT_ELIGIBLE");
  assert.equal((await grabOnce(lower, rain.code, true)).amount, won[0].amount);
  await lower.close();
  const listed = (await create({users: ["261", 262], count: 2})).body;
  assert.equal(listed.listed, 2);
  await closeRain(stack, rain.code);
  await settled(stack, rain.code);
  await assertBooks(stack, rain.code, won, {total: 400, sender});
  await stack.must("POST", `/api/v1/rains/${listed.code}/cancel`, {});
  const over = await create({total: 701});
  assert.deepEqual([over.status, over.body.name], [409, "OVER_BUDGET"]);
  assert.equal((await create({total: 700})).body.name, "OK", "1500 a day: 400 + 400 + 700");
  assert.equal((await create({total: 4})).body.name, "OVER_BUDGET", "what came back is spent all the same");
  const byAnchor = await enter(stack, sender, {room, role: "anchor"});
  const refused = await byAnchor.request(OP.CREATE, {biz_id: bizId(), kind: "marketing", total: 100, count: 1});
  assert.deepEqual([refused.name, refused.field], ["BAD_REQUEST", "kind"]);
  await byAnchor.close();
});

test("several packets in one room at once are each their own, and one room has only so many", async () => {
  const room = newRoom();
  const sender = await senderIn(room);
  const v = await enter(stack, "271", {room});
  const sent = [];
  for (let i = 0; i < 12; i += 1) sent.push(await send(sender, {kind: "group", total: 100 + i, count: 1}));
  assert.deepEqual([...new Set(sent.map((s) => s.name))], ["OK"]);
  const full = await send(sender, {kind: "group", total: 100, count: 1});
  assert.equal(full.name, "BUSY");
  assert.match(full.reason, /unfinished/);
  for (const {code, total} of sent) {
    await v.push("RED_PACKET_CONFIG", (p) => p.config_code === code);
    assert.equal((await v.grab(code)).amount, total);
  }
  const late = await enter(stack, "272", {room});
  assert.equal(late.joinReply.rains.length, 12, "a late joiner sees them all");
  await Promise.all(sent.map(({code}) => expireNow(code)));
  assert.equal(await balance(stack, sender.user), RICH - sent.reduce((sum, s) => sum + s.total, 0));
  await closeAll(sender, v, late);
});

test("after all of it the books are clean", async () => {
  await stack.verify();
});

// 集五福: from the anchor's campaign over draws, gifts and joins to the winners' wallets; and a process that dies at each point
// of it loses and doubles no card and no fen.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Failpoints, failMap, gone} from "../lib/failpoints.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, OP, until} from "../lib/ws.mjs";
import {ANCHOR, balance, bizId, newRoom, settled, startRain} from "./helpers.mjs";

const POOL = 10_000;
const EVEN = [2000, 2000, 2000, 2000, 2000];
const CARDS = [1, 2, 3, 4, 5];

const points = new Failpoints();
const clients = [];
let stack;

before(async () => {
  stack = await startStack({
    workers: 2, env: points.env, conf: {"limits.command_per_s": 1000, "kafka.message_timeout_ms": 1000, "settler.task_interval_ms": 50},
  });
});
after(async () => {
  try {
    for (const client of clients) await client.close();
    await stack?.stop();
  } finally {
    points.remove();
  }
});

async function viewer(user, room, more = {}) {
  const client = await enter(stack, user, {room, ...more});
  clients.push(client);
  return client;
}

async function ok(client, op, body) {
  const reply = await client.request(op, body);
  assert.equal(reply.name, "OK", JSON.stringify(reply));
  return reply;
}

/** A campaign by the API, with what its test needs. */
async function campaign(room, more = {}) {
  await stack.deposit(ANCHOR, POOL);
  const body = {sender: ANCHOR, room, biz_id: bizId(), pool: POOL, share_at: Date.now() + 3_600_000, weights: EVEN, ...more};
  return {...await stack.must("POST", "/api/v1/fu", body), body};
}

const show = (code) => stack.must("GET", `/api/v1/fu/${code}`);

/** Its time has come, and no lease of a dead process holds it up. */
async function shareNow(code) {
  await stack.sql("UPDATE fu_campaign SET share_at = ? WHERE code = ?", [Date.now() - 1000, code]);
  await stack.sql("UPDATE rp_task SET next_at = 0 WHERE biz_id = ? AND state = 0", [`fu:${code}`]);
}

function over(code, state) {
  return until(() => `campaign ${code} is ${state}`, async () => {
    await stack.sql("UPDATE rp_task SET next_at = 0 WHERE biz_id = ? AND state = 0", [`fu:${code}`]);
    const c = await show(code);
    if (c.state !== state) throw new Error(c.state);
    return c;
  }, {timeoutMs: 25_000, everyMs: 100});
}

/** All five cards, as drawn, without waiting for luck. */
async function plant(code, user, cards = CARDS) {
  for (const card of cards) {
    await stack.sql("INSERT INTO fu_draw VALUES (?, ?, ?, ?, 1)", [code, user, `rain:planted${card}-${bizId().slice(2, 10)}`, card]);
    await stack.sql("UPDATE fu_stock SET left_n = left_n - 1, issued = issued + 1 WHERE code = ? AND card = ?", [code, card]);
    await stack.sql(`INSERT INTO fu_user (code, user_id, c${card}) VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE c${card} = c${card} + 1`, [code, user]);
  }
}

test("the whole of it: ten viewers, twenty cards, three winners, every fen", async () => {
  const room = newRoom("fu");
  await stack.deposit(ANCHOR, POOL + 5);
  const before = await balance(stack, ANCHOR);
  const anchor = await viewer(ANCHOR, room, {role: "anchor"});
  const ask = {biz_id: bizId(), pool: POOL, share_at: Date.now() + 3_600_000, text: "新春快乐", weights: EVEN.join(), stock: "4,4,4,4,4"};
  const early = await viewer("7001", room);
  const created = await ok(anchor, OP.FU_CREATE, ask);
  assert.equal(created.balance, before - POOL, "the pool is taken at once");
  assert.equal((await ok(anchor, OP.FU_CREATE, ask)).code, created.code, "once per biz id");
  assert.equal((await anchor.request(OP.FU_CREATE, {...ask, pool: 1})).name, "CONFLICT");
  assert.equal((await anchor.request(OP.FU_CREATE, {...ask, biz_id: bizId()})).field, "room");
  assert.equal((await early.request(OP.FU_CREATE, ask)).name, "NOT_ELIGIBLE", "anchors only");
  const {code} = created;
  const audit = await ok(anchor, OP.AUDIT);
  assert.deepEqual(audit.rows.map((r) => [r.action, r.user, r.result]).at(-1), ["FU_CREATE", ANCHOR, "OK"], "who did it is noted");

  const told = await early.push("FU_CAMPAIGN");
  assert.deepEqual([told.payload.code, told.payload.state, told.payload.pool, told.payload.text], [code, "OPEN", POOL, "新春快乐"]);
  const viewers = [early];
  for (let i = 2; i <= 10; i += 1) viewers.push(await viewer(String(7000 + i), room));
  const kept = viewers[9].joinReply.rains.find((r) => r.biz_code === "FU_CAMPAIGN");
  assert.equal(kept.payload.code, code, "late joiners find it in JOIN's answer");

  // Each two events, and the rain's: there are 20 cards for 30 asks.
  const rain = await startRain(stack, {room});
  const events = [{event: "join"}, {event: "signin"}];
  const drawn = await Promise.all(viewers.flatMap((v) => events.map((e) => ok(v, OP.FU_DRAW, {code, ...e}))));
  assert.ok(drawn.every((d) => CARDS.includes(d.card) && !d.again));
  const repeated = await Promise.all(viewers.flatMap((v) => events.map((e) => ok(v, OP.FU_DRAW, {code, ...e}))));
  assert.deepEqual(repeated.map((d) => d.card), drawn.map((d) => d.card), "the first answer, for ever");
  assert.ok(repeated.every((d) => d.again));
  const none = await early.request(OP.FU_DRAW, {code, event: "rain", rain: rain.code});
  assert.equal(none.name, "SOLD_OUT");
  assert.deepEqual((await show(code)).left, [0, 0, 0, 0, 0]);
  for (const [body, field] of [[{event: "rain"}, "rain"], [{event: "x"}, "event"], [{event: "join", rain: rain.code}, "rain"]]) {
    assert.equal((await early.request(OP.FU_DRAW, {code, ...body})).field, field);
  }

  // Everything goes to three of them; a card to spare stays where it is.
  const mine = await Promise.all(viewers.map((v) => ok(v, OP.FU_MINE)));
  assert.deepEqual(mine[0].drawn.length, 2);
  assert.equal(mine[0].stock, undefined, "the stock is the anchor's to see");
  assert.deepEqual((await ok(anchor, OP.FU_MINE)).left, [0, 0, 0, 0, 0]);
  const held = mine.map((m) => [...m.held]);
  const winners = [0, 1, 2];
  for (const winner of winners) {
    for (const card of CARDS) {
      const from = held[winner][card - 1] ? winner
        : held.findIndex((h, i) => h[card - 1] > (winners.includes(i) && i < winner ? 1 : 0) && i !== winner);
      if (from === winner) continue;
      const gift = {code, card, to: viewers[winner].user, biz_id: bizId()};
      const given = await ok(viewers[from], OP.FU_GIVE, gift);
      held[from][card - 1] -= 1;
      held[winner][card - 1] += 1;
      assert.deepEqual(given.held, held[from]);
      assert.ok((await ok(viewers[from], OP.FU_GIVE, gift)).again, "a repeat moves nothing");
      const push = await viewers[winner].push("FU_CARD", (gift) => gift.from === viewers[from].user && gift.card === card);
      assert.equal(push.payload.code, code);
    }
    // What an earlier winner's turn left him with is burned before the next one collects.
    assert.equal((await ok(viewers[winner], OP.FU_JOIN, {code})).winners, winner + 1);
    held[winner] = held[winner].map((n) => n - 1);
  }
  assert.equal((await ok(viewers[0], OP.FU_JOIN, {code})).winners, 3, "joined once");
  assert.equal((await viewers[9].request(OP.FU_JOIN, {code})).name, "NOT_ELIGIBLE");
  assert.deepEqual((await ok(viewers[0], OP.FU_MINE)).held, held[0]);
  assert.equal((await anchor.request(OP.FU_CANCEL, {code})).name, "CONFLICT", "somebody is in the pool");
  await stack.verify();

  await shareNow(code);
  assert.equal((await viewers[3].request(OP.FU_DRAW, {code, event: "rain", rain: rain.code})).name, "ENDED");
  const shared = await over(code, "SHARED");
  const end = await viewers[9].push("FU_CAMPAIGN", (c) => c.state === "SHARED");
  assert.equal(end.payload.rain, shared.rain);
  await viewers[9].push("RED_PACKET_CONFIG", (c) => c.config_code === shared.rain);
  assert.equal((await viewers[9].grab(shared.rain)).name, "NOT_ELIGIBLE", "the winners' alone");
  let won = 0;
  for (const i of winners.slice(0, 2)) {
    const grab = await viewers[i].grab(shared.rain);
    assert.equal(grab.name, "OK");
    won += grab.amount;
  }
  await stack.must("POST", `/api/v1/rains/${shared.rain}/close`, {force: true});
  const packet = await settled(stack, shared.rain);
  assert.deepEqual([packet.total, packet.count], [POOL, 3]);
  assert.equal(await balance(stack, "7001") + await balance(stack, "7002"), won);
  await stack.must("POST", `/api/v1/rains/${rain.code}/close`, {force: true});
  await settled(stack, rain.code);
  assert.equal(await balance(stack, ANCHOR), before - won + 1000, "what a winner did not open is the sender's again");
  await stack.verify();
});

test("an empty pool pays nothing; the same room may have another campaign then", async () => {
  const room = newRoom("fu");
  const c = await campaign(room, {stock: [1, 1, 1, 1, 1]});
  assert.equal((await stack.must("POST", "/api/v1/fu", c.body)).code, c.code);
  assert.equal((await stack.must("GET", `/api/v1/fu?room=${room}`)).code, c.code);
  const before = await balance(stack, ANCHOR);
  await shareNow(c.code);
  const ended = await over(c.code, "GIVEN_BACK");
  assert.equal(ended.rain, null);
  assert.equal(await balance(stack, ANCHOR), before + POOL);
  const next = await campaign(room);
  const [anchor, other] = [await viewer(ANCHOR, room, {role: "anchor"}), await viewer("7100", newRoom("fu"))];
  assert.equal((await other.request(OP.FU_JOIN, {code: next.code})).name, "NOT_FOUND", "of another room");
  assert.equal((await ok(anchor, OP.FU_CANCEL, {code: next.code})).state, "GIVEN_BACK");
  assert.equal((await stack.must("POST", `/api/v1/fu/${next.code}/cancel`, {})).state, "GIVEN_BACK", "a repeat changes nothing");
  for (const [change, field] of [[{pool: 0}, "pool"], [{weights: [1, 1, 1, 1, 1]}, "weights"], [{winners: 6000}, "winners"], [{share_at: 1}, "share_at"]]) {
    const answer = await stack.api("POST", "/api/v1/fu", {...c.body, biz_id: bizId(), ...change});
    assert.deepEqual([answer.status, answer.body.field], [400, field]);
  }
  await stack.verify();
});

test("a packet that cannot be made ends the campaign: the sender's wallet has the pool, everybody is told why", async () => {
  const room = newRoom("fu");
  const c = await campaign(room);
  const before = await balance(stack, ANCHOR);
  const [anchor, winner] = [await viewer(ANCHOR, room, {role: "anchor"}), await viewer("7150", room)];
  await plant(c.code, "7150");
  await ok(winner, OP.FU_JOIN, {code: c.code});
  // The packet's biz id is secret: only who reads the books can stand in its way.
  const [{req}] = await stack.sql("SELECT rain_req AS req FROM fu_campaign WHERE code = ?", [c.code]);
  await stack.deposit(ANCHOR, 1);
  await stack.must("POST", "/api/v1/rains", {sender: ANCHOR, room, biz_id: req, total: 1, count: 1, duration_ms: 20_000, split: "equal"});
  await shareNow(c.code);
  const ended = await over(c.code, "FAILED");
  assert.deepEqual([ended.reason, ended.rain, ended.winners], ["CONFLICT", null, 1]);
  assert.equal(await balance(stack, ANCHOR), before + POOL);
  const told = await winner.push("FU_CAMPAIGN", (p) => p.state === "FAILED");
  assert.equal(told.payload.reason, "CONFLICT");
  assert.equal((await ok(anchor, OP.FU_MINE)).reason, "CONFLICT", "the console shows it");
  assert.equal((await anchor.request(OP.FU_CANCEL, {code: c.code})).name, "CONFLICT", "over is over");
  const next = await campaign(room);
  assert.equal(next.state, "OPEN", "the room may have another one");
  const shown = await stack.ctl(["--json", "fu", "show", c.code]);
  assert.deepEqual([shown.json.state, shown.json.reason, shown.json.left.length], ["FAILED", "CONFLICT", 5]);
  assert.ok(!shown.stdout.includes(req), "what is secret stays so");
  const listed = await stack.ctl(["fu", "list", "--room", room]);
  assert.deepEqual(listed.stdout.trim().split("\n").map((line) => line.split(/\s+/).slice(0, 2)).sort(), [[c.code, "FAILED"], [next.code, "OPEN"]].sort());
  assert.equal((await stack.ctl(["fu", "show", "AAAAAAAAAAAAAAAAAAAAAA"])).code, 1);
  assert.equal((await stack.ctl(["fu", "show"])).code, 2);
  const counted = async (name) => {
    const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
    return text.split("\n").filter((line) => line.startsWith(`redrain_fu_${name}_total`)).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  await until("the settler counts it", async () => await counted("failed") === 1, {timeoutMs: 10_000, everyMs: 100});
  assert.ok(await counted("cards") >= 20 && await counted("gifts") >= 1 && await counted("joins") >= 4, "and the server its part");
  await stack.verify();
});

// ---- a process dies ----

/** A request of a viewer whose worker may die: asked on new sockets until there is an answer. */
function insist(user, room, op, body) {
  return until(() => `op ${op} of ${user} is answered`, async () => {
    const client = await enter(stack, user, {room});
    try {
      const reply = await client.request(op, body, 5000);
      if (["BUSY", "UNAVAILABLE", "RATE_LIMITED"].includes(reply.name)) throw new Error(reply.name);
      return reply;
    } finally {
      await client.close();
    }
  }, {timeoutMs: 25_000, everyMs: 50});
}

async function struck(name) {
  await gone(await points.waitHit(name));
}

const cardsOf = async (code, user) => {
  const [row] = await stack.sql("SELECT c1 + c2 + c3 + c4 + c5 AS n FROM fu_user WHERE code = ? AND user_id = ?", [code, user]);
  return Number(row?.n ?? 0);
};

const DEATHS = {
  async create(name, room) {
    await stack.deposit(ANCHOR, POOL);
    const before = await balance(stack, ANCHOR);
    const body = {sender: ANCHOR, room, biz_id: bizId(), pool: POOL, share_at: Date.now() + 3_600_000};
    points.arm(name);
    stack.api("POST", "/api/v1/fu", body).catch(() => {});
    await struck(name);
    const answer = await until("the API answers", async () => stack.must("POST", "/api/v1/fu", body), {timeoutMs: 20_000, everyMs: 50});
    assert.equal(await balance(stack, ANCHOR), before - POOL, "taken once");
    await stack.must("POST", `/api/v1/fu/${answer.code}/cancel`, {});
  },
  async draw(name, room) {
    const {code} = await campaign(room);
    points.arm(name);
    const reply = await insist("7201", room, OP.FU_DRAW, {code, event: "join"});
    await struck(name);
    assert.equal(reply.name, "OK");
    assert.equal(reply.again, name.endsWith("after_commit"));
    assert.equal(await cardsOf(code, 7201), 1);
    await stack.must("POST", `/api/v1/fu/${code}/cancel`, {});
  },
  async give(name, room) {
    const {code} = await campaign(room);
    await plant(code, 7301, [2, 2]);
    points.arm(name);
    const reply = await insist("7301", room, OP.FU_GIVE, {code, card: 2, to: "7302", biz_id: "g"});
    await struck(name);
    assert.equal(reply.name, "OK");
    assert.deepEqual([await cardsOf(code, 7301), await cardsOf(code, 7302)], [1, 1], "one lost, one gained");
    await stack.must("POST", `/api/v1/fu/${code}/cancel`, {});
  },
  async join(name, room) {
    const {code} = await campaign(room);
    await plant(code, 7401);
    points.arm(name);
    const reply = await insist("7401", room, OP.FU_JOIN, {code});
    await struck(name);
    assert.equal(reply.name, "OK");
    assert.deepEqual([reply.winners, await cardsOf(code, 7401)], [1, 0], "in the pool once, five cards burned");
  },
  /** The settler dies while it ends a campaign; who is started after it goes on. */
  async share(name, room) {
    const {code} = await campaign(room);
    await plant(code, 7501);
    assert.equal((await insist("7501", room, OP.FU_JOIN, {code})).name, "OK");
    points.arm(name);
    await shareNow(code);
    await struck(name);
    await stack.settler.start();
    const ended = await over(code, "SHARED");
    const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM t_red_packet_config WHERE room_id = ?", [room]);
    assert.equal(Number(n), 1, "one packet");
    const grab = await until("the packet is open", async () => {
      await stack.sql("UPDATE rp_task SET next_at = 0 WHERE code = ? AND state = 0", [ended.rain]);
      const reply = await insist("7501", room, OP.GRAB, {code: ended.rain, seq: 0, again: true});
      if (reply.name !== "OK") throw new Error(reply.name);
      return reply;
    }, {timeoutMs: 20_000, everyMs: 200});
    assert.equal(grab.amount, POOL);
  },
};


const POINTS = {
  create: ["fu.create.before_commit", "fu.create.after_commit"],
  draw: ["fu.draw.before_commit", "fu.draw.after_commit"],
  give: ["fu.give.before_commit", "fu.give.after_commit"],
  join: ["fu.join.before_commit", "fu.join.after_commit"],
  share: ["fu.close.before_commit", "fu.close.after_commit", "fu.shared"],
};

test("every failpoint of the five cards is met below", () => {
  assert.deepEqual(failMap().filter((p) => p.row === "fu").map((p) => p.name).sort(), Object.values(POINTS).flat().sort());
});

for (const [step, names] of Object.entries(POINTS)) {
  for (const name of names) {
    test(`a process dies at ${name}`, async () => {
      try {
        await DEATHS[step](name, newRoom("fufail"));
      } finally {
        points.disarm();
        await stack.waitReady();
      }
    });
  }
}

test("after all of that the books are whole", async () => {
  await until("no hurried step waits", async () =>
    Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_task WHERE state = 0 AND next_at = 0"))[0].n) === 0, {timeoutMs: 30_000, everyMs: 100});
  await stack.verify();
});

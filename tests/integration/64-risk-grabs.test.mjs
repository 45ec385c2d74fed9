// Risk control before the pop, on real services: who is denied, whose winnings are marked, and what workers tell each other.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Client, OP, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const LONG = {timeoutMs: 20_000};
const RULES = {
  "risk.deny_grabs_per_min": 0, "risk.deny_early_grabs": 0, "risk.hold_accounts_per_address": 0,
  "risk.hold_steady_pct": 0, "risk.hold_fresh_s": 0,
};
let stack;
before(async () => {
  stack = await startStack({workers: 2, conf: {
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "risk.address_header": "x-real-ip", "server.trusted_proxies": "127.0.0.1", ...RULES,
  }});
});
after(() => stack?.stop());

const events = (name, text = "") => stack.logs().filter((line) => line.includes(`"event":"${name}"`) && line.includes(text));

/** Only these rules, in every process. */
async function rules(these) {
  Object.assign(stack.conf, RULES, these);
  stack.writeConfig();
  const n = events("config_reloaded").length;
  stack.server.child.kill("SIGHUP");
  await until(() => "the server reloaded", () => events("config_reloaded").length >= n + 3);
}

async function come(user, room, {claims, headers} = {}) {
  const client = await Client.open(stack.wsUrl, {origin: stack.origin, headers});
  assert.equal((await client.hello(stack.mint(user, {rooms: [room], claims}))).name, "OK");
  assert.equal((await client.join(room)).name, "OK");
  client.user = String(user);
  return client;
}

const wallet = async (user) => {
  const [row] = await stack.sql("SELECT balance, frozen FROM wallet WHERE user_id = ?", [user]);
  return row ? [Number(row.balance), Number(row.frozen)] : [0, 0];
};
const decisions = (user) => stack.sql("SELECT decision, rule, code, seen, bound, address FROM rp_risk WHERE user_id = ? ORDER BY id", [user]);
const held = (client, code, state = "held") => client.push("GRANT_SETTLED", (p) => p.code === code && p.state === state, LONG);

async function over(code, ...clients) {
  await closeRain(stack, code);
  await settled(stack, code);
  await stack.verify();
  for (const c of clients) await c.close();
}

test("a sender may not grab his own; asked again he is not told no, but what he wins is held", async () => {
  await rules({});
  const room = newRoom();
  const sender = "7101";
  const [own, other] = [await come(sender, room), await come("7102", room)];
  const {code} = await startRain(stack, {room, sender, count: 2, total: 20, split: "equal"});
  await own.push("RED_PACKET_CONFIG");
  assert.equal((await own.grab(code)).name, "NOT_ELIGIBLE");
  assert.equal((await other.grab(code)).name, "OK");
  await held(other, code, "settled");
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ?", [code]);
  assert.equal(Number(n), 1, "nothing was popped for him");
  assert.equal((await own.grab(code, 0, true)).name, "OK");
  await held(own, code);
  assert.deepEqual(await wallet(sender), [0, 10]);
  await until(() => "both decisions are stored", async () => (await decisions(sender)).length === 3);
  assert.deepEqual((await decisions(sender)).map((d) => [d.decision, d.rule, d.code]).sort(),
    [["deny", "own_rain", code], ["hold", "own_rain", code], ["mark", "own_rain", code]]);
  assert.equal(events("risk_deny", `user=${sender} `).length, 1);
  await over(code, own, other);
});

test("grabs of a minute are counted over both workers", async () => {
  await rules({"risk.deny_grabs_per_min": 64});
  const room = newRoom();
  const sockets = await Promise.all(Array.from({length: 8}, () => come("7201", room)));
  const {code} = await startRain(stack, {room, count: 10, total: 100, limit: 2});
  await sockets[0].push("RED_PACKET_CONFIG");
  // The same question over and over: one packet, replayed. Counts are of a minute of the clock: enough of this one must be left.
  await until(() => "a minute with room", () => Date.now() % 60_000 < 45_000, {timeoutMs: 30_000, everyMs: 200});
  let allowed = 0;
  let denied = 0;
  await until(() => `all eight are denied, ${allowed} grabs went through`, async () => {
    const names = await Promise.all(sockets.map(async (c) => (await c.grab(code)).name));
    const no = names.filter((name) => name === "NOT_ELIGIBLE").length;
    denied += no;
    allowed += names.length - no;
    return no === names.length;
  }, {...LONG, everyMs: 50});
  assert.ok(allowed >= 64, `${allowed} are allowed`);
  assert.ok(allowed <= 64 + 48, `${allowed}: each worker alone would allow 64, together 128`);
  const keys = await stack.redis.keys(`${stack.namespace}redpkt:risk:{grabs_per_min:*}`);
  assert.ok(keys.length >= 1 && (await stack.redis.pttl(keys[0])) > 0, "counts go by themselves");
  const again = await sockets[0].grab(code, 0, true);
  assert.ok(["OK", "SOLD_OUT"].includes(again.name), `again is never refused: ${again.name}`);
  const bystander = await come("7202", room);
  assert.notEqual((await bystander.grab(code)).name, "NOT_ELIGIBLE");
  await until(() => "stored", async () => (await decisions("7201")).some((d) => d.decision === "deny" && d.rule === "grabs_per_min"));
  await over(code, bystander, ...sockets);
});

test("who grabs again and again before the opening is denied in that rain only", async () => {
  await rules({"risk.deny_early_grabs": 3});
  const room = newRoom();
  const [eager, calm] = [await come("7301", room), await come("7302", room)];
  const {code, open_at: openAt} = await startRain(stack, {room, count: 2, total: 20, countdown_ms: 3000});
  await eager.push("RED_PACKET_CONFIG");
  for (let i = 0; i < 4; i += 1) assert.equal((await eager.grab(code)).name, "NOT_STARTED");
  for (let i = 0; i < 3; i += 1) assert.equal((await calm.grab(code)).name, "NOT_STARTED");
  await until(() => "it is open", () => Date.now() > openAt + 150);
  assert.equal((await eager.grab(code)).name, "NOT_ELIGIBLE");
  assert.equal((await calm.grab(code)).name, "OK");
  const next = await startRain(stack, {room, count: 1, total: 10});
  await eager.push("RED_PACKET_CONFIG", (p) => p.config_code === next.code);
  assert.equal((await eager.grab(next.code)).name, "OK");
  await closeRain(stack, next.code);
  await over(code, eager, calm);
});

test("many accounts of one address: what the later ones win is held; the address is in no log and no row", async () => {
  await rules({"risk.hold_accounts_per_address": 4});
  const room = newRoom();
  const address = "203.0.113.77";
  const headers = {"x-real-ip": address};
  const farm = [];
  for (let i = 0; i < 4; i += 1) farm.push(await come(7401 + i, room, {headers}));
  const home = await come("7409", room, {headers: {"x-real-ip": "203.0.113.78"}});
  const {code} = await startRain(stack, {room, count: 30, total: 300, split: "equal"});
  await home.push("RED_PACKET_CONFIG");
  for (const c of farm) assert.equal((await c.grab(code)).name, "OK");
  for (const c of farm) await held(c, code, "settled");
  // Two workers know of each other's users after an exchange: soon the next one that comes is one too many.
  await until(() => `somebody is marked, ${farm.length} came`, async () => {
    const user = 7410 + farm.length;
    farm.push(await come(user, room, {headers}));
    assert.equal((await farm.at(-1).grab(code)).name, "OK");
    return events("risk_mark", `user=${user} `).length > 0;
  }, {everyMs: 300});
  assert.ok(farm.length <= 9, `${farm.length}: alone each worker would see half of them`);
  const late = farm.at(-1);
  await held(late, code);
  assert.equal((await home.grab(code)).name, "OK");
  await held(home, code, "settled");
  const rows = await decisions(late.user);
  assert.deepEqual(rows.map((d) => [d.decision, d.rule]).sort(), [["hold", "shared_address"], ["mark", "shared_address"]]);
  for (const d of rows) assert.match(d.address, /^[0-9a-f]{16}$/);
  assert.equal(new Set(rows.map((d) => d.address)).size, 1);
  assert.ok(events("risk_mark", "rule=shared_address").length >= 1);
  assert.deepEqual(stack.logs().filter((line) => line.includes(address)), [], "no address in a log");
  await over(code, home, ...farm);
});

test("an account made just now, and one that taps like a clock: their winnings are held", async () => {
  await rules({"risk.hold_fresh_s": 3600, "risk.hold_steady_pct": 50});
  const room = newRoom();
  const now = Math.floor(Date.now() / 1000);
  const [fresh, old, clock] = [await come("7501", room, {claims: {since: now - 60}}),
    await come("7502", room, {claims: {since: now - 7200}}), await come("7503", room)];
  const {code} = await startRain(stack, {room, count: 100, total: 1000, limit: 50, split: "equal"});
  await clock.push("RED_PACKET_CONFIG");
  assert.equal((await fresh.grab(code)).name, "OK");
  assert.equal((await old.grab(code)).name, "OK");
  await held(fresh, code);
  await held(old, code, "settled");
  const replies = [];
  await new Promise((resolve) => { // the bot: every 100 ms, come what may
    const timer = setInterval(() => {
      replies.push(clock.grab(code, replies.length));
      if (replies.length < 20) return;
      clearInterval(timer);
      resolve();
    }, 100);
  });
  const names = (await Promise.all(replies)).map((r) => r.name);
  assert.deepEqual([...new Set(names)], ["OK"], "he wins");
  await until(() => "all 20 are in the books", async () => {
    const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ? AND user_id = 7503", [code]);
    return Number(n) === 20;
  }, LONG);
  const rows = await stack.sql("SELECT seq, state FROM rp_grant WHERE code = ? AND user_id = 7503 ORDER BY seq", [code]);
  assert.equal(rows[0].state, 1, "the first ones are not held");
  assert.equal(rows[19].state, 2, "the last ones are");
  const firstHeld = rows.findIndex((r) => r.state === 2);
  assert.ok(rows.slice(firstHeld).every((r) => r.state === 2), "from his mark on everything is held");
  assert.deepEqual([...new Set((await decisions("7503")).map((d) => d.rule))], ["steady_taps"]);
  const mine = (await clock.request(OP.MY_GRANTS, {code})).grants;
  assert.equal(mine.filter((g) => g.state === "held").length, 20 - firstHeld);
  await over(code, fresh, old, clock);
});

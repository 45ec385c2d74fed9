// Risk control on real services: what is held, released and taken back, who is denied, and rules that change while it runs.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {bizId, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const LONG = {timeoutMs: 20_000};
let stack;
before(async () => {
  stack = await startStack({workers: 2, conf: {
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "risk.hold_grab_fen": 50,
  }});
});
after(() => stack?.stop());

const wallet = async (user) => {
  const [row] = await stack.sql("SELECT balance, frozen FROM wallet WHERE user_id = ?", [user]);
  return row ? [Number(row.balance), Number(row.frozen)] : [0, 0];
};
const grants = async (client, code) => (await client.request(OP.MY_GRANTS, {code})).grants;
/** The events of this name in all logs. */
const events = (name) => stack.logs().filter((line) => line.includes(`"event":"${name}"`));

/** One user wins 100 fen, which is more than a packet may hold unseen. */
async function held(user) {
  const room = newRoom();
  const viewer = await enter(stack, user, {room});
  const {code} = await startRain(stack, {room, count: 1, total: 100, split: "equal"});
  await viewer.push("RED_PACKET_CONFIG");
  const win = await viewer.grab(code);
  assert.equal(win.name, "OK");
  assert.equal(win.amount, 100, "he is told what he won");
  await viewer.push("GRANT_SETTLED", (p) => p.code === code && p.state === "held" && p.amount === 100, LONG);
  return {viewer, code, win};
}

test("a large packet is held, shown as under review, and released once", async () => {
  const {viewer, code} = await held("7001");
  assert.deepEqual(await wallet("7001"), [0, 100]);
  assert.deepEqual((await grants(viewer, code)).map((g) => [g.state, g.amount]), [["held", 100]]);
  const list = await stack.ctl(["--json", "risk", "list", "--user", "7001", "--state", "held"]);
  assert.equal(list.code, 0, list.stderr);
  assert.equal(list.json.items.length, 1);
  const [item] = list.json.items;
  assert.deepEqual([item.decision, item.rule, item.code, item.amount, item.seen, item.bound],
    ["hold", "grab_amount", code, 100, 100, 50]);
  await stack.verify();
  const packet = [code, String(item.shard), String(item.no)];
  const released = await stack.ctl(["--json", "risk", "release", ...packet]);
  assert.equal(released.code, 0, released.stderr);
  assert.deepEqual([released.json.user, released.json.amount, released.json.state, released.json.replayed],
    ["7001", 100, "settled", undefined]);
  await viewer.push("GRANT_SETTLED", (p) => p.code === code && p.state === "settled", LONG);
  assert.deepEqual(await wallet("7001"), [100, 0]);
  const again = await stack.ctl(["--json", "risk", "release", ...packet]);
  assert.equal(again.json.replayed, true);
  assert.equal((await stack.ctl(["risk", "take-back", ...packet, "--to", "fraud"])).code, 1, "it is his now");
  assert.deepEqual(await wallet("7001"), [100, 0]);
  assert.deepEqual((await grants(viewer, code)).map((g) => g.state), ["settled"]);
  await closeRain(stack, code);
  await settled(stack, code);
  await stack.verify();
  await viewer.close();
});

test("what is taken back is on the named account, and the books say from whom", async () => {
  const {viewer, code, win} = await held("7002");
  await closeRain(stack, code);
  await settled(stack, code); // a held packet does not keep a rain from being over
  const packet = [code, String(win.shard), String(win.no)];
  assert.equal((await stack.ctl(["risk", "take-back", ...packet])).code, 2, "an account is needed");
  for (let i = 0; i < 2; i += 1) {
    const taken = await stack.ctl(["--json", "risk", "take-back", ...packet, "--to", "fraud-2026"]);
    assert.equal(taken.code, 0, taken.stderr);
    assert.deepEqual([taken.json.state, taken.json.replayed ?? false], ["taken_back", i > 0]);
  }
  await viewer.push("GRANT_SETTLED", (p) => p.code === code && p.state === "taken_back", LONG);
  assert.equal((await stack.ctl(["risk", "take-back", ...packet, "--to", "other"])).code, 1);
  assert.equal((await stack.ctl(["risk", "release", ...packet])).code, 1);
  assert.deepEqual(await wallet("7002"), [0, 0]);
  const legs = await stack.sql("SELECT account_kind, account_id, delta FROM account_log WHERE biz_type = 'take_back' "
    + "AND biz_id = ? ORDER BY leg", [`T:${code}:${win.shard}:${win.no}`]);
  assert.deepEqual(legs.map((l) => [l.account_kind, l.account_id, Number(l.delta)]),
    [["frozen", "7002", -100], ["platform", "fraud-2026", 100]]);
  assert.deepEqual((await grants(viewer, code)).map((g) => g.state), ["taken_back"]);
  await stack.verify();
  await viewer.close();
});

test("rules change at SIGHUP; a wrong file changes nothing and is told", async () => {
  const gauges = async () => {
    const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
    return ["redrain_config_reload_success", "redrain_settler_config_reload_success"]
      .map((name) => Number(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, "m").exec(text)?.[1] ?? -1));
  };
  const both = (was, wanted) => until(() => `gauges are ${wanted}`, async () => {
    const now = await gauges();
    if (now.join() !== wanted.join()) throw new Error(now.join());
    return true;
  });
  const hup = async (event, times) => {
    const n = events(event).length;
    stack.server.child.kill("SIGHUP");
    stack.settler.current().child.kill("SIGHUP");
    await until(() => `everybody says ${event}`, () => events(event).length >= n + times);
  };
  // two workers, the admin child, the settler; a wrong file does not get past the supervisor
  const reloaded = () => hup("config_reloaded", 4);
  await both(null, [1, 1]);
  stack.conf["risk.hold_grab_fen"] = 100;
  stack.conf["server.workers"] = 3;
  stack.writeConfig();
  await reloaded();
  assert.equal(events("config_waits").filter((line) => line.includes("server.workers")).length, 2,
    "supervisor and settler say what waits for a restart");
  const room = newRoom();
  const viewer = await enter(stack, "7003", {room});
  const first = await startRain(stack, {room, count: 1, total: 100, split: "equal"});
  assert.equal((await viewer.grab(first.code)).amount, 100);
  await viewer.push("GRANT_SETTLED", (p) => p.code === first.code && p.state === "settled", LONG);
  stack.conf["risk.hold_grab_fen"] = "plenty";
  stack.writeConfig();
  await hup("config_refused", 2);
  await both(null, [0, 0]);
  const second = await startRain(stack, {room, count: 1, total: 100, split: "equal"});
  assert.equal((await viewer.grab(second.code)).amount, 100);
  await viewer.push("GRANT_SETTLED", (p) => p.code === second.code && p.state === "settled", LONG);
  stack.conf["risk.hold_grab_fen"] = 50;
  stack.conf["server.workers"] = 2;
  stack.writeConfig();
  await reloaded();
  await both(null, [1, 1]);
  await viewer.close();
});

test("a sender's rains of a day have a limit; it is denied before any money moves", async () => {
  stack.conf["risk.deny_anchor_day_fen"] = 500;
  stack.writeConfig();
  const n = events("config_reloaded").length;
  stack.server.child.kill("SIGHUP");
  await until(() => "reloaded", () => events("config_reloaded").length >= n + 3);
  const sender = "7901";
  await stack.deposit(sender, 1000);
  const body = (total, id) => ({room: newRoom(), sender, total, count: 1, biz_id: id});
  const id = bizId();
  const ok = body(400, id);
  const first = await stack.must("POST", "/api/v1/rains", ok);
  const denied = await stack.api("POST", "/api/v1/rains", body(101, bizId()));
  assert.deepEqual([denied.status, denied.body.name], [403, "NOT_ELIGIBLE"]);
  assert.deepEqual(await wallet(sender), [600, 0]);
  assert.equal((await stack.must("POST", "/api/v1/rains", ok)).code, first.code, "a repeat is still the first");
  const {json} = await stack.ctl(["--json", "risk", "list", "--user", sender]);
  assert.deepEqual(json.items.map((i) => [i.decision, i.rule, i.seen, i.bound]), [["deny", "anchor_day", 501, 500]]);
  assert.equal(events("risk_deny").filter((line) => line.includes(`user=${sender}`)).length, 1);
  stack.conf["risk.deny_anchor_day_fen"] = 0;
  stack.writeConfig();
  stack.server.child.kill("SIGHUP");
  await until(() => "reloaded", () => events("config_reloaded").length >= n + 6);
});

// redrainctl repair: what the checker finds is proposed, applied by the plan's hash, and the checker is silent afterwards.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, assertBooks, balance, closeRain, grabAll, newRoom, settled, showRain, startRain} from "./helpers.mjs";

const RID = "f".repeat(40);

let stack;
before(async () => { stack = await startStack({workers: 1, conf: {"settler.verify_interval_s": 1}}); });
after(() => stack?.stop());

async function ok(...args) {
  const result = await stack.ctl(["repair", ...args]);
  assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}${result.stdout}`);
  return result;
}

/** Shows the plan of these arguments, then applies it; resolves with the entries that were applied. */
async function repair(...args) {
  const shown = await ok(...args, "--json");
  const {json} = await ok(...args, "--apply", "--plan", shown.json.plan, "--by", "night-shift", "--json");
  assert.deepEqual([json.plan, json.applied, json.done], [shown.json.plan, true, json.entries.filter((e) => !e.undecided).length]);
  return json.entries;
}

/** A rain of 4 packets of which one viewer got 2, closed or not. */
async function played(user, {close = true} = {}) {
  const room = newRoom("repair");
  const viewer = await enter(stack, user, {room});
  const {code} = await startRain(stack, {room, count: 4, total: 100, limit: 2, split: "equal", shards: 1});
  await viewer.push("RED_PACKET_CONFIG");
  const {wins} = await grabAll(viewer, code);
  assert.equal(wins.length, 2);
  await viewer.close();
  await until("the grants are in the books", async () =>
    (await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ?", [code]))[0].n === 2);
  if (close) {
    await closeRain(stack, code);
    await settled(stack, code);
  }
  return {code, wins};
}

const conflict = (code, {user, no, amount = 25}) => stack.sql(
  "INSERT INTO rp_conflict (code, shard, packet_no, user_id, seq, amount, rid, reason, state, raw, created_at) "
  + "VALUES (?, 0, ?, ?, 0, ?, ?, 'stale_rid', 'open', '', 1)", [code, no, user, amount, RID]);

async function metric(name) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, "m").exec(text)?.[1]);
}

test("clean books need no repair", async () => {
  const {code} = await played("600");
  const {json, stdout} = await ok(code, "--json");
  assert.deepEqual([json.entries, json.undecided, json.applied], [[], 0, false], stdout);
  assert.match((await ok(code)).stdout, /nothing to repair/);
  assert.match((await ok("--wallets")).stdout, /nothing to repair/);
  const blind = await stack.ctl(["--set", "redis.url=redis://127.0.0.1:1/0", "repair", code, "--json"]);
  assert.equal(blind.code, 0, blind.stderr);
  assert.match(blind.json.notes, /shard 0: Redis was not read .*not compared/);
  assert.deepEqual((await stack.ctl(["verify", "--quick", "--json"])).json, {ok: true, unaccounted_fen: 0, findings: []});
});

test("a told conflict holds up the end until it is accepted: the platform pays", async () => {
  const {code, wins} = await played("610", {close: false});
  await conflict(code, {user: 611, no: wins[0].no});
  await closeRain(stack, code);
  assert.equal((await showRain(stack, code)).status, "CLOSING");
  const {stdout} = await ok(code);
  assert.match(stdout, /^told +c\d+ +\+25 +platform told +balance 611 .*\[undecided\]$/m);
  assert.match(stdout, /--accept or --reject/);
  const entries = await repair(code, "--accept", "all");
  assert.deepEqual(entries.map((e) => [e.kind, e.from, e.to, e.amount, e.biz_type]), [["told", "platform told", "balance 611", 25, "repair"]]);
  const end = await settled(stack, code);
  assert.deepEqual([end.settled_fen, end.refunded_fen], [50, 50]);
  assert.equal(await balance(stack, 611), 25);
  await stack.verify();
  const {json} = await ok("--log", code, "--json");
  assert.deepEqual(json.repairs.map((r) => [r.kind, r.who, r.user, r.amount, r.code]), [["told", "night-shift", 611, 25, code]]);
  assert.match(json.repairs[0].before, /rp_conflict \d+: open/);
  assert.match(json.repairs[0].after, /user 611: balance 25.*rp_conflict \d+: closed/);
  assert.match((await ok("--log")).stdout, /night-shift  told/);
});

test("a rejected conflict is closed unpaid", async () => {
  const {code, wins} = await played("620", {close: false});
  await conflict(code, {user: 621, no: wins[1].no});
  await closeRain(stack, code);
  const [row] = await stack.sql("SELECT id FROM rp_conflict WHERE code = ?", [code]);
  await repair(code, "--reject", `c${row.id}`);
  await settled(stack, code);
  assert.equal(await balance(stack, 621), 0);
  await stack.verify();
});

test("a missing refund is made, once", async () => {
  const {code} = await played("630");
  const had = await balance(stack, ANCHOR);
  await stack.sql("DELETE FROM account_log WHERE biz_type = 'refund' AND biz_id = ?", [`R:${code}:0`]);
  await stack.sql("UPDATE rp_escrow SET remain = refunded, refunded = 0 WHERE code = ?", [code]);
  await stack.sql("UPDATE wallet SET balance = balance - 50 WHERE user_id = ?", [ANCHOR]);
  assert.equal((await stack.ctl(["verify", "--all"])).code, 1);
  const plan = (await ok(code, "--json")).json;
  assert.deepEqual(plan.entries.map((e) => [e.kind, e.to, e.amount, e.biz_id]), [["refund", `balance ${ANCHOR}`, 50, `R:${code}:0`]]);
  await repair(code);
  assert.equal(await balance(stack, ANCHOR), had);
  const again = await stack.ctl(["repair", code, "--apply", "--plan", plan.plan]);
  assert.equal(again.code, 1, "the plan is done");
  assert.match(again.stderr, /CONFLICT/);
  assert.equal(await balance(stack, ANCHOR), had);
  await stack.verify();
});

test("a wallet that is not its log: the metric says so, the difference is booked against the platform", async () => {
  await stack.deposit("640", 100);
  await until("the settler's checker has nothing to say", async () =>
    await metric("redrain_findings") === 0 && await metric("redrain_money_unaccounted_fen") === 0);
  await stack.sql("UPDATE wallet SET balance = balance + 7 WHERE user_id = 640");
  await until("the settler's checker sees 7 fen", async () => await metric("redrain_money_unaccounted_fen") === 7);
  const [check] = await stack.sql("SELECT * FROM rp_check WHERE kind = 'quick' AND findings > 0 ORDER BY id DESC LIMIT 1");
  const found = await stack.sql("SELECT invariant FROM rp_finding WHERE check_id = ? ORDER BY invariant", [check.id]);
  assert.deepEqual(found.map((f) => f.invariant), ["conservation", "wallet_log"]);
  const shown = (await ok("--wallets", "--json")).json;
  assert.deepEqual(shown.entries.map((e) => [e.kind, e.to, e.amount]), [["wallet", "balance 640", 7]]);
  await stack.sql("UPDATE wallet SET balance = balance + 1 WHERE user_id = 640");
  const stale = await stack.ctl(["repair", "--wallets", "--apply", "--plan", shown.plan]);
  assert.equal(stale.code, 1);
  assert.match(stale.stderr, /have changed since that plan/);
  assert.equal((await stack.sql("SELECT COUNT(*) AS n FROM rp_repair WHERE kind = 'wallet'"))[0].n, 0);
  await repair("--wallets");
  assert.equal(await balance(stack, 640), 108, "no balance is overwritten");
  await stack.verify();
  await until("the settler's checker is silent again", async () => await metric("redrain_money_unaccounted_fen") === 0);
});

test("a rain whose end nobody brings about is closed", async () => {
  const {code, wins} = await played("650", {close: false});
  await stack.sql("DELETE FROM rp_task WHERE code = ?", [code]);
  await stack.sql("UPDATE t_red_packet_config SET status = 4 WHERE config_code = ?", [code]);
  const {json} = await stack.ctl(["verify", code, "--json"]);
  assert.deepEqual(json.findings.map((f) => f.invariant), ["rain_task"]);
  assert.deepEqual((await repair(code)).map((e) => e.kind), ["close-again"]);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 100});
  await stack.verify();
});

test("usage", async () => {
  const code = "A".repeat(22);
  for (const args of [[], ["short"], [code, "--wallets"], [code, "--apply"], [code, "--plan", "x"], ["--wallets", "--accept", "all"],
    [code, "--make-good"], ["--log", "--apply", "--plan", "x"], [code, "more"], [code, "--bogus"]]) {
    assert.equal((await stack.ctl(["repair", ...args])).code, 2, args.join(" "));
  }
  assert.equal((await stack.ctl(["verify", "--all", "--quick"])).code, 2);
  assert.match((await stack.ctl(["repair", code])).stderr, /NOT_FOUND/);
  const {code: rain} = await played("660");
  assert.match((await stack.ctl(["repair", rain, "--accept", "c999"])).stderr, /BAD_REQUEST/);
});

// What the anchor's console asks beside the steps of a rain: winners page by page and of one user, who did what, templates, the
// checker's word. Only the room's anchor may ask, and only of his room.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, bizId, closeRain, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const LIMITS = {"limits.grab_per_s": 1000, "limits.command_per_s": 1000};
let stack;
before(async () => { stack = await startStack({workers: 2, conf: LIMITS}); });
after(() => stack?.stop());

const anchorIn = (room, user = ANCHOR) => enter(stack, user, {room, role: "anchor", maySend: true});
const place = ({shard, no}) => `${shard}/${no}`;

/** Every page of a rain's winners. */
async function allWinners(anchor, code, limit) {
  const all = [];
  const sizes = [];
  for (let next = {}; next;) {
    const reply = await anchor.request(OP.WINNERS, {code, limit, ...next});
    assert.equal(reply.name, "OK", JSON.stringify(reply));
    sizes.push(reply.winners.length);
    all.push(...reply.winners);
    next = reply.next && {after_shard: reply.next.shard, after_no: reply.next.no};
  }
  return {all, sizes};
}

test("winners: every page once, in order, as in SQL; one user by his id; nobody else may ask", async () => {
  const room = newRoom("console");
  const anchor = await anchorIn(room);
  const viewers = await Promise.all(["401", "402", "403"].map((user) => enter(stack, user, {room})));
  const {code} = await startRain(stack, {room, total: 9000, count: 90, limit: 5, shards: 3});
  const won = [];
  for (const v of viewers) won.push(...(await grabAll(v, code)).wins);
  assert.equal(won.length, 15);
  await until("every GRAB is counted for the room, on whatever worker, and none failed", async () => {
    const {delivery: d} = await anchor.request(OP.STATS, {});
    return d.grabs === 18 && d.grabs_failed === 0;
  });
  await closeRain(stack, code);
  await settled(stack, code);
  for (const limit of [1, 4, 15, 500]) {
    const {all, sizes} = await allWinners(anchor, code, limit);
    assert.deepEqual(all.map((w) => `${w.user} ${place(w)} ${w.seq} ${w.amount}`).sort(),
      won.map((w) => `${w.user} ${place(w)} ${w.seq} ${w.amount}`).sort(), `pages of ${limit}`);
    assert.ok(sizes.every((n) => n <= limit));
    assert.deepEqual(all.map(place), [...all].sort((a, b) => a.shard - b.shard || a.no - b.no).map(place));
    assert.ok(all.every((w) => w.state === "settled" && w.at > 0));
  }
  const {winners, next} = await anchor.request(OP.WINNERS, {code, user: "402"});
  assert.equal(next, null);
  assert.deepEqual(winners.map((w) => w.seq).sort(), [0, 1, 2, 3, 4]);
  assert.ok(winners.every((w) => w.user === "402"));
  assert.deepEqual((await anchor.request(OP.WINNERS, {code, user: "999"})).winners, []);

  for (const [op, body] of [[OP.WINNERS, {code}], [OP.AUDIT, {}], [OP.TEMPLATES, {}], [OP.CHECK, {code}]]) {
    assert.equal((await viewers[0].request(op, body)).name, "NOT_ELIGIBLE", "a viewer");
  }
  const other = await anchorIn(newRoom("console"), "9400");
  for (const op of [OP.WINNERS, OP.CHECK]) {
    assert.equal((await other.request(op, {code})).name, "NOT_FOUND", "the anchor of another room");
  }
  for (const [body, field] of [[{code: "short"}, "code"], [{code, after_no: 3}, "after_no"], [{code, user: "0x1"}, "user"],
    [{code, limit: 501}, "limit"]]) {
    const reply = await anchor.request(OP.WINNERS, body);
    assert.deepEqual([reply.name, reply.field], ["BAD_REQUEST", field]);
  }
});

test("the checker's word: not while it rains, clean when it is over, findings when the books were touched", async () => {
  const room = newRoom("console");
  const anchor = await anchorIn(room);
  const viewer = await enter(stack, "411", {room});
  const {code} = await startRain(stack, {room, total: 1000, count: 4, limit: 2, shards: 2});
  const {wins} = await grabAll(viewer, code);
  assert.equal((await anchor.request(OP.CHECK, {code})).name, "CONFLICT");
  await closeRain(stack, code);
  await settled(stack, code);
  const check = () => until("not too often", async () => {
    const reply = await anchor.request(OP.CHECK, {code});
    return reply.name === "RATE_LIMITED" ? null : reply;
  });
  const clean = await check();
  assert.equal(clean.name, "OK", JSON.stringify(clean));
  const fen = wins.reduce((sum, {amount}) => sum + amount, 0);
  assert.deepEqual([clean.findings, clean.unaccounted_fen, clean.settled_fen, clean.remain_fen, clean.refunded_fen, clean.total],
    [0, 0, fen, 0, 1000 - fen, 1000]);
  // Somebody changes a paid grant; the earlier word is forgotten as it is after a day.
  await stack.sql("UPDATE rp_grant SET amount = amount + 1 WHERE code = ? LIMIT 1", [code]);
  await stack.sql("DELETE FROM rp_checked WHERE code = ?", [code]);
  assert.ok((await check()).findings > 0);
});

test("who did what: each step and each refusal of the anchor, what the platform did to his rains, no other room's", async () => {
  const room = newRoom("console");
  const sender = "9410";
  await stack.deposit(sender, 5000);
  const anchor = await anchorIn(room, sender);
  const spec = {biz_id: bizId(), total: 2000, count: 4, limit: 1};
  const {code, audit} = await anchor.request(OP.CREATE, spec);
  assert.ok(audit > 0, "the answer names its row");
  assert.equal((await anchor.request(OP.CREATE, spec)).code, code, "the same biz_id is the same rain");
  await anchor.request(OP.CREATE, {...spec, biz_id: bizId(), total: 1_000_000});
  await anchor.request(OP.PREPARE, {code});
  await stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 0, duration_ms: 20_000});
  await anchor.request(OP.EXTEND, {code, add_ms: 1000});
  await anchor.request(OP.ANNOUNCE, {text: "<b>大家好</b>"});
  await anchor.request(OP.MUTE, {user: "77", secs: 5});
  await anchor.request(OP.KICK, {user: "78", secs: 5});
  await anchor.request(OP.CLOSE, {code});
  await anchor.request(OP.CANCEL, {code});
  const rows = await until("all rows", async () => {
    const reply = await anchor.request(OP.AUDIT, {});
    return reply.rows.length >= 11 && reply.rows;
  });
  const said = [...rows].reverse().map(({action, result, user}) => `${action} ${result} ${user}`);
  // What was done without SQL is written a moment later: only the others keep their order.
  const steps = said.filter((line) => !/^(ANNOUNCE|MUTE|KICK)/.test(line));
  assert.deepEqual(steps, [`CREATE OK ${sender}`, `CREATE OK ${sender}`, `CREATE CONFLICT ${sender}`, `PREPARE OK ${sender}`,
    "START OK null", `EXTEND OK ${sender}`, `CLOSE OK ${sender}`, `CANCEL CONFLICT ${sender}`]);
  const by = (action) => rows.find((row) => row.action === action);
  assert.equal(by("ANNOUNCE").detail, "<b>大家好</b>");
  assert.equal(by("MUTE").detail, "user=77 secs=5");
  assert.equal(by("KICK").detail, "user=78 secs=5");
  assert.match(rows.at(-1).detail, new RegExp(`^total=2000 count=4 limit=1 kind=rain start_at=0 biz_id=${spec.biz_id}$`));
  assert.equal(rows.at(-1).id, audit);
  assert.ok(["PREPARE", "START", "EXTEND", "CLOSE", "CANCEL"].every((action) => by(action).code === code));
  const older = (await anchor.request(OP.AUDIT, {before: rows[3].id})).rows;
  assert.deepEqual(older.map(({id}) => id), rows.slice(4).map(({id}) => id));
  const other = await anchorIn(newRoom("console"), "9411");
  assert.deepEqual((await other.request(OP.AUDIT, {})).rows, []);
  await other.request(OP.CLOSE, {code}); // not his
  assert.deepEqual((await other.request(OP.AUDIT, {})).rows.map(({action, result}) => [action, result]), [["CLOSE", "NOT_FOUND"]]);
  assert.equal((await anchor.request(OP.AUDIT, {})).rows.length, rows.length, "a stranger writes nothing into this room's");
});

test("templates: kept for this anchor in every room, replaced, removed; text only", async () => {
  const user = "9420";
  const anchor = await anchorIn(newRoom("console"), user);
  const spec = JSON.stringify({total: 8888, count: 88, text: "'); DROP TABLE rp_template; --"});
  assert.deepEqual((await anchor.request(OP.TEMPLATES, {})).templates, []);
  const kept = await anchor.request(OP.TEMPLATES, {name: "周五 '; --", spec});
  assert.deepEqual(kept.templates, [{name: "周五 '; --", spec}]);
  const elsewhere = await anchorIn(newRoom("console"), user);
  assert.deepEqual((await elsewhere.request(OP.TEMPLATES, {name: "周五 '; --", spec: "{}"})).templates, [{name: "周五 '; --", spec: "{}"}]);
  assert.deepEqual((await (await anchorIn(newRoom("console"), "9421")).request(OP.TEMPLATES, {})).templates, [], "another anchor has his own");
  for (let i = 1; i < 20; i += 1) await anchor.request(OP.TEMPLATES, {name: `t${i}`, spec: "{}"});
  const full = await anchor.request(OP.TEMPLATES, {name: "one more", spec: "{}"});
  assert.deepEqual([full.name, full.field], ["BAD_REQUEST", "name"]);
  assert.equal((await anchor.request(OP.TEMPLATES, {name: "t1"})).templates.length, 19);
});

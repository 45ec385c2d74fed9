// The judge of ./dev chaos on planted histories: one thing wrong at a time, and the field that must say so.
import assert from "node:assert/strict";
import {test} from "node:test";
import {judge} from "../../chaos/judge.mjs";
import {DECK, TARGETS, countedAs, schedule} from "../../chaos/faults.mjs";

const CODE = "rain-1";
const T = 1_000_000;

const ask = (seq, at, n = 1) => ({kind: "ask", at, code: CODE, seq, ask: n, again: n > 1});
const ok = (seq, at, shard, no, amount, n = 1) => ({kind: "answer", at, code: CODE, seq, ask: n, name: "OK", shard, no, amount});
const answer = (seq, at, name, n = 1) => ({kind: "answer", at, code: CODE, seq, ask: n, name});
const grant = (user, seq, shard, no, amount) => ({code: CODE, user, seq, shard, no, amount, state: 1, grantedAt: T + 5});
const shown = (g) => ({code: g.code, seq: g.seq, shard: g.shard, no: g.no, amount: g.amount, state: "settled"});

/** Two viewers, three wins of 100 fen in all, 50 fen back. */
function fair() {
  const grants = [grant("7", 0, 0, 0, 30), grant("7", 1, 0, 1, 20), grant("8", 0, 1, 0, 50)];
  return {
    seed: 1, swept: 3, deposits: {9: 1000},
    rains: [{code: CODE, reqId: "r", sender: "9", total: 150, acked: true}],
    windows: {[CODE]: {openAt: T, endAt: T + 9000}},
    viewers: [
      {user: "7", shown: {[CODE]: grants.slice(0, 2).map(shown)}, log: [
        ask(0, T + 1), ok(0, T + 10, 0, 0, 30), ask(1, T + 20), answer(1, T + 320, "PENDING"), ask(1, T + 400, 2), ok(1, T + 420, 0, 1, 20, 2),
        ask(2, T + 500), answer(2, T + 505, "RECOVERING"), ask(2, T + 700, 2), answer(2, T + 705, "LIMIT", 2)]},
      {user: "8", shown: {[CODE]: [shown(grants[2])]}, log: [
        ask(0, T + 1), ok(0, T + 1500, 1, 0, 50), {kind: "push", at: T + 1600, biz: "GRANT_SETTLED", code: CODE, seq: 0, shard: 1, no: 0, amount: 50},
        ask(1, T + 1700), answer(1, T + 1710, "SOLD_OUT")]},
    ],
    books: {
      rains: [{code: CODE, reqId: "r", sender: "9", total: 150, status: 5}], grants, before: {}, after: {7: 50, 8: 50, 9: 900},
      settledFen: 100, refundedFen: 50, openRows: 0, consumed: 5, findings: 0,
    },
    faults: {kills: 3, wanted: 3, byTarget: {redis: 3}, done: [{target: "redis", at: T + 200, backAt: T + 300}]},
  };
}

const viewer = (e, user) => e.viewers.find((v) => v.user === user);

test("a fair history is ok, and its numbers are right", () => {
  const {line, findings} = judge(fair());
  assert.deepEqual(findings, []);
  assert.deepEqual(line, {
    kills: 3, kills_by_target: {redis: 3}, rains: 1, stuck_rains: 0, told: 3, told_fen: 100, pending: 1, replayed: 1, swept: 3, duplicates: 2,
    recovering: 1, settled_fen: 100, refunded_fen: 50, unaccounted_fen: 0, lost_wins: 0, doubled: 0, hidden_wins: 0, unanswered: 0,
    recovered_max_s: 0.1, availability: 0.8, seed: 1, verdict: "ok",
  });
});

const WRONGS = {
  "a told win that the books do not know": [(e) => {
    e.books.grants.splice(2, 1);
    e.books.after = {7: 50, 9: 950};
    Object.assign(e.books, {settledFen: 50, refundedFen: 100});
  }, {lost_wins: 1, unaccounted_fen: 0, doubled: 0}],
  "a told win with another amount in the books": [(e) => {
    e.books.grants[2].amount = 40;
    e.books.after = {7: 50, 8: 40, 9: 910};
    Object.assign(e.books, {settledFen: 90, refundedFen: 60});
  }, {lost_wins: 1, unaccounted_fen: 0}],
  "a wallet that lacks a told win, whatever the rows say": [(e) => { e.books.after = {7: 50, 8: 0, 9: 950}; }, {lost_wins: 1, unaccounted_fen: 0}],
  "a row for what nobody asked for": [(e) => {
    const g = grant("8", 2, 1, 1, 25);
    e.books.grants.push(g);
    viewer(e, "8").shown[CODE].push(shown(g));
    e.books.after = {7: 50, 8: 75, 9: 875};
    Object.assign(e.books, {settledFen: 125, refundedFen: 25});
  }, {doubled: 1, unaccounted_fen: 0, lost_wins: 0}],
  "a wallet that was paid twice": [(e) => {
    e.books.after = {7: 50, 8: 100, 9: 850};
    Object.assign(e.books, {settledFen: 150, refundedFen: 0});
  }, {doubled: 1, unaccounted_fen: 0}],
  "two amounts for one seq": [(e) => { viewer(e, "8").log.push(ok(0, T + 1900, 1, 2, 10)); }, {doubled: 1}],
  "one packet granted to two": [(e) => { Object.assign(e.books.grants[2], {shard: 0, no: 1}); }, {doubled: 1}],
  "money from nowhere in a viewer's wallet": [(e) => { e.books.after[8] += 7; }, {unaccounted_fen: -7, doubled: 1}],
  "money that went nowhere": [(e) => { e.books.after[9] -= 7; }, {unaccounted_fen: 7}],
  "a stranger's wallet that grew": [(e) => { e.books.after[66] = 7; }, {doubled: 1}],
  "a grant after a final no": [(e) => {
    const g = grant("8", 1, 1, 1, 25);
    e.books.grants.push(g);
    viewer(e, "8").shown[CODE].push(shown(g));
    e.books.after = {7: 50, 8: 75, 9: 875};
    Object.assign(e.books, {settledFen: 125, refundedFen: 25});
  }, {hidden_wins: 1, doubled: 0, unaccounted_fen: 0}],
  "a grant the user is not shown": [(e) => { viewer(e, "8").shown = {}; }, {hidden_wins: 1}],
  "a grant shown without its amount": [(e) => { delete viewer(e, "8").shown[CODE][0].amount; }, {hidden_wins: 1}],
  "a grab without a final answer": [(e) => { viewer(e, "8").log.pop(); }, {unanswered: 1}],
  "a grab that nobody answered, though its grant came": [(e) => {
    viewer(e, "8").log.splice(1, 1, answer(0, T + 300, "PENDING"));
  }, {unanswered: 1, lost_wins: 0}],
  "a no to a question that was asked again is no final answer": [(e) => {
    viewer(e, "8").log.splice(-1, 1, ask(1, T + 1705, 2), answer(1, T + 1710, "SOLD_OUT", 1));
  }, {unanswered: 1}],
  "a rain that does not end": [(e) => { e.books.rains[0].status = 4; }, {stuck_rains: 1}],
  "a rain that was acknowledged and is gone": [(e) => {
    Object.assign(e.books, {rains: [], grants: [], after: {9: 1000}, settledFen: 0, refundedFen: 0});
  }, {lost_wins: 3}],
  "open rows beside the books": [(e) => { e.books.openRows = 1; }, {}],
  "findings of the checker": [(e) => { e.books.findings = 1; }, {}],
  "fewer kills than asked for": [(e) => { e.faults.wanted = 4; }, {kills: 3}],
  "nobody won anything": [(e) => {
    e.books = {...e.books, rains: [], grants: [], after: {9: 1000}, settledFen: 0, refundedFen: 0};
    e.rains = [];
    for (const v of e.viewers) v.log = [];
  }, {told: 0}],
};

for (const [name, [spoil, fields]] of Object.entries(WRONGS)) {
  test(`the verdict fails on ${name}`, () => {
    const e = fair();
    spoil(e);
    const {line, findings} = judge(e);
    assert.equal(line.verdict, "failed");
    assert.ok(findings.length > 0);
    for (const [field, value] of Object.entries(fields)) assert.equal(line[field], value, `${field}: ${findings.join("; ")}`);
  });
}

test("200 kills must reach everything they are for, and every target", () => {
  const e = fair();
  e.faults = {...e.faults, kills: 200, wanted: 200, byTarget: {redis: 190, kafka: 10}};
  assert.equal(judge(e).line.verdict, "ok");
  e.swept = 0;
  assert.match(judge(e).findings.join(), /swept is 0/);
  e.swept = 1;
  e.faults.byTarget = {redis: 191, kafka: 9};
  assert.match(judge(e).findings.join(), /kafka is only 9/);
});

test("the clock of a recovery starts again with each fault of what it needs", () => {
  const e = fair();
  assert.equal(judge(e).line.recovered_max_s, 0.1);
  e.faults.done.push({target: "settler-a/mariadb", kind: "cut", at: T + 310, ms: 90});
  assert.equal(judge(e).line.recovered_max_s, 0);
  e.faults.done.push({target: "a.worker0", kind: "kill", at: T + 400});
  assert.equal(judge(e).line.recovered_max_s, 0);
});

test("a grab that is resolved by a push, or by the books, is answered", () => {
  const e = fair();
  const v = viewer(e, "8");
  v.log = [ask(0, T + 1), answer(0, T + 300, "PENDING"), {kind: "push", at: T + 400, biz: "GRAB_RESULT", code: CODE, seq: 0, shard: 1, no: 0, amount: 50}];
  assert.equal(judge(e).line.verdict, "ok");
  v.log = [ask(0, T + 1), answer(0, T + 300, "NOT_FOUND"), {kind: "books", at: T + 400, found: true, code: CODE, seq: 0, shard: 1, no: 0, amount: 50}];
  assert.equal(judge(e).line.verdict, "ok");
  v.log[2].found = false;
  assert.equal(judge(e).line.hidden_wins, 1);
});

function firstCards(seed, kills, o) {
  const cards = [];
  let n = 0;
  for (const card of schedule(seed, o)) {
    cards.push(card);
    n += card.kind === "kill";
    if (n === kills) return cards;
  }
  return cards;
}

test("one seed, one schedule; another seed, another", () => {
  assert.deepEqual(firstCards(5, 200), firstCards(5, 200));
  assert.notDeepEqual(firstCards(5, 40), firstCards(6, 40));
});

test("each target has at least a twentieth of 200 kills, for any seed", () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const n = Object.fromEntries(TARGETS.map((t) => [t, 0]));
    for (const c of firstCards(seed, 200)) if (c.kind === "kill") n[countedAs(c.target)] += 1;
    for (const [target, kills] of Object.entries(n)) assert.ok(kills >= 10, `seed ${seed}: ${target} ${kills}`);
  }
  assert.ok(Object.values(DECK).every((n) => n > 0));
});

test("what is left alone is left alone", () => {
  assert.ok(firstCards(5, 100, {without: ["redis"]}).every((c) => c.kind === "cut" || !c.target.includes("redis")));
});

// The demo's judge must find each kind of wrong in the books; a judge that cannot say "no" proves nothing.
import assert from "node:assert/strict";
import test from "node:test";
import {judge} from "../../../tools/dev/demo/verdict.mjs";

const CODE = "c";
const win = (user, seq, packetNo, amount) => ({user, code: CODE, seq, shard: 0, packet_no: packetNo, amount, t: 1});
const credit = (w) => ({user: w.user, biz_id: `${CODE}:${w.user}:${w.seq}`, delta: w.amount});

/** Two users, three wins, 40 fen came back to the sender: clean books. */
function clean() {
  const wins = [win("1", 0, 0, 10), win("1", 1, 1, 20), win("2", 0, 2, 30)];
  return {
    code: CODE, total: 100, senderReturned: 40, told: [...wins], pending: [], grants: wins.map((w) => ({...w})),
    credits: wins.map(credit), increases: new Map([["1", 30], ["2", 30]]),
  };
}

test("clean books are ok", () => {
  const v = judge(clean());
  assert.deepEqual(v.problems, []);
  assert.equal(v.told, 3);
  assert.equal(v.told_fen, 60);
  assert.equal(v.settled, 3);
  assert.equal(v.settled_fen, 60);
  assert.equal(v.unaccounted_fen, 0);
});

test("the same win told twice counts once", () => {
  const books = clean();
  books.told.push({...books.told[0], t: 2});
  const v = judge(books);
  assert.deepEqual(v.problems, []);
  assert.equal(v.told, 3);
});

test("nobody told is never ok", () => {
  const v = judge({...clean(), told: [], grants: [], credits: [], increases: new Map(), senderReturned: 100});
  assert.equal(v.unaccounted_fen, 0);
  assert.match(v.problems.join(), /nobody was told/);
});

test("a told win without a grant is lost", () => {
  const books = clean();
  books.grants.pop();
  books.credits.pop();
  books.increases.delete("2");
  books.senderReturned = 70;
  const v = judge(books);
  assert.equal(v.lost_wins, 1);
  assert.equal(v.unaccounted_fen, 0);
});

test("a told win with another amount, shard or number is lost", () => {
  for (const change of [{amount: 31}, {shard: 1}, {packet_no: 7}]) {
    const books = clean();
    Object.assign(books.told[2], change);
    assert.ok(judge(books).lost_wins >= 1, JSON.stringify(change));
  }
});

test("a grant whose money is not in the wallet is lost", () => {
  const books = clean();
  books.increases.set("2", 0);
  books.credits.pop();
  const v = judge(books);
  assert.equal(v.lost_wins, 1);
  assert.equal(v.unaccounted_fen, 30);
});

test("a win credited twice is doubled", () => {
  const books = clean();
  books.credits.push({...books.credits[2]});
  books.increases.set("2", 60);
  const v = judge(books);
  assert.equal(v.doubled, 1);
  assert.equal(v.unaccounted_fen, -30);
});

test("a wallet above its grants is doubled, whatever the log says", () => {
  const books = clean();
  books.increases.set("2", 60);
  const v = judge(books);
  assert.equal(v.doubled, 1);
  assert.match(v.problems.join(), /differ from their account log/);
});

test("two different wins told for one question is a contradiction", () => {
  const books = clean();
  books.told.push(win("2", 0, 5, 33));
  assert.match(judge(books).problems.join(), /two different wins/);
});

test("a grant nobody was told of is stray, unless its user was told PENDING", () => {
  const books = clean();
  books.told.pop();
  assert.equal(judge(books).stray, 2);
  books.pending.push({user: "2", seq: 0});
  assert.deepEqual(judge(books).problems, []);
});

test("a credit to a viewer who took no part is stray", () => {
  const books = clean();
  books.increases.set("3", 5);
  books.senderReturned = 35;
  const v = judge(books);
  assert.equal(v.unaccounted_fen, 0);
  assert.ok(v.problems.length > 0);
});

test("money that came back too little or too much is unaccounted", () => {
  assert.equal(judge({...clean(), senderReturned: 39}).unaccounted_fen, 1);
  assert.equal(judge({...clean(), senderReturned: 41}).unaccounted_fen, -1);
});

test("wins of another rain in the log are a problem", () => {
  const books = clean();
  books.told.push({...win("1", 2, 9, 5), code: "other"});
  assert.match(judge(books).problems.join(), /another rain/);
});

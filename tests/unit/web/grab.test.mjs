import {test} from "node:test";
import assert from "node:assert/strict";
import {World, FakeStorage, settle} from "./fakes.mjs";
import {GrabBook} from "../../../web-demo/grab-book.js";

const bodies = (w) => w.sent("GRAB").map(([, , body]) => body);
const ok = (seq, amount = 100) => ({result: 0, code: "c", seq, shard: 0, no: 9, amount, left: 1});

async function grabbing(join) {
  const w = new World();
  await w.ready(join);
  const answer = w.client.grab("c");
  await settle();
  return {w, answer};
}

test("OK resolves with the amount, and the next grab asks for the next seq", async () => {
  const {w, answer} = await grabbing();
  assert.deepEqual(bodies(w), [{code: "c", seq: 0}]);
  await w.answerLast("GRAB", ok(0, 52));
  const {name, amount, seq} = await answer;
  assert.deepEqual({name, amount, seq}, {name: "OK", amount: 52, seq: 0});
  w.client.grab("c");
  assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 1});
});

test("JOIN's next is where asking starts", async () => {
  const {w} = await grabbing({next: {c: 3}});
  assert.deepEqual(bodies(w), [{code: "c", seq: 3}]);
});

test("without JOIN's next, the list of grants tells where asking starts", async () => {
  const w = new World();
  await w.ready({next: undefined});
  const list = w.client.myGrants("c");
  await w.answerLast("MY_GRANTS", {grants: [0, 1].map((seq) => ({code: "c", seq, state: "settled"}))});
  assert.equal((await list).length, 2);
  w.client.grab("c");
  assert.deepEqual(bodies(w), [{code: "c", seq: 2}]);
});

test("at most one question per rain is open; further taps share it", async () => {
  const {w, answer} = await grabbing();
  const second = w.client.grab("c");
  const other = w.client.grab("d");
  assert.equal(bodies(w).length, 2);
  await w.reply(w.sent("GRAB")[0][1], ok(0));
  assert.deepEqual(await answer, await second);
  other.catch(() => {});
});

test("final noes resolve by name and keep the seq", async () => {
  for (const [result, name] of [[2, "SOLD_OUT"], [3, "LIMIT"], [5, "ENDED"]]) {
    const {w, answer} = await grabbing();
    await w.answerLast("GRAB", {result});
    assert.equal((await answer).name, name);
    assert.equal(w.client.nextSeq("c"), 0);
    w.client.grab("c");
    assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 0}, "no again after a final answer");
  }
});

test("PENDING tells, then the second answer with the same id resolves", async () => {
  const w = new World();
  await w.ready();
  const pending = [];
  const answer = w.client.grab("c", (p) => pending.push(p));
  const [, id] = w.sent("GRAB")[0];
  await w.reply(id, {result: 1, code: "c", seq: 0});
  assert.deepEqual(pending, [{code: "c", seq: 0}]);
  assert.equal(w.got("pending").length, 1);
  await w.reply(id, ok(0, 7));
  assert.equal((await answer).amount, 7);
  const before = bodies(w).length;
  await w.time.advance(20_000);
  assert.equal(bodies(w).length, before, "nothing is asked after the final answer");
});

test("PENDING without a final answer asks again after 2.5 s with again=true", async () => {
  const {w, answer} = await grabbing();
  const [, first] = w.sent("GRAB")[0];
  await w.reply(first, {result: 1, code: "c", seq: 0});
  await w.time.advance(2499);
  assert.equal(bodies(w).length, 1);
  await w.time.advance(1);
  assert.deepEqual(bodies(w), [{code: "c", seq: 0}, {code: "c", seq: 0, again: true}]);
  await w.reply(first, ok(0, 11)); // the first question's own final answer still counts
  assert.equal((await answer).amount, 11);
  await w.answerLast("GRAB", ok(0, 11));
  assert.equal(w.client.nextSeq("c"), 1);
});

test("an old question's no does not end a newer question", async () => {
  const {w, answer} = await grabbing();
  const [, first] = w.sent("GRAB")[0];
  await w.time.advance(2500);
  await w.reply(first, {result: 2});
  assert.equal(w.got("grab").length, 0);
  await w.answerLast("GRAB", ok(0, 3));
  assert.equal((await answer).amount, 3);
});

test("an OK that comes after a final no is still told and counted", async () => {
  const {w, answer} = await grabbing();
  const [, first] = w.sent("GRAB")[0];
  await w.time.advance(2500);
  await w.answerLast("GRAB", {result: 2});
  assert.equal((await answer).name, "SOLD_OUT");
  await w.reply(first, ok(0, 8));
  assert.equal(w.got("grab").at(-1).amount, 8);
  assert.equal(w.client.nextSeq("c"), 1);
});

test("not looked at: the first question fails, an open one goes on asking", async () => {
  for (const [result, name] of [[6, "RATE_LIMITED"], [8, "BUSY"], [10, "RECOVERING"],
    [13, "UNAVAILABLE"]]) {
    const {w, answer} = await grabbing();
    await w.answerLast("GRAB", {result, retry_after_ms: 900});
    await assert.rejects(answer, {name, retryAfterMs: 900});
    w.client.grab("c").catch(() => {});
    assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 0}, "was never looked at: no again");
  }
  const {w, answer} = await grabbing();
  await w.answerLast("GRAB", {result: 1});
  await w.time.advance(2500);
  await w.answerLast("GRAB", {result: 8, retry_after_ms: 900});
  await w.time.advance(899);
  assert.equal(bodies(w).length, 2);
  await w.time.advance(1);
  assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 0, again: true});
  await w.answerLast("GRAB", ok(0));
  assert.equal((await answer).name, "OK");
});

test("NOT_STARTED fails and is asked afresh", async () => {
  const {w, answer} = await grabbing();
  await w.answerLast("GRAB", {result: 4});
  await assert.rejects(answer, {name: "NOT_STARTED"});
  w.client.grab("c").catch(() => {});
  assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 0});
});

test("BAD_SEQ continues with the server's next, but not for ever", async () => {
  const {w, answer} = await grabbing();
  await w.answerLast("GRAB", {result: 11, next: 2});
  assert.deepEqual(bodies(w).at(-1), {code: "c", seq: 2});
  await w.answerLast("GRAB", ok(2));
  assert.equal((await answer).seq, 2);

  const bad = await grabbing();
  for (let i = 0; i < 4; i++) await bad.w.answerLast("GRAB", {result: 11, next: i});
  await assert.rejects(bad.answer, {name: "BAD_SEQ"});
});

test("an unknown rain fails and is forgotten", async () => {
  const {w, answer} = await grabbing();
  await w.answerLast("GRAB", {result: 14});
  await assert.rejects(answer, {name: "NOT_FOUND"});
});

test("reconnect: the open question is asked again with again=true after JOIN", async () => {
  const {w, answer} = await grabbing();
  await w.lose();
  await w.comeBack({next: {c: 1}}); // it had been granted
  assert.deepEqual(bodies(w), [{code: "c", seq: 0, again: true}]);
  await w.answerLast("GRAB", ok(0, 66));
  assert.equal((await answer).amount, 66);
});

test("reload: storage alone is enough to ask again and tell the win", async () => {
  const {w, answer} = await grabbing();
  await w.lose();
  w.client.close();
  await assert.rejects(answer, {name: "DISCONNECTED"});
  w.events.length = 0;
  const second = w.newClient();
  second.connect();
  second.join("r1");
  await w.accept();
  await w.acceptJoin();
  assert.deepEqual(bodies(w), [{code: "c", seq: 0, again: true}]);
  await w.answerLast("GRAB", ok(0, 5));
  assert.equal(w.got("grab").at(-1).amount, 5);
  assert.equal(second.nextSeq("c"), 1);
});

test("another user on the same device does not ask for the first one's packets", async () => {
  const {w, answer} = await grabbing();
  await w.lose();
  w.client.close();
  await assert.rejects(answer, {name: "DISCONNECTED"});
  const second = w.newClient();
  second.connect();
  second.join("r1");
  await w.accept({user: "8"});
  await w.acceptJoin();
  assert.deepEqual(bodies(w), []);
});

test("GRAB_RESULT by push resolves the question of a lost socket", async () => {
  const {w, answer} = await grabbing();
  await w.answerLast("GRAB", {result: 1, code: "c", seq: 0});
  await w.lose();
  await w.comeBack();
  await w.push({biz_code: "GRAB_RESULT", payload: {...ok(0, 44)}});
  assert.equal((await answer).amount, 44);
  assert.equal(w.client.nextSeq("c"), 1);
});

test("GRAB_RESULT nobody waits for is told by the grab event", async () => {
  const w = new World();
  await w.ready();
  await w.push({biz_code: "GRAB_RESULT", payload: {...ok(0, 44)}});
  assert.equal(w.got("grab")[0].amount, 44);
  assert.equal(w.client.nextSeq("c"), 1);
});

test("not connected: a new grab fails at once and is not remembered as asked", async () => {
  const w = new World();
  await w.ready();
  await w.lose();
  await assert.rejects(w.client.grab("c"), {name: "DISCONNECTED"});
  await w.comeBack();
  assert.deepEqual(bodies(w), []);
});

test("a terminal close fails open grabs and keeps them in storage", async () => {
  const {w, answer} = await grabbing();
  await w.lose(4503);
  await assert.rejects(answer, {name: "BANNED"});
  const book = new GrabBook(w.storage);
  book.open("7", "r1");
  assert.deepEqual(book.unanswered(), ["c"]);
});

test("questions without any answer are repeated with growing pauses", async () => {
  const {w} = await grabbing();
  const times = [];
  for (let i = 0; i < 30; i++) {
    await w.time.advance(1000);
    await w.pong();
    times.push(bodies(w).length);
  }
  assert.deepEqual([times[2], times[7], times[17], times[27]], [2, 3, 4, 5]);
});

test("grab book: broken storage is ignored, open questions are never evicted", () => {
  const storage = new FakeStorage();
  storage.setItem("redrain.grabs.7.r1", "{not json");
  const book = new GrabBook(storage);
  book.open("7", "r1");
  assert.deepEqual(book.get("x"), {seq: 0, asked: false});
  book.set("kept", 4, true);
  for (let i = 0; i < 50; i++) book.set(`c${i}`, 1, false);
  assert.deepEqual(book.get("kept"), {seq: 4, asked: true});
  assert.deepEqual(book.get("c0"), {seq: 0, asked: false}, "old and answered: evicted");
  book.learn({kept: 9, c49: 5, c48: 0, bad: -1, worse: "x"});
  assert.equal(book.get("kept").seq, 4);
  assert.equal(book.get("c49").seq, 5);
  assert.equal(book.get("c48").seq, 1, "an older answer takes nothing back");
  assert.equal(book.get("bad").seq, 0);
  const throwing = {getItem: () => null, setItem: () => {
    throw new Error("quota");
  }};
  const memory = new GrabBook(throwing);
  memory.open("7", "r1");
  memory.set("c", 1, true);
  assert.deepEqual(memory.unanswered(), ["c"]);
});

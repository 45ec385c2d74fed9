// GOAWAY: the client moves to another connection before it leaves the one it has.
import {test} from "node:test";
import assert from "node:assert/strict";
import {World} from "./fakes.mjs";
import {OP} from "../../../web-demo/constants.js";

const GOAWAY = [66, 0, {delay_ms: 300}];
const EPOCH = "00000000000000aa";
const push = (seq, payload = {n: seq}) => [OP.PUSH, 0, {room: "r1", epoch: EPOCH, seq, biz_code: "ANNOUNCE", payload}];
const seen = (w) => w.got("ANNOUNCE").map((p) => p.n);

/** Ready in r1 at seq 4, told to leave, and the other socket is there, not open yet. */
async function leaving(options) {
  const w = new World(options);
  await w.ready({seq: 4});
  const [old] = w.sockets;
  await w.deliver(GOAWAY);
  await w.time.advance(300);
  assert.equal(w.sockets.length, 2);
  return {w, old};
}

async function helloAccepted(w) {
  await w.open();
  await w.answerLast("HELLO", {user: "7", name: "七", role: "viewer", may_send: true, now: w.serverNow()});
}

test("the other connection joins with the position, and only then the old one is closed", async () => {
  const {w, old} = await leaving();
  await w.deliver(push(5), old);
  await helloAccepted(w);
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: EPOCH, seq: 5});
  assert.equal(old.readyState, 1, "still there");
  await w.acceptJoin({seq: 6, recovered: true, missed: [push(6)]});
  assert.equal(old.readyState, 3);
  assert.deepEqual(seen(w), [5, 6]);
  assert.ok(!w.got("state").some((s) => s.state === "waiting" || s.state === "connecting" && s.code), "nobody noticed");
  assert.equal(w.client.state, "ready");
  await w.deliver(push(7));
  assert.deepEqual(seen(w), [5, 6, 7]);
});

test("what both connections bring is delivered once, in order, and nothing is lost", async () => {
  const {w, old} = await leaving();
  await helloAccepted(w);
  await w.deliver(push(5), old);
  await w.deliver(push(6), old);
  await w.acceptJoin({seq: 5, recovered: true, missed: [push(5)]}); // it was behind the old one
  await w.deliver(push(6));
  await w.deliver(push(7));
  assert.deepEqual(seen(w), [5, 6, 7]);
  assert.equal(w.sent("JOIN").length, 1, "no hole was seen");
});

test("a push in the same breath as JOIN's answer finds its owner", async () => {
  const {w} = await leaving();
  await helloAccepted(w);
  const [, id] = w.sent("JOIN").at(-1);
  // Both frames before anything asynchronous may run.
  const {socket} = w;
  const first = w.reply(id, {room: "r1", epoch: EPOCH, seq: 5, recovered: true, missed: [push(5)], rains: [], next: {}});
  const second = w.deliver(push(6), socket);
  await Promise.all([first, second]);
  assert.deepEqual(seen(w), [5, 6]);
});

test("open grabs are asked again on the other connection", async () => {
  const {w, old} = await leaving();
  const grab = w.client.grab("C");
  assert.equal(w.sent("GRAB", old).length, 1);
  await helloAccepted(w);
  await w.acceptJoin({seq: 4, recovered: true});
  const [[, id, body]] = w.sent("GRAB");
  assert.deepEqual(body, {code: "C", seq: 0, again: true});
  await w.reply(id, {code: "C", seq: 0, shard: 0, no: 3, amount: 8, left: 1});
  assert.equal((await grab).amount, 8);
});

test("answers still owed by the old connection are waited for, two seconds", async () => {
  const {w, old} = await leaving();
  const stats = w.client.request("STATS");
  const [[, id]] = w.sent("STATS", old);
  const lost = assert.rejects(w.client.request("SAY", {text: "x"}), {name: "DISCONNECTED"});
  await helloAccepted(w);
  await w.acceptJoin({seq: 4, recovered: true});
  assert.equal(old.readyState, 1);
  await w.reply(id, {online: 3}, old);
  assert.equal((await stats).online, 3);
  await w.time.advance(2000);
  assert.equal(old.readyState, 3);
  await lost;
});

test("a move that fails is tried again while the old connection lives", async () => {
  const {w, old} = await leaving();
  w.socket.readyState = 3;
  w.socket.onclose?.({code: 1006});
  assert.equal(w.client.state, "ready");
  await w.time.advance(1000);
  assert.equal(w.sockets.length, 3);
  await w.deliver(push(5), old);
  assert.deepEqual(seen(w), [5]);
  await helloAccepted(w);
  await w.acceptJoin({seq: 5, recovered: true});
  assert.equal(old.readyState, 3);
});

test("the old connection closed in the middle of a move: the usual way, one connection in the end", async () => {
  const {w, old} = await leaving();
  const half = w.socket;
  old.readyState = 3;
  old.onclose({code: 4001});
  assert.equal(half.readyState, 3, "the half-made one is given up");
  assert.equal(w.client.state, "waiting");
  await w.comeBack({seq: 4, recovered: true});
  assert.equal(w.client.state, "ready");
});

test("close() in the middle of a move leaves no timer and no socket", async () => {
  const {w, old} = await leaving();
  w.client.close();
  assert.equal(old.readyState, 3);
  assert.equal(w.socket.readyState, 3);
  assert.equal(w.time.pending, 0);
});

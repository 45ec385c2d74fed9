import {test} from "node:test";
import assert from "node:assert/strict";
import {World, settle} from "./fakes.mjs";

const EPOCH = "00000000000000aa";
const say = (seq, epoch = EPOCH) =>
  ({room: "r1", epoch, seq, biz_code: "SAY", payload: {text: String(seq)}});
const texts = (w) => w.got("SAY").map((payload) => payload.text);

test("JOIN's rains arrive as pushes marked snapshot, after the snapshot event", async () => {
  const w = new World();
  await w.ready({
    rains: [{biz_code: "RED_PACKET_CONFIG", payload: {config_code: "c"}}], online: 12,
  });
  const names = w.events.map((e) => e.name).filter((name) => name !== "state");
  assert.deepEqual(names, ["snapshot", "RED_PACKET_CONFIG"]);
  assert.equal(w.events.at(-1).meta.snapshot, true);
  assert.equal(w.got("snapshot")[0].online, 12);
});

test("seq pushes: in order, each once; old ones are dropped", async () => {
  const w = new World();
  await w.ready({seq: 3});
  for (const seq of [3, 4, 4, 5, 2]) await w.push(say(seq));
  assert.deepEqual(texts(w), ["4", "5"]);
});

test("pushes without seq go straight through, those of another room do not", async () => {
  const w = new World();
  await w.ready();
  await w.push({room: "r1", biz_code: "RED_PACKET_TICK", payload: {granted: 1}});
  await w.push({room: "r2", biz_code: "RED_PACKET_TICK", payload: {granted: 2}});
  await w.push({room: "r2", epoch: EPOCH, seq: 1, biz_code: "SAY", payload: {text: "no"}});
  assert.deepEqual(w.got("RED_PACKET_TICK"), [{granted: 1}]);
  assert.deepEqual(texts(w), []);
});

test("a gap rejoins with the position; missed ones come first, then what was held", async () => {
  const w = new World();
  await w.ready({seq: 1});
  await w.push(say(4));
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: EPOCH, seq: 1});
  await w.push(say(5));
  await w.push(say(6));
  assert.deepEqual(texts(w), []);
  await w.acceptJoin({
    seq: 5, recovered: true,
    missed: [2, 3, 4, 5].map((seq) => [65, 0, say(seq)]), // as the server sends them: whole frames
  });
  assert.deepEqual(texts(w), ["2", "3", "4", "5", "6"]);
  assert.equal(w.sent("JOIN").length, 2, "one rejoin for the whole gap");
});

test("a gap that cannot be recovered goes on from the snapshot", async () => {
  const w = new World();
  await w.ready({seq: 1});
  await w.push(say(9));
  await w.push(say(10));
  await w.acceptJoin({seq: 9, recovered: false});
  assert.deepEqual(texts(w), ["10"]);
  await w.push(say(11));
  assert.deepEqual(texts(w), ["10", "11"]);
});

test("another epoch rejoins and asks for all of it", async () => {
  const w = new World();
  await w.ready({seq: 50});
  await w.push(say(2, "00000000000000bb"));
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: "00000000000000bb", seq: 0});
  await w.acceptJoin({
    epoch: "00000000000000bb", seq: 2, recovered: true,
    missed: [1, 2].map((seq) => say(seq, "00000000000000bb")),
  });
  assert.deepEqual(texts(w), ["1", "2"]);
  await w.push(say(3, "00000000000000bb"));
  assert.deepEqual(texts(w), ["1", "2", "3"]);
});

test("another epoch that cannot be recovered goes on from the snapshot", async () => {
  const w = new World();
  await w.ready({seq: 50});
  await w.push(say(7, "00000000000000bb"));
  await w.acceptJoin({epoch: "00000000000000bb", seq: 6, recovered: false});
  assert.deepEqual(texts(w), ["7"]);
});

test("the first push ever of a room is delivered at once", async () => {
  const w = new World();
  await w.ready({epoch: "0000000000000000", seq: 0});
  await w.push(say(1, "00000000000000cc"));
  assert.deepEqual(texts(w), ["1"]);
  assert.equal(w.sent("JOIN").length, 1);
  await w.push(say(2, "00000000000000cc"));
  assert.deepEqual(texts(w), ["1", "2"]);
});

test("the second push of a room that was empty: the first one is fetched", async () => {
  const w = new World();
  await w.ready({epoch: "0000000000000000", seq: 0});
  await w.push(say(2, "00000000000000cc"));
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: "00000000000000cc", seq: 0});
  await w.acceptJoin({
    epoch: "00000000000000cc", seq: 2, recovered: true, missed: [say(1, "00000000000000cc"),
      say(2, "00000000000000cc")],
  });
  assert.deepEqual(texts(w), ["1", "2"]);
});

test("after a reconnect the room is joined again with the last position", async () => {
  const w = new World();
  await w.ready({seq: 1});
  await w.push(say(2));
  await w.lose();
  await w.time.advance(30_000);
  await w.accept();
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: EPOCH, seq: 2});
  await w.acceptJoin({seq: 3, recovered: true, missed: [say(3)]});
  assert.deepEqual(texts(w), ["2", "3"]);
});

test("the same missed push told twice is delivered once", async () => {
  const w = new World();
  await w.ready({seq: 1});
  await w.push(say(3));
  await w.acceptJoin({seq: 3, recovered: true, missed: [say(1), say(2), say(2), say(3)]});
  assert.deepEqual(texts(w), ["2", "3"]);
});

test("join refused for good rejects; BUSY is tried again after retry_after_ms", async () => {
  const w = new World();
  w.client.connect();
  const joined = w.client.join("r1");
  await w.accept();
  await w.answerLast("JOIN", {result: 8, retry_after_ms: 700});
  await w.time.advance(699);
  assert.equal(w.sent("JOIN").length, 1);
  await w.time.advance(1);
  assert.equal(w.sent("JOIN").length, 2);
  await w.answerLast("JOIN", {result: 7});
  await assert.rejects(joined, {name: "NOT_ELIGIBLE"});
  assert.equal(w.got("refused").length, 1);
});

test("joining another room leaves the first behind", async () => {
  const w = new World();
  await w.ready({seq: 3});
  const joined = w.client.join("r2");
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r2"});
  await w.push(say(4));
  await w.acceptJoin({room: "r2"});
  await joined;
  assert.deepEqual(texts(w), []);
  assert.equal(w.client.room, "r2");
});

test("leave() forgets the room", async () => {
  const w = new World();
  await w.ready();
  const left = w.client.leave();
  await w.answerLast("LEAVE", {});
  await left;
  await w.lose();
  await w.time.advance(30_000);
  await w.accept();
  assert.equal(w.sent("JOIN").length, 0);
});

test("a listener that throws does not stop the others", async (t) => {
  const w = new World();
  await w.ready();
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (fn) => thrown.push(fn));
  w.client.on("SAY", () => {
    throw new Error("listener bug");
  });
  const seen = [];
  w.client.on("SAY", (payload) => seen.push(payload.text));
  await w.push(say(1));
  await settle();
  assert.deepEqual(seen, ["1"]);
  assert.equal(thrown.length, 1);
  assert.throws(thrown[0], /listener bug/);
});

import {test} from "node:test";
import assert from "node:assert/strict";
import {World, settle} from "./fakes.mjs";
import {CLOSE_INFO} from "../../../web-demo/constants.js";

test("connect says HELLO first, with the token in the frame and not in the URL", async () => {
  const w = new World({token: "secret"});
  const connected = w.client.connect();
  await w.open();
  assert.equal(w.socket.protocol, "redrain.v1");
  assert.ok(!w.socket.url.includes("secret"));
  assert.deepEqual(w.socket.sent[0].slice(2), [{token: "secret", ver: 1}]);
  assert.equal(w.socket.sent.length, 1, "nothing else before HELLO is answered");
  await w.answerLast("HELLO", {user: "7", name: "x", role: "viewer", may_send: false, now: 5});
  assert.equal((await connected).user, "7");
  assert.equal(w.client.state, "ready");
});

test("a token function is asked at each connect", async () => {
  let n = 0;
  const w = new World({token: async () => `t${++n}`});
  w.client.connect();
  await w.accept();
  await w.lose();
  await w.time.advance(30_000);
  await w.open();
  assert.deepEqual(w.sent("HELLO").map(([, , body]) => body.token), ["t2"]);
});

test("backoff is full jitter from 0.5 s to 30 s", async () => {
  const w = new World();
  w.randomValue = 0.999;
  w.client.connect();
  const waits = [];
  for (let i = 0; i < 9; i++) {
    await w.lose();
    const {retryInMs} = w.got("state").at(-1);
    waits.push(retryInMs);
    await w.time.advance(retryInMs);
  }
  assert.deepEqual(waits, [500, 999, 1998, 3996, 7992, 15984, 29970, 29970, 29970]);
  w.randomValue = 0;
  await w.lose();
  assert.equal(w.got("state").at(-1).retryInMs, 0);
});

test("a connection that was stable starts the backoff anew, a short one does not", async () => {
  const w = new World();
  w.randomValue = 0.999;
  w.client.connect();
  for (let i = 0; i < 4; i++) {
    await w.accept();
    await w.lose();
    await w.time.advance(w.got("state").at(-1).retryInMs);
  }
  await w.accept();
  await w.time.advance(6000);
  await w.lose();
  assert.equal(w.got("state").at(-1).retryInMs, 500);
});

test("close codes decide by the table; 4500 and above are always terminal", async () => {
  const table = Object.entries(CLOSE_INFO).map(([code, info]) => [Number(code), info.reconnect]);
  assert.ok(table.length > 10);
  for (const [code, reconnect] of [...table, [1006, true], [4099, true], [4777, false]]) {
    const w = new World();
    const connected = w.client.connect();
    await w.lose(code);
    if (reconnect) {
      assert.equal(w.got("state").at(-1).state, "waiting", String(code));
      continue;
    }
    assert.deepEqual(w.got("state").at(-1), {state: "stopped", code});
    await assert.rejects(connected);
    assert.equal(w.time.pending, 0, "no timer is left");
  }
});

test("HELLO refused: UNAUTHORIZED stops, RATE_LIMITED waits as long as it says", async () => {
  const w = new World();
  const connected = w.client.connect();
  await w.open();
  await w.answerLast("HELLO", {result: 6, retry_after_ms: 7000});
  assert.deepEqual(w.got("state").at(-1), {state: "waiting", code: 1006, retryInMs: 7000});
  await w.time.advance(7000);
  await w.open();
  await w.answerLast("HELLO", {result: 15});
  assert.equal(w.client.state, "stopped");
  await assert.rejects(connected, {name: "UNAUTHORIZED"});
});

test("a server that never answers HELLO is given up after 10 s", async () => {
  const w = new World();
  w.client.connect();
  await w.open();
  await w.time.advance(10_500);
  assert.ok(w.sockets.length > 1, "a second socket was opened");
});

test("requests: answers by id, errors with their fields, timeouts, disconnects", async () => {
  const w = new World();
  await w.ready();
  const a = w.client.request("SAY", {text: "a"});
  const b = w.client.request("SAY", {text: "b"});
  const [[, idA], [, idB]] = w.sent("SAY");
  await w.reply(idB, {});
  await w.reply(idA, {result: 9, field: "text", reason: "too long"});
  assert.equal((await b).result, 0);
  await assert.rejects(a, {name: "BAD_REQUEST", result: 9, field: "text", retryable: false});

  const limited = w.client.request("SAY", {text: "c"});
  await w.answerLast("SAY", {result: 6, retry_after_ms: 250});
  await assert.rejects(limited, (e) => e.retryAfterMs === 250 && e.retryable
    && e.text("zh").length > 0 && e.text("en").length > 0);

  const late = assert.rejects(w.client.request("STATS"), {name: "TIMEOUT"});
  await w.time.advance(8000);
  await late;

  const cut = w.client.request("STATS");
  await w.lose();
  await assert.rejects(cut, {name: "DISCONNECTED"});
  await assert.rejects(w.client.request("STATS"), {name: "DISCONNECTED"});
});

test("a message over 4096 bytes is not sent", async () => {
  const w = new World();
  await w.ready();
  await assert.rejects(w.client.request("SAY", {text: "长".repeat(1500)}), {name: "TOO_LARGE"});
  assert.equal(w.sent("SAY").length, 0);
});

test("pings: several at once, then every 25 s while visible, at once when shown again", async () => {
  const w = new World();
  await w.ready();
  assert.equal(w.sent("PING").length, 5);
  await w.time.advance(25_000);
  assert.equal(w.sent("PING").length, 6);
  await w.pong();
  w.client.setVisible(false);
  await w.time.advance(100_000);
  assert.equal(w.sent("PING").length, 6, "none while hidden");
  w.client.setVisible(true);
  assert.equal(w.sent("PING").length, 7);
});

test("hidden for long: the room is joined again with the position", async () => {
  const w = new World();
  await w.ready({seq: 4});
  w.client.setVisible(false);
  await w.time.advance(60_000);
  w.client.setVisible(true);
  assert.deepEqual(w.sent("JOIN").at(-1)[2], {room: "r1", epoch: "00000000000000aa", seq: 4});
});

test("no PONG within 5 s: the connection is given up", async () => {
  const w = new World();
  await w.ready();
  await w.time.advance(25_000);
  await w.time.advance(5000);
  assert.equal(w.client.state, "waiting");
});

test("offline drops at once, online comes back at once", async () => {
  const w = new World();
  await w.ready();
  w.client.setOnline(false);
  assert.equal(w.client.state, "offline");
  await w.time.advance(60_000);
  assert.equal(w.sockets.length, 1, "no attempt while offline");
  w.client.setOnline(true);
  assert.equal(w.sockets.length, 2);
});

test("GOAWAY: leaves after the delay it names and reconnects", async () => {
  const w = new World();
  await w.ready();
  await w.deliver([66, 0, {delay_ms: 300}]);
  await w.time.advance(299);
  assert.equal(w.sockets.length, 1);
  await w.time.advance(1);
  assert.equal(w.sockets.length, 2);
});

test("bytes that are not the protocol end the connection, not the page", async () => {
  const w = new World();
  await w.ready();
  w.socket.onmessage({data: new Uint8Array([0xc1]).buffer});
  await settle();
  assert.equal(w.client.state, "waiting");
});

test("close() leaves no timer, no socket and rejects what waits", async () => {
  const w = new World();
  await w.ready();
  const open = assert.rejects(w.client.request("STATS"), {name: "DISCONNECTED"});
  const {socket} = w;
  w.client.close();
  await open;
  assert.equal(socket.readyState, 3);
  assert.equal(w.time.pending, 0);
  assert.equal(w.client.state, "closed");
});

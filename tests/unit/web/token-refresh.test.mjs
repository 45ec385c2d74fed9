import {test} from "node:test";
import assert from "node:assert/strict";
import {World, settle} from "./fakes.mjs";

/** Connected with a token of this many ms. */
async function connected(ttlMs, options) {
  const w = new World(options);
  w.client.connect();
  await w.accept({expires: w.serverNow() + ttlMs});
  return w;
}

const answer = async (w, more) => {
  const [, id] = w.sent("REFRESH").at(-1);
  await w.reply(id, {role: "viewer", may_send: false, ...more});
};

test("a newer token is asked for a minute before the end, and counts from then on", async () => {
  let n = 0;
  const w = await connected(600_000, {token: "old", onTokenExpiring: async () => `new${++n}`});
  w.client.setVisible(false); // a hidden page does not PING
  await w.time.advance(539_000);
  assert.equal(w.sent("REFRESH").length, 0);
  await w.time.advance(2_000);
  assert.deepEqual(w.sent("REFRESH").map(([, , body]) => body), [{token: "new1"}]);
  await answer(w, {expires: w.serverNow() + 600_000});
  assert.equal(w.client.me.may_send, false, "what the newer token says");
  await w.time.advance(538_000);
  assert.equal(n, 1);
  await w.time.advance(3_000);
  assert.equal(n, 2, "and again");
  await answer(w, {expires: w.serverNow() + 600_000});
  await w.lose();
  await w.time.advance(30_000);
  await w.open();
  assert.deepEqual(w.sent("HELLO").map(([, , body]) => body.token), ["new2"], "the next connection uses it");
});

test("a token function is the default hook; a plain token has none", async () => {
  let n = 0;
  const w = await connected(10_000, {token: async () => `t${++n}`});
  await w.time.advance(5_500);
  assert.deepEqual(w.sent("REFRESH").map(([, , body]) => body.token), ["t2"]);
  const plain = await connected(10_000, {token: "t"});
  await plain.time.advance(9_900);
  assert.equal(plain.sent("REFRESH").length, 0);
});

test("what fails is tried again in half of what is left, then given up", async () => {
  let n = 0;
  const w = await connected(8_000, {token: "old", onTokenExpiring: async () => { n += 1; throw new Error("no"); }});
  await w.time.advance(60_000);
  assert.ok(n >= 3 && n <= 6, `${n} tries`);
  const refused = await connected(8_000, {token: "old", onTokenExpiring: async () => "x"});
  await refused.time.advance(4_500);
  await answer(refused, {result: 15});
  await refused.time.advance(2_500);
  assert.equal(refused.sent("REFRESH").length, 2);
});

test("a token of years asks nothing today; a guest has none that ends", async () => {
  const w = await connected(400 * 86_400_000, {token: async () => "t"});
  await w.time.advance(1_000);
  assert.equal(w.sent("REFRESH").length, 0);
  const guest = new World({token: undefined, onTokenExpiring: async () => assert.fail("asked")});
  guest.client.connect();
  await guest.open();
  assert.deepEqual(guest.sent("HELLO").map(([, , body]) => body), [{ver: 1}]);
  await guest.answerLast("HELLO", {user: "0", role: "guest", now: guest.serverNow()});
  await guest.pong();
  await guest.time.advance(20_000);
  assert.equal(guest.sent("REFRESH").length, 0);
});

test("an answer that comes after the connection is gone changes nothing", async () => {
  let give;
  const w = await connected(8_000, {token: "old", onTokenExpiring: () => new Promise((resolve) => { give = resolve; })});
  await w.time.advance(4_500);
  await w.lose();
  give("late");
  await settle();
  assert.equal(w.sent("REFRESH").length, 0);
});

test("a room the newer token does not name is left", async () => {
  const w = new World({token: "old", onTokenExpiring: async () => "new"});
  const all = [w.client.connect(), w.client.join("r1")];
  await w.accept({expires: w.serverNow() + 8_000});
  await w.acceptJoin();
  await Promise.all(all);
  await w.time.advance(4_500);
  await answer(w, {left: true});
  assert.equal(w.sent("JOIN").length, 2);
  await w.answerLast("JOIN", {result: 7});
  assert.equal(w.got("refused").length, 1);
});

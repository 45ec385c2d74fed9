// A newer token on the same socket: it outlives the first one's exp. Without one: 4502. And guests, who have none.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertAlive} from "./helpers.mjs";

let stack;
let closed;
before(async () => {
  const conf = {"token.leeway_s": 0, "server.allow_no_origin": true};
  stack = await startStack({workers: 1, settler: false, conf: {...conf, "server.guests": true}});
  closed = await startStack({workers: 1, settler: false, conf});
});
after(async () => {
  await stack?.stop();
  await closed?.stop();
});

const open = (on = stack) => Client.open(on.wsUrl, {origin: on.origin});
const refresh = (client, token) => client.request(OP.REFRESH, {token});

async function withToken(user, options) {
  const client = await open();
  const hello = await client.hello(stack.mint(user, options));
  assert.equal(hello.name, "OK");
  return Object.assign(client, {helloReply: hello});
}

test("a refreshed socket lives beyond the first token's end, its neighbours do not", async () => {
  const short = {ttl: 3, rooms: ["token"]};
  const before = await withToken("1", short);
  const kept = await withToken("2", short);
  const tried = await withToken("3", short);
  const after = await withToken("4", short);
  const told = kept.helloReply.expires;
  assert.ok(Math.abs(told - (Date.now() + 3000)) < 3000, `HELLO says when: ${told}`);
  assert.equal((await kept.join("token")).name, "OK");
  // What is no good is answered, and changes nothing: the socket ends when its own token does.
  assert.equal((await refresh(tried, "garbage")).name, "UNAUTHORIZED");
  assert.equal((await refresh(tried, stack.mint("3", {ttl: -60}))).name, "UNAUTHORIZED");
  assert.equal((await refresh(tried, stack.mint("4", {ttl: 3600}))).name, "NOT_ELIGIBLE");
  assert.equal((await refresh(tried, stack.mint("3", {ttl: 3600, secret: Buffer.alloc(32)}))).name, "UNAUTHORIZED");
  assert.equal((await tried.request(OP.PING, {t0: 1})).name, "OK");
  const reply = await refresh(kept, stack.mint("2", {ttl: 3600, rooms: ["token"], maySend: true}));
  assert.equal(reply.name, "OK");
  assert.equal(reply.may_send, true);
  assert.ok(reply.expires > Date.now() + 3_500_000);
  assert.equal(reply.left, undefined);
  // All sessions are looked at in turn: when those on both sides of it went, it was looked at too.
  for (const client of [before, tried, after]) assert.equal((await client.waitClosed(15_000)).code, 4502);
  assert.equal((await kept.request(OP.PING, {t0: 1})).name, "OK");
  assert.equal((await kept.request(OP.SAY, {text: "still here"})).name, "OK");
  assert.equal((await kept.push("SAY")).payload.text, "still here");
  await kept.close();
});

test("the newer token counts at once, also where it allows less", async () => {
  const client = await enter(stack, "11", {room: "a", rooms: ["a", "b"]});
  const reply = await refresh(client, stack.mint("11", {rooms: ["b"]}));
  assert.equal(reply.left, true);
  assert.equal((await client.request(OP.SAY, {text: "x"})).name, "NOT_ELIGIBLE", "it is in no room");
  assert.equal((await client.join("a")).name, "NOT_ELIGIBLE");
  assert.equal((await client.join("b")).name, "OK");
  assert.equal((await refresh(client, stack.mint("11", {rooms: "*"}))).left, undefined);
  assert.equal((await client.request(OP.SAY, {text: "x"})).name, "OK");
  await client.close();
});

test("before HELLO there is nothing to refresh", async () => {
  const client = await open();
  assert.equal((await refresh(client, stack.mint("21"))).name, "UNAUTHORIZED");
  await client.close();
});

test("guests: no token, any room, no part in anything", async () => {
  const guest = await open();
  const hello = await guest.request(OP.HELLO, {ver: 1});
  assert.deepEqual([hello.name, hello.role, hello.user, hello.expires], ["OK", "guest", "0", undefined]);
  const another = await open();
  await another.request(OP.HELLO, {ver: 1});
  assert.equal((await guest.join("guests")).name, "OK");
  assert.equal((await another.join("guests")).name, "OK");
  const viewer = await enter(stack, "31", {room: "guests"});
  await viewer.request(OP.SAY, {text: "to all"});
  assert.equal((await guest.push("SAY")).payload.text, "to all");
  for (const [op, body] of [[OP.GRAB, {code: "A".repeat(22), seq: 0}], [OP.SAY, {text: "x"}], [OP.MY_GRANTS, {}], [OP.MY_SENT, {}],
    [OP.REFRESH, {token: stack.mint("31")}], [OP.STATS, {}], [OP.KICK, {user: "31"}],
    [OP.SEND, {biz_id: "g", kind: "group", total: 100, count: 1}]]) {
    assert.equal((await guest.request(op, body)).name, "NOT_ELIGIBLE", `op ${op}`);
  }
  await guest.close();
  await assertAlive(another);
  await Promise.all([another.close(), viewer.close()]);
});

test("without the option a HELLO without a token is refused", async () => {
  const client = await open(closed);
  const reply = await client.request(OP.HELLO, {ver: 1});
  assert.deepEqual([reply.name, reply.field], ["BAD_REQUEST", "token"]);
  assert.equal((await client.join("x")).name, "UNAUTHORIZED");
  await client.close();
  await until("it is counted nowhere as a bad token", async () =>
    /redrain_auth_failures_total 0/.test(await (await fetch(`${closed.adminUrl}/metrics`)).text()));
});

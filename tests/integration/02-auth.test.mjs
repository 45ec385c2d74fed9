// HELLO: who may come in, and that nothing is answered before.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {createHmac, randomBytes} from "node:crypto";
import {Client, OP, enter, until} from "../lib/ws.mjs";
import {signJwt, startStack} from "../lib/stack.mjs";

let stack;
before(async () => { stack = await startStack({workers: 2, settler: false, conf: {"server.hello_timeout_ms": 1500}}); });
after(() => stack?.stop());

const open = () => Client.open(stack.wsUrl, {origin: stack.origin});

async function closeCodeOf(token) {
  const client = await open();
  client.send(OP.HELLO, 1, {token});
  const {code} = await client.waitClosed();
  assert.equal(client.frames.length, 0, "a bad token gets a close code, no answer");
  return code;
}

const b64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);
const claims = (more = {}) => ({sub: "7", exp: now() + 60, aud: "redrain", role: "viewer", rooms: "*", ...more});
const sign = (header, body = claims(), secret = stack.secret) => signJwt({alg: "HS256", kid: "k1", ...header}, body, secret);

test("a good token is answered with what it says", async () => {
  const client = await open();
  const before = Date.now();
  const reply = await client.hello(stack.mint("9223372036854775807", {role: "anchor", name: "主播 <b>", maySend: true}));
  assert.equal(reply.name, "OK");
  assert.equal(reply.user, "9223372036854775807");
  assert.equal(reply.nick, "主播 <b>");
  assert.equal(reply.role, "anchor");
  assert.equal(reply.may_send, true);
  assert.ok(Math.abs(reply.now - before) < 10_000, "rain time is near ours on one machine");
  await client.close();
});

test("bad tokens are closed with 4501", async () => {
  const good = stack.mint("7", {rooms: "*"});
  const [header, payload, signature] = good.split(".");
  const forged = `${header}.${b64(claims({sub: "8"}))}.${signature}`;
  const none = `${b64({alg: "none", kid: "k1"})}.${payload}.`;
  const tokens = {
    garbage: "garbage", "three dots": "a.b.c", "empty parts": "..", "no signature": `${header}.${payload}.`,
    none, "None with a signature": `${b64({alg: "None", kid: "k1"})}.${payload}.${signature}`,
    forged, "padding": `${good}=`, "cut": good.slice(0, -1), "more": `${good}A`,
    "other secret": sign({}, claims(), randomBytes(32)), "empty secret": sign({}, claims(), Buffer.alloc(1)),
    "no kid": signJwt({alg: "HS256"}, claims(), stack.secret), "other kid": sign({kid: "k2"}),
    "kid is a path": sign({kid: "../../etc/passwd"}), "kid is long": sign({kid: "k".repeat(1000)}),
    "kid is a file of ours": sign({kid: stack.keysFile}), "kid is /dev/null": sign({kid: "/dev/null"}, claims(), Buffer.alloc(32)),
    "kid is SQL": sign({kid: "k1' OR '1'='1"}), "kid selects": sign({kid: "x' UNION SELECT 'AA"}),
    "kid is a command": sign({kid: "k1; id"}), "kid is a pattern": sign({kid: "*"}), "kid is empty": sign({kid: ""}),
    "kid is a number": sign({kid: 1}), "kid is a list": sign({kid: ["k1"]}), "kid is null": sign({kid: null}),
    "kid with a NUL": sign({kid: "k1\0"}), "kid in other case": sign({kid: "K1"}), "kid with a space": sign({kid: "k1 "}),
    "kid twice": (() => {
      const signed = `${Buffer.from('{"alg":"HS256","kid":"k2","kid":"k1"}').toString("base64url")}.${payload}`;
      return `${signed}.${createHmac("sha256", stack.secret).update(signed).digest("base64url")}`;
    })(),
    "HS512": (() => {
      const signed = `${b64({alg: "HS512", kid: "k1"})}.${payload}`;
      return `${signed}.${createHmac("sha512", stack.secret).update(signed).digest("base64url")}`;
    })(),
    "RS256 by name": sign({alg: "RS256"}), crit: sign({crit: ["exp"]}), jwk: sign({jwk: {kty: "oct", k: "AA"}}),
    jku: sign({jku: "http://127.0.0.1:1/keys"}), "other audience": sign({}, claims({aud: "other"})),
    "no audience": sign({}, claims({aud: undefined})), "not yet": sign({}, claims({nbf: now() + 3600})),
    "issued tomorrow": sign({}, claims({iat: now() + 86400})), "no exp": sign({}, claims({exp: undefined})),
    "exp is text": sign({}, claims({exp: String(now() + 60)})), "user 0": sign({}, claims({sub: "0"})),
    "user -1": sign({}, claims({sub: "-1"})), "user is a number": sign({}, claims({sub: 7})),
    "user too large": sign({}, claims({sub: "9223372036854775808"})), "role admin": sign({}, claims({role: "admin"})),
    "rooms is a number": sign({}, claims({rooms: 1})), "room with a comma": sign({}, claims({rooms: ["a,b"]})),
    "name with a newline": sign({}, claims({name: "a\nb"})),
  };
  for (const [what, token] of Object.entries(tokens)) assert.equal(await closeCodeOf(token), 4501, what);
});

test("a kid of 10 KB does not even fit into a message", async () => {
  assert.equal(await closeCodeOf(sign({kid: "k".repeat(10_000)})), 1009);
});

test("an expired token is closed with 4502", async () => {
  assert.equal(await closeCodeOf(stack.mint("7", {ttl: -60})), 4502);
});

test("a token that expires in the session ends it with 4502", async () => {
  const client = await open();
  // The leeway of 5 s is on top.
  const reply = await client.hello(stack.mint("7", {ttl: -3}));
  assert.equal(reply.name, "OK");
  const {code} = await client.waitClosed(15_000);
  assert.equal(code, 4502);
});

test("before HELLO nothing is done", async () => {
  const client = await open();
  for (const [op, body] of [[OP.JOIN, {room: "r"}], [OP.GRAB, {code: "A".repeat(22), seq: 0}], [OP.STATS, {}],
    [OP.PING, {t0: 1}], [OP.SAY, {text: "x"}], [OP.LEAVE, {}], [OP.MY_GRANTS, {}]]) {
    assert.equal((await client.request(op, body)).name, "UNAUTHORIZED", `op ${op}`);
  }
  await client.close();
});

test("a socket that never says HELLO is closed", async () => {
  const client = await open();
  const {code} = await client.waitClosed(10_000);
  assert.ok([1008, 4501].includes(code), `close code ${code}`);
});

test("a second HELLO is a conflict and changes nothing", async () => {
  const client = await enter(stack, "11", {room: "r"});
  const reply = await client.hello(stack.mint("12", {role: "anchor"}));
  assert.equal(reply.name, "CONFLICT");
  assert.equal((await client.request(OP.STATS, {})).name, "NOT_ELIGIBLE");
  await client.close();
});

test("another protocol version is closed with 4506", async () => {
  const client = await open();
  client.send(OP.HELLO, 1, {token: stack.mint("7"), ver: 2});
  assert.equal((await client.waitClosed()).code, 4506);
});

test("user ids in bodies are ignored", async () => {
  const room = "claims";
  const client = await enter(stack, "21", {room, maySend: true});
  const other = await enter(stack, "22", {room, maySend: true});
  await client.request(OP.SAY, {text: "hi", user: "22", user_id: "22"});
  const push = await other.push("SAY");
  assert.equal(push.payload.user, "21");
  await client.close();
  await other.close();
});

test("a token is in no log line and in no metric", async () => {
  const token = stack.mint("31", {role: "anchor", name: "canary"});
  const client = await open();
  await client.hello(token);
  await client.join("canary");
  await client.close();
  await closeCodeOf(`${token}x`);
  const metrics = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const parts = token.split(".").slice(1);
  for (const part of parts) {
    assert.ok(!metrics.includes(part));
    assert.ok(!stack.logs().some((line) => line.includes(part)));
  }
  await until("refused tokens are counted", async () =>
    /redrain_auth_failures_total [1-9]/.test(await (await fetch(`${stack.adminUrl}/metrics`)).text()));
});

test("logs are one JSON object a line", () => {
  for (const line of stack.logs().filter(Boolean)) assert.doesNotThrow(() => JSON.parse(line), line);
});

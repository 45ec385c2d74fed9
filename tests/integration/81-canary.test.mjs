// A connection that brings no pushes any more is not ready, though it is up and answers every command.
import {after, afterEach, before, test} from "node:test";
import assert from "node:assert/strict";
import {Proxy} from "../lib/proxy.mjs";
import {redisUrl} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {enter, until} from "../lib/ws.mjs";
import {assertAlive, newRoom} from "./helpers.mjs";

const RED_MS = 3000;

let proxy;
let stack;
before(async () => {
  proxy = await Proxy.to(redisUrl, 6379);
  stack = await startStack({workers: 2, settler: false, conf: {"redis.url": proxy.url(redisUrl)}});
});
afterEach(() => { proxy?.rules.splice(0); });
after(async () => {
  await stack?.stop();
  await proxy?.close();
});

const ready = async () => (await fetch(`${stack.adminUrl}/readyz`)).status === 200;
const verbose = async () => (await fetch(`${stack.adminUrl}/readyz?verbose`)).text();
const push = (room, i) => stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "STEP", payload: {i}});

/** Nothing that was published arrives anywhere; everything else does. */
const swallowPushes = () => proxy.on({to: "client", match: /\r\nmessage\r\n/, times: Infinity, then: "drop"});

const swallowSteps = () => proxy.on({to: "client", match: /\|STEP\|/, times: Infinity, then: "drop"});

test("pushes that do not come back turn /readyz red within 3 s, and it heals by itself, with nothing missed", async () => {
  const room = newRoom();
  const member = await enter(stack, "1", {room});
  await push(room, 1);
  await member.push("STEP", (p) => p.i === 1);
  assert.ok(await ready());
  assert.match(await verbose(), /\[\+\]pushes/);

  const step = swallowSteps();
  const rule = swallowPushes();
  const from = performance.now();
  await rule.waitHit();
  await push(room, 2);
  await step.waitHit();
  await until("red", async () => !(await ready()), {timeoutMs: 10_000, everyMs: 20});
  const took = performance.now() - from;
  assert.ok(took < RED_MS, `red after ${took.toFixed(0)} ms`);
  assert.match(await verbose(), /\[-\]pushes .*\n(.*\n)*\[-\]worker [01] /);
  // TCP is up and commands are answered: that is what makes it treacherous.
  assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200);
  await push(room, 3);
  await assertAlive(member);

  proxy.rules.splice(0);
  await until("green again", ready, {timeoutMs: 30_000, everyMs: 50});
  await push(room, 4);
  await member.push("STEP", (p) => p.i === 4, {timeoutMs: 30_000});
  assert.deepEqual(member.pushesOf("STEP").map((p) => p.payload.i), [1, 2, 3, 4]);
  assert.deepEqual(member.pushesOf("STEP").map((p) => p.seq), [1, 2, 3, 4]);
  await member.close();
});

test("a short silence, too short to be red: the hole in the numbers is noticed, what was missed comes without a further push", async () => {
  const room = newRoom();
  const member = await enter(stack, "2", {room});
  await push(room, 1);
  await member.push("STEP", (p) => p.i === 1);
  const step = swallowSteps();
  const others = swallowPushes();
  await others.waitHit(4); // a number of each worker at least
  await push(room, 2);
  await step.waitHit();
  proxy.rules.splice(0);
  await member.push("STEP", (p) => p.i === 2, {timeoutMs: 10_000});
  await until("green", ready, {timeoutMs: 30_000, everyMs: 50});
  await member.close();
});

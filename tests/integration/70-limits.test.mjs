// Limits: places, rates over workers, deadlines, floods, descriptors.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {Client, OP, RawSocket, encode, enter, pooled, rawFrame, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertAlive, newRoom, startRain} from "./helpers.mjs";

const DEADLINE_MS = 5000; // a crowd that enters on a busy machine is not late
let stack;

before(async () => {
  stack = await startStack({workers: 2, limits: "default", conf: {
    "server.handshake_timeout_ms": DEADLINE_MS, "server.hello_timeout_ms": DEADLINE_MS, "server.trusted_proxies": "127.0.0.9/32",
    "limits.connections_per_user": 60, "limits.connections_per_address": 260}});
});

after(() => stack?.stop());

/** Value of a series: metric("rate_limited_total", 'scope="user"'). */
async function metric(name, labels = "") {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const start = `redrain_${name}${labels ? `{${labels}}` : ""} `;
  const line = text.split("\n").find((l) => l.startsWith(start));
  assert.ok(line, `${start} is shown`);
  return Number(line.slice(start.length));
}

const open = (o = {}) => Client.open(stack.wsUrl, {origin: stack.origin, ...o});
const closeAll = (clients) => Promise.all(clients.map((c) => c.close()));

async function redisCalls() {
  const text = await stack.redis.info("commandstats");
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0);
}

test("200 viewers behind one address live: they come, join and grab a whole rain, and nobody is limited", async () => {
  const room = newRoom("nat");
  const users = Array.from({length: 200}, (_, i) => String(700_000 + i));
  const clients = await pooled(users, 40, (user) => enter(stack, user, {room}));
  const {code} = await startRain(stack, {room, count: 200, total: 20_000, limit: 1, shards: 1});
  await Promise.all(clients.map((c) => c.push("RED_PACKET_CONFIG")));
  const answers = await Promise.all(clients.map((c) => c.grab(code)));
  assert.deepEqual([...new Set(answers.map((a) => a.name))], ["OK"]);
  for (const scope of ["connection", "user", "address"]) assert.equal(await metric("rate_limited_total", `scope="${scope}"`), 0);
  await closeAll(clients);
});

test("one user on 50 sockets over all workers has one user's share, and what is over it costs no Redis call", async () => {
  const room = newRoom("share");
  const {code} = await startRain(stack, {room, count: 1000, total: 10_000, limit: 500, shards: 1});
  const other = await enter(stack, "710001", {room});
  const sockets = [];
  for (let i = 0; i < 50; i += 1) { // HELLO and JOIN are one user's too
    const client = await open();
    await client.hello(stack.mint("710000"));
    await until("joined", async () => (await client.join(room)).name === "OK", {everyMs: 220});
    sockets.push(client);
  }
  await until("the rain is known", async () => (await sockets[0].grab(code, 400)).name === "BAD_SEQ");
  await new Promise((resolve) => { setTimeout(resolve, 2100); }); // the whole burst is there again
  const calls = await redisCalls();
  const begun = Date.now();
  const answers = [];
  for (let round = 0; round < 20; round += 1) {
    answers.push(...await Promise.all(sockets.map((c) => c.grab(code, 400))));
  }
  const limited = answers.filter((a) => a.name === "RATE_LIMITED");
  const passed = answers.length - limited.length;
  const seconds = (Date.now() - begun) / 1000;
  assert.ok(passed >= 20 && passed <= 20 + 10 * seconds + 2, `${passed} of ${answers.length} passed in ${seconds} s`);
  assert.ok(limited.every((a) => a.retry_after_ms > 0 && a.retry_after_ms <= 2000), "each says when");
  assert.ok(await redisCalls() - calls <= passed + 40, "no call for what was refused");
  assert.equal((await other.grab(code)).name, "OK", "others behind the same address do not notice");
  await closeAll([other, ...sockets]);
});

test("more sockets of a user are closed with 4504, and a place is free again when its worker is killed", async () => {
  const clients = await pooled(Array(60).fill("720000"), 10, async (user) => {
    const c = await open();
    assert.equal((await c.hello(stack.mint(user))).name, "OK");
    return c;
  });
  const one = await open();
  one.send(OP.HELLO, 1, {token: stack.mint("720000"), ver: 1});
  assert.equal((await one.waitClosed()).code, 4504);
  assert.equal(await metric("connections_refused_total", 'reason="user"'), 1);
  const [pid] = stack.workerPids();
  process.kill(pid, "SIGKILL");
  await until("the killed worker's sockets are gone", () => clients.some((c) => c.isClosed));
  await until("a place is free", async () => {
    const c = await open();
    const name = await c.hello(stack.mint("720000")).then((r) => r.name, () => "closed");
    await c.close();
    return name === "OK";
  }, {everyMs: 100});
  await closeAll(clients);
  await stack.waitReady();
});

test("one address has so many sockets, others come in; what the client says of itself is not believed", async () => {
  await until("all earlier sockets are gone", async () => await metric("connections") === 0);
  const hold = async (localAddress, headers) => {
    const c = await open({localAddress, headers});
    assert.equal((await c.hello(stack.mint("730000", {}))).name ?? "", "OK");
    return c;
  };
  const raws = await pooled(Array.from({length: 300}, (_, i) => i), 20, async (i) => {
    try {
      const c = await open({localAddress: "127.0.0.2", headers: {"x-forwarded-for": `203.0.113.${i % 250}`}});
      return {ok: true, c};
    } catch (error) {
      return {ok: false, error};
    }
  });
  const inside = raws.filter((r) => r.ok);
  assert.equal(inside.length, 260);
  assert.ok(raws.filter((r) => !r.ok).every((r) => r.error.status === 503 || r.error.code === "ECONNRESET"), "refused with 503");
  const other = await hold("127.0.0.3");
  await assertAlive(other);
  const behind = await open({localAddress: "127.0.0.9", headers: {"x-forwarded-for": "127.0.0.2, 198.51.100.7"}});
  await assert.rejects(open({localAddress: "127.0.0.9", headers: {"x-forwarded-for": "198.51.100.7, 127.0.0.2"}}), {status: 503});
  await closeAll([other, behind, ...inside.map((r) => r.c)]);
});

test("who says nothing, drips or never says HELLO is closed in time", async () => {
  const late = await metric("connections_late_total", 'phase="handshake"');
  const begun = Date.now();
  const idle = await RawSocket.open(stack.url);
  const drip = await RawSocket.open(stack.url);
  const request = "GET /ws HTTP/1.1\r\nHost: live.example\r\nX-Slow: on and on";
  let at = 0;
  const dripping = setInterval(() => drip.write(request[at++] ?? "a"), 50);
  const silent = await RawSocket.open(stack.url);
  assert.equal((await silent.upgrade(stack)).status, 101);
  try {
    await Promise.all([idle, drip].map((raw) => raw.when("it is closed", () => raw.ended, DEADLINE_MS + 1500)));
    assert.equal(await silent.closeCode(DEADLINE_MS + 1500), 1008);
  } finally {
    clearInterval(dripping);
  }
  assert.ok(Date.now() - begun < DEADLINE_MS + 1500);
  assert.equal(await metric("connections_late_total", 'phase="handshake"'), late + 2);
  assert.ok(await metric("connections_late_total", 'phase="hello"') >= 1);
  silent.destroy();
});

test("a flood of pings or of empty fragments is closed with 4005, others go on", async () => {
  const bystander = await enter(stack, "740000", {});
  const floods = [rawFrame({opcode: 9}), rawFrame({opcode: 0, fin: false})];
  await Promise.all(floods.map(async (frame, i) => {
    const raw = await RawSocket.open(stack.url);
    await raw.upgrade(stack);
    raw.write(rawFrame({payload: Buffer.from(encode([OP.HELLO, 1, {token: stack.mint(`74100${i}`), ver: 1}]))}));
    await raw.when("HELLO is answered", () => raw.bytes.length > 20);
    raw.bytes = Buffer.alloc(0);
    if (i === 1) raw.write(rawFrame({opcode: 2, fin: false, payload: Buffer.from([0x93])}));
    const many = Buffer.concat(Array(2000).fill(frame));
    const flooding = setInterval(() => raw.write(many), 50);
    try {
      await raw.when("a close frame", () => raw.ended || raw.frames().some((f) => f.opcode === 8), 15_000);
      const close = raw.frames().find((f) => f.opcode === 8);
      if (close) assert.equal(close.payload.readUInt16BE(0), 4005);
      await assertAlive(bystander);
    } finally {
      clearInterval(flooding);
      raw.destroy();
    }
  }));
  assert.equal(await metric("floods_closed_total"), 2);
  await bystander.close();
});

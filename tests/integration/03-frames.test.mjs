// Bad bytes: each answered by its code; no worker dies, no other session notices.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {Client, OP, RawSocket, decode, encode, enter, rawFrame} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {assertAlive} from "./helpers.mjs";

const ROOM = "frames";
const MAX = 4096;
let stack;
let witness;
let workers;

before(async () => {
  stack = await startStack({workers: 1, settler: false, conf: {"limits.command_per_s": 10_000}});
  witness = await enter(stack, "1", {room: ROOM});
  workers = stack.workerPids();
});

after(async () => {
  await witness?.close();
  await stack?.stop();
});

/** After whatever a test did: the same workers, and a session that never noticed. */
async function unharmed() {
  assert.deepEqual(stack.workerPids(), workers, "no worker died");
  assert.equal(witness.isClosed, false);
  await assertAlive(witness);
}

async function rawSession(user = "2") {
  const raw = await RawSocket.open(stack.url);
  const {status} = await raw.upgrade(stack);
  assert.equal(status, 101);
  raw.write(rawFrame({payload: Buffer.from(encode([OP.HELLO, 1, {token: stack.mint(user)}]))}));
  await raw.when("the answer to HELLO", () => raw.frames().length > 0);
  return raw;
}

async function closedBy(payload, options) {
  const client = await enter(stack, "3", {room: ROOM});
  client.sendRaw(payload, options);
  const end = await client.waitClosed(5000).catch(() => ({code: `none, answered ${JSON.stringify(client.frames.at(-1))}`}));
  await client.close();
  return end.code;
}

test("a text frame is closed with 1003", async () => {
  assert.equal(await closedBy("[1,1,{}]", {binary: false}), 1003);
  await unharmed();
});

test("messages up to 4 KiB are read, one byte more is closed with 1009", async () => {
  const client = await enter(stack, "4", {room: ROOM});
  const base = encode([OP.PING, 9, {t0: 5, pad: ""}]).length;
  const ping = (size) => encode([OP.PING, 9, {t0: 5, pad: "x".repeat(size - base - 2)}]);
  assert.equal(ping(MAX).length, MAX);
  client.sendRaw(ping(MAX));
  await client.when("the answer", () => client.frames.some(([, id]) => id === 9));
  client.sendRaw(ping(MAX + 1));
  assert.equal((await client.waitClosed()).code, 1009);
  assert.equal(await closedBy(Buffer.alloc(1 << 20)), 1009);
  await unharmed();
});

test("oversize in fragments is closed with 1009 as soon as the sum is too large", async () => {
  const raw = await rawSession();
  raw.write(rawFrame({fin: false, payload: Buffer.alloc(3000)}));
  raw.write(rawFrame({fin: false, opcode: 0, payload: Buffer.alloc(1000)}));
  raw.write(rawFrame({fin: false, opcode: 0, payload: Buffer.alloc(97)}));
  assert.equal(await raw.closeCode(), 1009);
  raw.destroy();
  const never = await rawSession();
  never.write(rawFrame({fin: false, payload: Buffer.alloc(1)}));
  for (let i = 0; i < 5000 && !never.ended; i += 1) never.write(rawFrame({fin: false, opcode: 0, payload: Buffer.alloc(1)}));
  assert.equal(await never.closeCode(), 1009);
  never.destroy();
  await unharmed();
});

test("a message in fragments is read as one", async () => {
  const raw = await rawSession();
  const seen = raw.frames().length;
  const message = Buffer.from(encode([OP.PING, 77, {t0: 12}]));
  raw.write(rawFrame({fin: false, payload: message.subarray(0, 3)}));
  raw.write(rawFrame({opcode: 9, payload: Buffer.from("ping")}));
  raw.write(rawFrame({fin: false, opcode: 0, payload: message.subarray(3, 3)}));
  raw.write(rawFrame({fin: true, opcode: 0, payload: message.subarray(3)}));
  await raw.when("pong and answer", () => raw.frames().length >= seen + 2);
  assert.ok(raw.frames().some((f) => f.opcode === 10 && f.payload.toString() === "ping"));
  assert.ok(raw.frames().some((f) => f.opcode === 2 && f.payload.includes(77)));
  raw.destroy();
});

test("messages of any size around the buffers' are read: alone, in a row, in small pieces", async () => {
  const raw = await rawSession();
  const base = encode([OP.PING, 1000, {t0: 12, pad: ""}]).length;
  const sizes = [0, ...Array.from({length: 48}, (_, i) => 90 + i), 231, 232, 500, 512, 1000, 4000].map((n) => Math.max(0, n - base));
  const ids = new Set();
  const answered = () => raw.frames().reduce((seen, f) => seen.add(f.opcode === 2 ? decode(f.payload)[1] : 0), new Set());
  const all = (what) => raw.when(what, () => { const seen = answered(); return [...ids].every((id) => seen.has(id)); });
  const ping = (pad) => {
    ids.add(1000 + ids.size);
    return rawFrame({payload: Buffer.from(encode([OP.PING, 999 + ids.size, {t0: 12, pad: "x".repeat(pad)}]))});
  };
  for (const n of sizes) raw.write(ping(n));
  await all("one by one");
  raw.write(Buffer.concat(sizes.map(ping)));
  await all("in one write");
  const row = Buffer.concat([130, 300, 1000, 140].map(ping));
  for (let at = 0, n = 1; at < row.length; at += n, n = n % 150 + 13) {
    raw.write(row.subarray(at, at + n));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all("in pieces");
  raw.destroy();
  await unharmed();
});

test("a huge announced length is refused before its bytes come", async () => {
  for (const announce of [MAX + 1, 65536, 2 ** 31, 2 ** 40, 2n ** 62n]) {
    const raw = await rawSession();
    raw.write(rawFrame({announce, payload: Buffer.alloc(16)}));
    const code = await raw.closeCode();
    assert.ok(code === 1009 || (code === 0 && raw.ended), `announced ${announce}: ${code}`);
    raw.destroy();
  }
  await unharmed();
});

test("memory stays flat under announced lengths", async () => {
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${workers[0]}/status`, "utf8"))[1]);
  await rawSession().then((raw) => raw.destroy());
  const before = rss();
  const raws = await Promise.all(Array.from({length: 50}, (_, i) => rawSession(String(100 + i))));
  for (const raw of raws) raw.write(rawFrame({announce: 2 ** 40, payload: Buffer.alloc(100)}));
  await Promise.all(raws.map((raw) => raw.closeCode()));
  for (const raw of raws) raw.destroy();
  assert.ok(rss() - before < 64 * 1024, `grew by ${rss() - before} KiB`);
  await unharmed();
});

const malformed = {
  "truncated array": [0x93],
  "truncated map": [0x93, 0x04, 0x01, 0x81],
  "truncated string": [0x93, 0x04, 0x01, 0x81, 0xa2, 0x74],
  "truncated int": [0x93, 0x04, 0xce, 0x00, 0x00],
  "trailing byte": [0x93, 0x04, 0x01, 0x81, 0xa2, 0x74, 0x30, 0x05, 0xc0],
  "two messages": [...encode([4, 1, {t0: 1}]), ...encode([4, 2, {t0: 1}])],
  "reserved byte": [0xc1],
  "not an array": [0x81, 0xa1, 0x61, 0x01],
  "a plain int": [0x05],
  nil: [0xc0],
  "two elements": [0x92, 0x04, 0x01],
  "four elements": [0x94, 0x04, 0x01, 0x80, 0x80],
  "body is an array": [0x93, 0x04, 0x01, 0x90],
  "body is nil": [0x93, 0x04, 0x01, 0xc0],
  "op is text": [0x93, 0xa1, 0x34, 0x01, 0x80],
  "id is text": [0x93, 0x04, 0xa1, 0x31, 0x80],
  "id is negative": [0x93, 0x04, 0xff, 0x80],
  "id over 32 bits": [0x93, 0x04, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0x80],
  "array32 of 4 billion": [0xdd, 0xff, 0xff, 0xff, 0xff],
  "map32 of 4 billion": [0x93, 0x04, 0x01, 0xdf, 0xff, 0xff, 0xff, 0xff],
  "str32 of 4 GiB": [0x93, 0x04, 0x01, 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61],
  "bin32 of 4 GiB": [0x93, 0x04, 0x01, 0x81, 0xa2, 0x74, 0x30, 0xc6, 0xff, 0xff, 0xff, 0xff],
  "ext32 of 4 GiB": [0x93, 0x04, 0x01, 0x81, 0xa2, 0x74, 0x30, 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01],
  // 32 array32 headers, each of 2^32 - 1 elements: what a naive decoder reserves 128 GiB for.
  "128 GiB": Array.from({length: 32}, () => [0xdd, 0xff, 0xff, 0xff, 0xff]).flat(),
  "nested 4,000 deep": [0x93, 0x04, 0x01, 0x81, 0xa2, 0x74, 0x30, ...Array(4000).fill(0x91), 0xc0],
  "nested maps": [0x93, 0x04, 0x01, ...Array.from({length: 1000}, () => [0x81, 0xa1, 0x61]).flat(), 0xc0],
  "all 0xff": Array(1000).fill(0xff),
};

test("bytes that are no message are closed with 1007", async () => {
  for (const [what, bytes] of Object.entries(malformed)) {
    assert.equal(await closedBy(Buffer.from(bytes)), 1007, what);
  }
  await unharmed();
});

test("an empty message does nothing", async () => {
  const client = await enter(stack, "9", {room: ROOM});
  client.sendRaw(Buffer.alloc(0));
  const reply = await client.request(OP.PING, {t0: 1}).catch(async () => ({closed: (await client.closed).code}));
  assert.ok(reply.name === "OK" || reply.closed === 1007, JSON.stringify(reply));
  await client.close();
  await unharmed();
});

test("an unknown op is BAD_REQUEST and the session goes on", async () => {
  const client = await enter(stack, "5", {room: ROOM});
  for (const op of [-1, 0, 8, 31, 42, 64, 65, 66, 255, 70000]) {
    const reply = await client.request(op, {});
    assert.equal(reply.name, "BAD_REQUEST", `op ${op}`);
  }
  await assertAlive(client);
  await client.close();
});

test("missing and mistyped fields are BAD_REQUEST with their name", async () => {
  const client = await enter(stack, "6", {room: ROOM, role: "anchor"});
  const code = "A".repeat(22);
  const rows = [
    [OP.JOIN, {}, "room"], [OP.JOIN, {room: 1}, "room"], [OP.JOIN, {room: ""}, "room"],
    [OP.JOIN, {room: "x".repeat(65)}, "room"], [OP.JOIN, {room: "a b"}, "room"], [OP.JOIN, {room: "a/b"}, "room"],
    [OP.JOIN, {room: ROOM, epoch: 1}, "epoch"], [OP.JOIN, {room: ROOM, epoch: "xyz"}, "epoch"],
    [OP.JOIN, {room: ROOM, epoch: "0123456789abcdef", seq: "1"}, "seq"],
    [OP.JOIN, {room: ROOM, epoch: "0123456789abcdef", seq: -1}, "seq"],
    [OP.PING, {}, "t0"], [OP.PING, {t0: "1"}, "t0"], [OP.PING, {t0: 1.5}, "t0"], [OP.PING, {t0: null}, "t0"],
    [OP.PING, {t0: true}, "t0"], [OP.PING, {t0: {}}, "t0"], [OP.PING, {t0: NaN}, "t0"], [OP.PING, {t0: -1}, "t0"],
    [OP.PING, {t0: 2n ** 63n}, "t0"],
    [OP.GRAB, {seq: 0}, "code"], [OP.GRAB, {code}, "seq"], [OP.GRAB, {code, seq: "0"}, "seq"],
    [OP.GRAB, {code, seq: -1}, "seq"], [OP.GRAB, {code, seq: 1001}, "seq"], [OP.GRAB, {code, seq: 0, again: 1}, "again"],
    [OP.GRAB, {code: 5, seq: 0}, "code"], [OP.GRAB, {code: "x".repeat(65), seq: 0}, "code"],
    [OP.SAY, {}, "text"], [OP.SAY, {text: ""}, "text"], [OP.SAY, {text: "x".repeat(201)}, "text"],
    [OP.SAY, {text: "a\nb"}, "text"],
    [OP.CREATE, {}, "biz_id"], [OP.CREATE, {biz_id: "b", count: 1}, "total"],
    [OP.CREATE, {biz_id: "b", total: 1}, "count"], [OP.CREATE, {biz_id: "b", total: "1", count: 1}, "total"],
    [OP.START, {}, "code"], [OP.START, {code, countdown_ms: -1}, "countdown_ms"],
    [OP.EXTEND, {code}, "add_ms"], [OP.EXTEND, {code, add_ms: 0}, "add_ms"],
    [OP.KICK, {}, "user"], [OP.KICK, {user: 7}, "user"], [OP.KICK, {user: "07"}, "user"], [OP.KICK, {user: "x"}, "user"],
    [OP.MUTE, {user: "7"}, "secs"], [OP.MUTE, {user: "7", secs: -1}, "secs"], [OP.ANNOUNCE, {}, "text"],
    [OP.STATS, {code: 1}, "code"], [OP.MY_GRANTS, {code: 1}, "code"],
  ];
  for (const [op, body, field] of rows) {
    const id = client.nextId();
    client.sendRaw(encode([op, id, body], {useBigInt64: true}));
    const [, , reply] = await client.when(`answer to op ${op} ${String(field)}`,
      () => client.frames.find((f) => f[0] === OP.REPLY && f[1] === id));
    assert.equal(reply.result, 9, `op ${op} wants ${field}: got ${JSON.stringify(reply)}`);
    assert.equal(reply.field, field, `op ${op}`);
  }
  await assertAlive(client);
  await client.close();
  await unharmed();
});

test("a key given twice is refused, unknown keys are ignored", async () => {
  const twice = [0x93, 0x04, 0x01, 0x82, 0xa2, 0x74, 0x30, 0x01, 0xa2, 0x74, 0x30, 0x02];
  const client = await enter(stack, "7", {room: ROOM});
  client.sendRaw(Buffer.from(twice));
  await client.when("an answer or the end",
    () => client.isClosed || client.frames.some((f) => f[1] === 1 && f[2].result === 9));
  await client.close();
  const other = await enter(stack, "8", {room: ROOM});
  const reply = await other.request(OP.PING, {t0: 3, unknown: {deep: [1, {a: "b"}]}, user_id: 1});
  assert.equal(reply.t0, 3);
  await other.close();
});

test("control frames are answered by the rules", async () => {
  const raw = await rawSession();
  raw.write(rawFrame({opcode: 9, payload: Buffer.alloc(125, 1)}));
  await raw.when("a pong", () => raw.frames().some((f) => f.opcode === 10 && f.payload.length === 125));
  raw.write(rawFrame({opcode: 8, payload: Buffer.from([0x03, 0xe8])}));
  assert.equal(await raw.closeCode(), 1000);
  raw.destroy();
  for (const bad of [
    {opcode: 9, payload: Buffer.alloc(126)}, {opcode: 3, payload: Buffer.alloc(1)}, {opcode: 11, payload: Buffer.alloc(1)},
    {opcode: 0, payload: Buffer.alloc(1)}, {opcode: 9, fin: false, payload: Buffer.alloc(1)},
  ]) {
    const other = await rawSession();
    const seen = other.frames().length;
    other.write(rawFrame(bad));
    const code = await other.closeCode();
    assert.ok([0, 1002].includes(code), `opcode ${bad.opcode}: ${code}`);
    assert.ok(!other.frames().slice(seen).some((f) => f.opcode === 2), "not answered as a message");
    other.destroy();
  }
  await unharmed();
});

test("random bytes for a while: no worker dies", async () => {
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  for (let round = 0; round < 60; round += 1) {
    const client = await Client.open(stack.wsUrl, {origin: stack.origin});
    await client.hello(stack.mint(String(1000 + round)));
    for (let i = 0; i < 20 && !client.isClosed; i += 1) {
      const good = Buffer.from(encode([Math.floor(random() * 45), i, {code: "A".repeat(22), seq: 0, room: ROOM, t0: 1, text: "x"}]));
      const flips = Math.floor(random() * 4);
      for (let f = 0; f < flips; f += 1) good[Math.floor(random() * good.length)] = Math.floor(random() * 256);
      client.sendRaw(good.subarray(0, random() < 0.2 ? Math.floor(random() * good.length) : good.length));
    }
    client.cut();
  }
  await unharmed();
});

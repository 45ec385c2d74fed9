// How this server speaks WebSocket, against RFC 6455, in the order and under the numbers of the Autobahn list, by raw frames on
// the echo path of --selftest-echo. Each case says what must come back, and how the connection ends.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {spawnSync} from "node:child_process";
import {RawSocket, pooled, rawFrame} from "../lib/ws.mjs";
import {program, startStack} from "../lib/stack.mjs";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const GOOD_END = 1000;
const WIDTH = 16;

let stack;
before(async () => {
  stack = await startStack({workers: 2, settler: false, conf: {
    "server.selftest_echo": true, "server.allow_no_origin": true, "limits.connections_per_address": 10_000}});
});
after(() => stack?.stop());

const bytes = (text) => Buffer.from(text, "utf8");
const hex = (text) => Buffer.from(text.replaceAll(" ", ""), "hex");
const frame = (opcode, payload = Buffer.alloc(0), o = {}) => {
  const raw = rawFrame({opcode, payload, fin: o.fin ?? true, masked: o.masked ?? true});
  raw[0] |= (o.rsv ?? 0) << 4;
  return raw;
};
const text = (payload, o) => frame(TEXT, Buffer.isBuffer(payload) ? payload : bytes(payload), o);
const closing = (code, reason = Buffer.alloc(0)) => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(CLOSE, Buffer.concat([head, Buffer.isBuffer(reason) ? reason : bytes(reason)]));
};
/** One message in frames of these payloads. */
const parts = (opcode, payloads) => payloads.map((p, i) =>
  frame(i === 0 ? opcode : 0, p, {fin: i === payloads.length - 1}));
const split = (payload, size) => Array.from({length: Math.ceil(payload.length / size)},
  (_, i) => payload.subarray(i * size, (i + 1) * size));
const echo = (opcode, payload) => ({opcode, payload: Buffer.isBuffer(payload) ? payload : bytes(payload)});

/**
 * What a case expects: `back` are the frames before the end, then the end: GOOD_END (our close is answered with its code), or a
 * list of codes of which the server closes with one by itself; 0: it may just drop.
 */
const cases = [];
const add = (id, send, back, end = GOOD_END, o = {}) => cases.push({id, send, back, end, ...o});
const FAIL = [1002, 0];
const BAD_UTF8 = [1007, 0];

// 1: framing
[0, 125, 126, 127, 128, 65535, 65536].forEach((n, i) => {
  add(`1.1.${i + 1}`, [text("*".repeat(n))], [echo(TEXT, "*".repeat(n))]);
  add(`1.2.${i + 1}`, [frame(BINARY, Buffer.alloc(n, 0xfe))], [echo(BINARY, Buffer.alloc(n, 0xfe))]);
});
add("1.1.8", [text("*".repeat(65536))], [echo(TEXT, "*".repeat(65536))], GOOD_END, {chop: 997});
add("1.2.8", [frame(BINARY, Buffer.alloc(65536, 0xfe))], [echo(BINARY, Buffer.alloc(65536, 0xfe))], GOOD_END, {chop: 997});

// 2: pings and pongs
add("2.1", [frame(PING)], [echo(PONG, "")]);
add("2.2", [frame(PING, bytes("Hello, world!"))], [echo(PONG, "Hello, world!")]);
add("2.3", [frame(PING, hex("00ff fefd fcfb 00ff"))], [echo(PONG, hex("00ff fefd fcfb 00ff"))]);
add("2.4", [frame(PING, Buffer.alloc(125, 0xfe))], [echo(PONG, Buffer.alloc(125, 0xfe))]);
add("2.5", [frame(PING, Buffer.alloc(126, 0xfe))], [], FAIL);
add("2.6", [frame(PING, Buffer.alloc(125, 0xfe))], [echo(PONG, Buffer.alloc(125, 0xfe))], GOOD_END, {chop: 1});
add("2.7", [frame(PONG)], []);
add("2.8", [frame(PONG, bytes("unsolicited"))], []);
add("2.9", [frame(PONG, bytes("unsolicited")), frame(PING, bytes("ping"))], [echo(PONG, "ping")]);

// 3: reserved bits
for (let rsv = 1; rsv <= 7; rsv += 1) {
  add(`3.text.${rsv}`, [text("Hello", {rsv})], [], FAIL);
  add(`3.binary.${rsv}`, [frame(BINARY, hex("00ff"), {rsv})], [], FAIL);
  add(`3.ping.${rsv}`, [frame(PING, bytes("Hello"), {rsv})], [], FAIL);
  add(`3.close.${rsv}`, [frame(CLOSE, hex("03e8"), {rsv})], [], FAIL);
}
add("3.2", [text("Hello"), text("Hello", {rsv: 2}), frame(PING)], [echo(TEXT, "Hello")], FAIL, {mayLose: true});
add("3.4", [text("Hello"), text("Hello", {rsv: 4}), frame(PING)], [echo(TEXT, "Hello")], FAIL, {chop: 1, mayLose: true});

// 4: opcodes
[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].forEach((op) => {
  add(`4.${op}.1`, [frame(op)], [], FAIL);
  add(`4.${op}.2`, [frame(op, bytes("reserved opcode payload"))], [], FAIL);
  add(`4.${op}.3`, [text("Hello"), frame(op), frame(PING)], [echo(TEXT, "Hello")], FAIL, {mayLose: true});
  add(`4.${op}.4`, [text("Hello"), frame(op, bytes("x")), frame(PING)], [echo(TEXT, "Hello")], FAIL, {chop: 1, mayLose: true});
});

// 5: fragmentation
const FRAGMENTS = parts(TEXT, [bytes("fragment1"), bytes("fragment2")]);
const WHOLE = echo(TEXT, "fragment1fragment2");
const BETWEEN = [FRAGMENTS[0], frame(PING, bytes("ping")), FRAGMENTS[1]];
add("5.1", [frame(PING, bytes("fragment1"), {fin: false}), frame(0, bytes("fragment2"))], [], FAIL);
add("5.2", [frame(PONG, bytes("fragment1"), {fin: false}), frame(0, bytes("fragment2"))], [], FAIL);
add("5.3", FRAGMENTS, [WHOLE]);
add("5.4", FRAGMENTS, [WHOLE], GOOD_END, {apart: true});
add("5.5", FRAGMENTS, [WHOLE], GOOD_END, {chop: 1});
add("5.6", BETWEEN, [echo(PONG, "ping"), WHOLE]);
add("5.7", BETWEEN, [echo(PONG, "ping"), WHOLE], GOOD_END, {apart: true});
add("5.8", BETWEEN, [echo(PONG, "ping"), WHOLE], GOOD_END, {chop: 1});
[["", {}], ["a", {apart: true}], ["c", {chop: 1}]].forEach(([name, o]) => {
  add(`5.9${name}`, [frame(0, bytes("non-continuation payload")), text("Hello")], [], FAIL, o);
  add(`5.12${name}`, [frame(0, bytes("non-continuation payload"), {fin: false}), text("Hello")], [], FAIL, o);
  add(`5.18${name}`, [text("fragment1", {fin: false}), text("fragment2")], [], FAIL, o);
});
add("5.15", [...FRAGMENTS, frame(0, bytes("fragment3"), {fin: false}), text("fragment4")], [WHOLE], FAIL, {mayLose: true});
add("5.16", [frame(0, bytes("fragment1"), {fin: false}), text("fragment2", {fin: false}), frame(0, bytes("fragment3"))], [], FAIL);
add("5.17", [frame(0, bytes("fragment1")), text("fragment2", {fin: false}), frame(0, bytes("fragment3"))], [], FAIL);
const FIVE = parts(TEXT, ["fragment1", "fragment2", "fragment3", "fragment4", "fragment5"].map(bytes));
const FIVE_BACK = echo(TEXT, "fragment1fragment2fragment3fragment4fragment5");
add("5.19", [FIVE[0], FIVE[1], frame(PING, bytes("one")), {wait: PONG}, FIVE[2], FIVE[3], frame(PING, bytes("two")), FIVE[4]],
  [echo(PONG, "one"), echo(PONG, "two"), FIVE_BACK]);
add("5.20", [FIVE[0], FIVE[1], frame(PING, bytes("one")), {wait: PONG}, FIVE[2], FIVE[3], frame(PING, bytes("two")), FIVE[4]],
  [echo(PONG, "one"), echo(PONG, "two"), FIVE_BACK], GOOD_END, {chop: 1});

// 6: UTF-8
const HELLO = bytes("Hello-µ@ßöäüàá-UTF-8!!");
const KOSME = hex("ce ba e1 bd b9 cf 83 ce bc ce b5");
add("6.1.1", [text("")], [echo(TEXT, "")]);
add("6.1.2", parts(TEXT, [bytes(""), bytes(""), bytes("")]), [echo(TEXT, "")]);
add("6.1.3", parts(TEXT, [bytes(""), bytes("middle frame payload"), bytes("")]), [echo(TEXT, "middle frame payload")]);
add("6.2.1", [text(HELLO)], [echo(TEXT, HELLO)]);
add("6.2.2", parts(TEXT, [HELLO.subarray(0, 12), HELLO.subarray(12)]), [echo(TEXT, HELLO)]);
add("6.2.3", parts(TEXT, split(HELLO, 1)), [echo(TEXT, HELLO)]);
add("6.2.4", parts(TEXT, split(KOSME, 1)), [echo(TEXT, KOSME)]);
const GOOD_UTF8 = [
  "ce ba e1 bd b9 cf 83 ce bc ce b5", "00", "c2 80", "e0 a0 80", "f0 90 80 80", "7f", "df bf", "ef bf bf", "f4 8f bf bf",
  "ed 9f bf", "ee 80 80", "ef bf bd", "ef bf be", "f0 9f bf be", "f0 9f bf bf", "f4 8f bf be"];
const WRONG_UTF8 = [
  "ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64", "f8 88 80 80 80", "fc 84 80 80 80 80", "f7 bf bf bf",
  "fb bf bf bf bf", "fd bf bf bf bf bf", "f4 90 80 80", "80", "bf", "80 bf", "80 bf 80", "80 bf 80 bf 80 bf", "c0 20 c1 20 df 20",
  "e0 20 e1 20 ef 20", "f0 20 f1 20 f4 20", "f8 20 f9 20", "fc 20", "c0", "e0 80", "f0 80 80", "f8 80 80 80", "fc 80 80 80 80",
  "df", "ef bf", "f7 bf bf", "fe", "ff", "fe fe ff ff", "c0 af", "e0 80 af", "f0 80 80 af", "f8 80 80 80 af",
  "fc 80 80 80 80 af", "c1 bf", "e0 9f bf", "f0 8f bf bf", "f8 87 bf bf bf", "fc 83 bf bf bf bf", "c0 80", "e0 80 80",
  "f0 80 80 80", "f8 80 80 80 80", "fc 80 80 80 80 80", "ed a0 80", "ed ad bf", "ed ae 80", "ed af bf", "ed b0 80", "ed be 80",
  "ed bf bf", "ed a0 80 ed b0 80", "ed ad bf ed bf bf", "ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65"];
GOOD_UTF8.map(hex).forEach((p, i) => {
  add(`6.good.${i + 1}`, [text(p)], [echo(TEXT, p)]);
  add(`6.good.${i + 1}f`, parts(TEXT, split(p, 1)), [echo(TEXT, p)]);
});
WRONG_UTF8.map(hex).forEach((p, i) => {
  add(`6.wrong.${i + 1}`, [text(p)], [], BAD_UTF8);
  add(`6.wrong.${i + 1}f`, parts(TEXT, split(p, 1)), [], BAD_UTF8);
  add(`6.wrong.${i + 1}c`, [text(p)], [], BAD_UTF8, {chop: 1});
});

// 7: closing
add("7.1.1", [text("Hello World!"), closing(1000)], [echo(TEXT, "Hello World!")], GOOD_END, {closes: true, mayLose: true});
add("7.1.2", [closing(1000), closing(1000)], [], GOOD_END, {closes: true});
add("7.1.3", [closing(1000), frame(PING)], [], GOOD_END, {closes: true});
add("7.1.4", [closing(1000), text("Hello World!")], [], GOOD_END, {closes: true});
add("7.1.5", [FRAGMENTS[0], closing(1000), FRAGMENTS[1]], [], GOOD_END, {closes: true});
add("7.3.1", [frame(CLOSE)], [], [1000, 1005, 0], {closes: true});
add("7.3.2", [frame(CLOSE, hex("03"))], [], FAIL, {closes: true});
add("7.3.3", [closing(1000)], [], GOOD_END, {closes: true});
add("7.3.4", [closing(1000, "Hello World!")], [], GOOD_END, {closes: true});
add("7.3.5", [closing(1000, "*".repeat(123))], [], GOOD_END, {closes: true});
add("7.3.6", [closing(1000, "*".repeat(124))], [], FAIL, {closes: true});
add("7.5.1", [closing(1000, WRONG_UTF8.map(hex)[0])], [], [1002, 1007, 0], {closes: true});
[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].forEach((code) =>
  add(`7.7.${code}`, [closing(code)], [], [code, 1000], {closes: true}));
// registered after RFC 6455: lws 4.1.6 does not know them
[1012, 1013, 1014].forEach((code) => add(`7.7.${code}`, [closing(code)], [], [code, 1000, 1002], {closes: true}));
[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535].forEach((code) =>
  add(`7.9.${code}`, [closing(code)], [], FAIL, {closes: true}));

// 9: limits
const KIB = 1024;
add("9.2.6", [frame(BINARY, Buffer.alloc(16384 * KIB, 0xfe))], [echo(BINARY, Buffer.alloc(16384 * KIB, 0xfe))]);
[64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB].forEach((n) => {
  add(`9.1.${n}`, [text(Buffer.alloc(n, 0x2a))], [echo(TEXT, Buffer.alloc(n, 0x2a))]);
  add(`9.2.${n}`, [frame(BINARY, Buffer.alloc(n, 0xfe))], [echo(BINARY, Buffer.alloc(n, 0xfe))]);
});
[64, 1024, 64 * KIB, 1024 * KIB].forEach((size) => {
  const n = size === 64 ? 256 * KIB : 4096 * KIB;
  add(`9.3.${size}`, parts(TEXT, split(Buffer.alloc(n, 0x2a), size)), [echo(TEXT, Buffer.alloc(n, 0x2a))]);
  add(`9.4.${size}`, parts(BINARY, split(Buffer.alloc(n, 0xfe), size)), [echo(BINARY, Buffer.alloc(n, 0xfe))]);
});
add("9.5", [text(Buffer.alloc(1024 * KIB, 0x2a))], [echo(TEXT, Buffer.alloc(1024 * KIB, 0x2a))], GOOD_END, {chop: 2048});
[0, 16, 64, 256, 1024].forEach((n, i) =>
  add(`9.7.${i + 1}`, Array(100).fill(text("*".repeat(n))), Array(100).fill(echo(TEXT, "*".repeat(n)))));
add("9.too-big", [text(Buffer.alloc(16384 * KIB + 2 * KIB, 0x2a))], [], [1009, 0]);

// 10: automatic fragmentation
add("10.1.1", parts(TEXT, split(Buffer.alloc(65536, 0x2a), 1300)), [echo(TEXT, Buffer.alloc(65536, 0x2a))]);

async function send(raw, step, chop) {
  if (step.wait) {
    await raw.when("a frame to go on", () => raw.frames().some((f) => f.opcode === step.wait));
    return;
  }
  for (let at = 0; at < step.length; at += chop) {
    raw.write(step.subarray(at, at + chop));
    // so that it leaves in pieces
    if (step.length > chop) await new Promise((resolve) => { setImmediate(resolve); });
  }
}

/** The frames of data and the end of one case: {back, end}; end is the close code, 0 when it was dropped. */
async function play(c) {
  const raw = await RawSocket.open(stack.url);
  try {
    const {status} = await raw.upgrade(stack, {"Sec-WebSocket-Protocol": null, Origin: null}, "/echo");
    assert.equal(status, 101);
    const all = c.apart || c.chop || c.send.some((s) => s.wait) ? c.send : [Buffer.concat(c.send)];
    for (const step of all) await send(raw, step, c.chop ?? Infinity);
    if (c.end === GOOD_END && !c.closes) {
      await raw.when("what comes back", () => raw.ended || raw.frames().length >= c.back.length, 20_000);
      raw.write(closing(1000));
    }
    await raw.when("the end", () => raw.ended || raw.frames().some((f) => f.opcode === CLOSE), 20_000);
    const end = await raw.closeCode();
    const frames = raw.frames();
    const close = frames.findIndex((f) => f.opcode === CLOSE);
    // after his close frame the server says no more, and goes
    raw.write(closing(1000));
    await raw.when("the end of the socket", () => raw.ended, 10_000);
    assert.equal(raw.frames().length, frames.length, `${c.id}: frames after the close frame`);
    return {back: close < 0 ? frames : frames.slice(0, close), end};
  } finally {
    raw.destroy();
  }
}

function verdict(c, got) {
  const same = (a, b) => a.opcode === b.opcode && a.payload.equals(b.payload);
  const ends = c.end === GOOD_END ? [GOOD_END] : c.end;
  if (!ends.includes(got.end)) return `ended with ${got.end}, not ${ends.join(" or ")}`;
  if (c.mayLose && got.back.length === 0) return null;
  if (got.back.length !== c.back.length || !got.back.every((f, i) => same(f, c.back[i])))
    return `came back: ${JSON.stringify(got.back.map((f) => [f.opcode, f.payload.length]))}`;
  return null;
}

const sections = {1: "framing", 2: "pings and pongs", 3: "reserved bits", 4: "opcodes", 5: "fragmentation", 6: "UTF-8",
  7: "closing", 9: "limits", 10: "fragmentation by size"};
for (const [number, name] of Object.entries(sections)) {
  test(`${number}: ${name}`, async () => {
    const mine = cases.filter((c) => c.id.split(".")[0] === number);
    assert.ok(mine.length > 0);
    const wrong = (await pooled(mine, WIDTH, async (c) => {
      const got = await play(c).catch((error) => ({error}));
      const why = got.error ? got.error.message : verdict(c, got);
      return why && `${c.id}: ${why}`;
    })).filter(Boolean);
    assert.deepEqual(wrong, []);
  });
}

// 2.10 and 2.11: lws keeps one PONG to send; pings that overtake it are answered with the last one.
test("several pings in flight are answered at least once, the last of them too", async () => {
  const raw = await RawSocket.open(stack.url);
  try {
    assert.equal((await raw.upgrade(stack, {"Sec-WebSocket-Protocol": null, Origin: null}, "/echo")).status, 101);
    raw.write(Buffer.concat(Array.from({length: 10}, (_, i) => frame(PING, bytes(`payload-${i}`)))));
    raw.write(text("end"));
    await raw.when("the echo behind them", () => raw.ended || raw.frames().some((f) => f.opcode === TEXT));
    const pongs = raw.frames().filter((f) => f.opcode === PONG).map((f) => f.payload.toString());
    assert.ok(pongs.length >= 1, "answered");
    assert.ok(pongs.every((p) => /^payload-\d$/.test(p)));
    assert.deepEqual([...pongs].sort(), pongs, "in order");
  } finally {
    raw.destroy();
  }
});

test("the path is there only when asked for, without a subprotocol, and nothing else changes", async () => {
  const raw = await RawSocket.open(stack.url);
  assert.equal((await raw.upgrade(stack, {}, "/echo")).status, 400, "a subprotocol is not for this path");
  raw.destroy();
  const plain = await RawSocket.open(stack.url);
  assert.equal((await plain.upgrade(stack, {"Sec-WebSocket-Protocol": null})).status, 400, "/ws still asks for one");
  plain.destroy();
  assert.ok(stack.logs().some((line) => line.includes("selftest_echo")), "loud in the log");
});

test("a public listener refuses it at start", () => {
  const run = (...more) => spawnSync(program("redrain-server"),
    ["--check-config", "--selftest-echo", "--set", `token.keys_file=${stack.keysFile}`, ...more], {encoding: "utf8", timeout: 20_000});
  const refused = run("--set", "server.host=0.0.0.0");
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /selftest_echo is for tests on this machine: server\.host must be a loopback address, not 0\.0\.0\.0/);
  assert.equal(run().status, 0);
});

// What is sent arrives whole, in order and once, however slowly it is read; and the books of delivery say what the receivers
// saw. The receivers' own logs of seq are the truth, not our counters.
import {after, before, describe, test} from "node:test";
import assert from "node:assert/strict";
import {createHash} from "node:crypto";
import {startStack} from "../lib/stack.mjs";
import {OP, enter, pooled, until} from "../lib/ws.mjs";
import {ANCHOR, newRoom} from "./helpers.mjs";

const SNDBUF = 4608; // as small as Linux makes it: every large frame is cut

const metric = async (stack, name) => {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^redrain_${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN);
};

/** {expected, sent, dropped, closed, lost, queued} of one scrape. */
async function books(stack) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const of = (name) => Number(new RegExp(`^redrain_frames_${name} (\\d+)$`, "m").exec(text)[1]);
  const b = {queued: of("queued")};
  for (const name of ["expected", "sent", "dropped", "closed", "lost"]) b[name] = of(`${name}_total`);
  return b;
}
const balanced = (b) => b.expected === b.sent + b.dropped + b.closed + b.queued + b.lost;

/** A payload of about n bytes that proves itself. */
function payload(i, bytes) {
  const text = createHash("sha256").update(String(i)).digest("hex").repeat(Math.ceil(bytes / 64));
  return {i, text, sum: createHash("sha256").update(text).digest("hex")};
}
const push = (stack, room, i, bytes) =>
  stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "STEP", payload: payload(i, bytes)});

/** The member's log: every STEP once, in order, whole. */
function assertLog(member, n) {
  const steps = member.pushesOf("STEP");
  assert.deepEqual(steps.map((p) => p.seq), Array.from({length: n}, (_, i) => member.joinReply.seq + 1 + i), `log of ${member.user}`);
  for (const {payload: {text, sum}} of steps) assert.equal(createHash("sha256").update(text).digest("hex"), sum);
}

for (const direct of [true, false]) {
  describe(`frames cut by a full socket, ${direct ? "straight to the socket" : "through libwebsockets"}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({workers: 1, settler: false, conf: {
        "server.direct_send": direct, "limits.sndbuf_bytes": SNDBUF, "limits.queue_bytes": 16_777_216, "server.ping_interval_ms": 1000,
      }});
    });
    after(() => stack?.stop());

    test("slow readers get every byte, with PINGs of both sides in between", async () => {
      const n = 60;
      const room = newRoom();
      const slow = await pooled(["1", "2", "3", "4"], 4, (user) => enter(stack, user, {room}));
      const fast = await enter(stack, "5", {room});
      const pongs = new Map();
      for (const m of slow) {
        m.socket.on("pong", (data) => pongs.set(m, [...(pongs.get(m) ?? []), data.toString()]));
        m.socket.pause();
      }
      for (let i = 0; i < n; i += 1) {
        await push(stack, room, i, 12_000);
        // libwebsockets answers these by itself, whenever the socket takes bytes: never into the middle of a frame.
        if (i % 20 === 10) for (const m of slow) m.socket.ping(`p${i}`);
        if (i % 7 === 3) for (const m of slow) m.socket.resume();
        if (i % 7 === 4) for (const m of slow) m.socket.pause();
      }
      for (const m of slow) m.socket.resume();
      for (const m of [...slow, fast]) {
        await m.push("STEP", (p) => p.i === n - 1, {timeoutMs: 30_000});
        assertLog(m, n);
        assert.ok(!m.isClosed);
      }
      for (const m of slow.slice(0, 4)) {
        await until("a PONG", () => pongs.get(m)?.length > 0);
        // One that came while an earlier one waited is answered by it.
        assert.ok(pongs.get(m).every((p) => /^p(10|30|50)$/.test(p)), String(pongs.get(m)));
      }
      // An answer of more bytes than any socket takes at once: they come back and get all of it, and more pushes behind it.
      const at = {epoch: fast.pushesOf("STEP")[0].epoch, seq: fast.joinReply.seq};
      const back = await pooled(["11", "12", "13"], 3, async (user) => {
        const m = await enter(stack, user);
        const answer = m.ask(OP.JOIN, {room, ...at}).first;
        m.socket.pause();
        return {m, answer};
      });
      for (let i = n; i < n + 10; i += 1) {
        await push(stack, room, i, 12_000);
        for (const {m} of back) m.socket.ping(`p${i}`);
      }
      for (const {m} of back) m.socket.resume();
      for (const {m, answer} of back) {
        const reply = await answer;
        m.joinReply = reply;
        assert.equal(reply.recovered, true);
        assert.ok(reply.missed.length >= n);
        assert.deepEqual(reply.missed.map(([, , p]) => p.seq), Array.from({length: reply.missed.length}, (_, i) => at.seq + 1 + i));
        if (reply.seq < at.seq + n + 10) await m.push("STEP", (p) => p.i === n + 9, {timeoutMs: 30_000});
        assertLog(m, at.seq + n + 10 - reply.seq);
      }
      slow.push(...back.map(({m}) => m));
      await fast.push("STEP", (p) => p.i === n + 9, {timeoutMs: 30_000});
      assert.equal(await metric(stack, "short_sends_total") > 0, direct);
      await until("the books agree with the receivers", async () => {
        const b = await books(stack);
        const seen = [...slow, fast].reduce((sum, m) => sum + m.frames.length, 0);
        if (b.queued || !balanced(b) || b.sent !== seen) throw new Error(`${JSON.stringify(b)}, seen ${seen}`);
        return true;
      });
      await Promise.all([...slow, fast].map((m) => m.close()));
    });
  });
}

describe("delivery is accounted for", () => {
  let stack;
  before(async () => {
    stack = await startStack({workers: 2, settler: false, conf: {
      "limits.sndbuf_bytes": SNDBUF, "limits.queue_bytes": 65_536, "limits.queue_age_ms": 600_000,
    }});
  });
  after(() => stack?.stop());

  test("with 5 % stalled sockets everybody else sees every seq, the stalled are closed, the sums are exact", async () => {
    const [members, pushes] = [40, 120];
    const room = newRoom();
    const all = await pooled(Array.from({length: members}, (_, i) => String(100 + i)), 8, (user) => enter(stack, user, {room}));
    const stalled = all.slice(0, members * 0.05);
    const others = all.slice(stalled.length);
    const anchor = await enter(stack, ANCHOR, {room, role: "anchor"});
    for (const m of stalled) m.socket.pause();
    for (let i = 0; i < pushes; i += 1) await push(stack, room, i, 8000);
    await Promise.all([...others, anchor].map((m) => m.push("STEP", (p) => p.i === pushes - 1, {timeoutMs: 30_000})));
    for (const m of [...others, anchor]) assertLog(m, pushes);
    await until("the stalled are closed", async () => await metric(stack, "slow_consumers_closed_total") === stalled.length);
    await until("their sockets are gone", async () => await metric(stack, "connections") === others.length + 1);
    // What they got until then is a gapless beginning: nothing was skipped on a lane that must arrive.
    for (const m of stalled) m.socket.resume();
    for (const m of stalled) {
      await m.closed;
      assertLog(m, m.pushesOf("STEP").length);
      assert.ok(m.pushesOf("STEP").length < pushes);
    }
    const {delivery} = await until("STATS has it", async () => {
      const stats = await anchor.request(OP.STATS, {});
      const d = stats.delivery;
      return d && d.queued === 0 && d.expected === d.sent + d.dropped + d.closed && d.sent >= pushes * (others.length + 1) ? stats : null;
    }, {timeoutMs: 15_000, everyMs: 500});
    assert.equal(delivery.lost, 0);
    const seen = (list) => list.reduce((sum, m) => sum + m.frames.length, 0);
    // Sent is what the sockets took: all that the others saw, and of the stalled at least what they saw. The answer that was just read
    // is in the books with the next tick.
    const seenByNow = seen(all) + anchor.frames.length;
    const b = await until("the sums are exact", async () => {
      const now = await books(stack);
      if (!balanced(now) || now.queued || now.sent < seenByNow) throw new Error(`${JSON.stringify(now)}, seen ${seenByNow}`);
      return now;
    });
    assert.ok(b.sent <= b.expected - b.closed - b.dropped);
    assert.ok(b.closed > 0);
    await Promise.all([...others, anchor].map((m) => m.close()));
  });

  test("what a killed worker had queued is booked as lost, and its viewers recover it", async () => {
    const room = newRoom();
    const members = await pooled(Array.from({length: 8}, (_, i) => String(300 + i)), 4, (user) => enter(stack, user, {room}));
    const slow = members.slice(0, 3);
    for (const m of slow) m.socket.pause();
    let n = 0;
    for (; n < 100 && await metric(stack, "frames_queued") < 3; n += 1) await push(stack, room, n, 8000);
    assert.ok(await metric(stack, "frames_queued") >= 3, "something waits");
    const lostBefore = (await books(stack)).lost;
    const pids = stack.workerPids();
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await until("other workers run", () => {
      const now = stack.workerPids();
      return now.length === pids.length && now.every((pid) => !pids.includes(pid));
    });
    const b = await until("booked", async () => {
      const now = await books(stack);
      return now.lost > lostBefore && balanced(now) ? now : null;
    });
    assert.ok(b.lost - lostBefore >= 3);
    await stack.waitReady();
    for (const m of slow) {
      m.socket.resume();
      await m.closed;
      const seqs = m.pushesOf("STEP").map((p) => p.seq);
      assertLog(m, seqs.length);
      const {epoch} = m.pushes.find((p) => p.seq);
      const back = await enter(stack, m.user);
      const reply = await back.join(room, {epoch, seq: seqs.at(-1)});
      assert.equal(reply.recovered, true);
      assert.deepEqual(reply.missed.map(([, , p]) => p.seq), Array.from({length: n - seqs.length}, (_, i) => seqs.length + 1 + i));
      await back.close();
    }
  });
});

// Load shedding: what a worker under pressure gives up, in which order, what it never gives up, and that it takes all of it back.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {startBehindProxies} from "../lib/faults.mjs";
import {OP, RawSocket, enter, pooled, until} from "../lib/ws.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const STEP = 400_000; // shed.queue_bytes: level 1 begins here, the others at 1.5, 2 and 3 times that
const LEVEL_AT = [0, STEP, 1.5 * STEP, 2 * STEP, 3 * STEP];
const PAYLOAD = 15_000;
let stack;

before(async () => {
  stack = await startBehindProxies({redis: true, workers: 1, conf: {
    "shed.queue_bytes": STEP, "shed.hold_ms": 300, "limits.queue_bytes": 16_000_000, "limits.queue_age_ms": 120_000,
  }});
});
after(() => stack?.end());

async function metric(name, labels = "") {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const start = `redrain_${name}${labels ? `{${labels}}` : ""} `;
  return Number(text.split("\n").find((l) => l.startsWith(start)).slice(start.length));
}
const shed = (what) => metric("shed_total", `what="${what}"`);
const level = () => metric("shed_level");
const levels = () => stack.logs().map((l) => /"event":"shed_level","msg":"(\d) /.exec(l)?.[1]).filter(Boolean).map(Number);

async function reload(changes) {
  Object.assign(stack.conf, changes);
  stack.writeConfig();
  const count = () => stack.logs().filter((l) => l.includes('"event":"config_reloaded"') && !l.includes('"src":"settler"')).length;
  const n = count();
  stack.server.child.kill("SIGHUP");
  await until("reloaded", () => count() >= n + 2);
}

/** Status and headers of a new connection's handshake. */
async function knock() {
  const raw = await RawSocket.open(stack.url);
  const answer = await raw.upgrade(stack);
  raw.destroy();
  return answer;
}

test("by bytes that wait: connections, then tickers, then commands, then grabs; what must arrive never; and all of it back", async (t) => {
  const room = newRoom("shed");
  const reader = await enter(stack, "1", {room});
  const stalled = await enter(stack, "2", {room});
  t.after(() => Promise.all([reader, stalled].map((c) => c.close())));
  const {code} = await startRain(stack, {room, count: 100, total: 1000, limit: 100, shards: 1, duration_ms: 600_000});
  await reader.push("RED_PACKET_CONFIG");
  stalled.socket._socket.pause();
  let sent = 0;
  let seq = 0;
  const text = "x".repeat(PAYLOAD);

  /** Pushes that must arrive, until so many bytes wait for the stalled reader. */
  async function fill(bytes) {
    for (let waits = await metric("outbound_queue_bytes"); waits < bytes; waits = await metric("outbound_queue_bytes")) {
      const n = Math.min(8, Math.ceil((bytes - waits) / PAYLOAD));
      await Promise.all(Array.from({length: n}, () => {
        sent += 1;
        return stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "TEST", payload: {text}});
      }));
      assert.ok(sent < 2000);
      const want = sent; // the gauge is of the last 100 ms
      await reader.when("they arrived", () => reader.pushesOf("TEST").length === want);
      await new Promise((resolve) => { setTimeout(resolve, 150); });
    }
  }
  const grab = async () => {
    const answer = await reader.grab(code, seq);
    if (answer.name === "OK") seq += 1;
    return answer;
  };
  /** A grab's tick comes, or is known not to be sent. */
  async function tick() {
    const from = reader.pushes.length;
    const before = await shed("latest");
    assert.equal((await grab()).name, "OK");
    return Promise.race([
      reader.push("RED_PACKET_TICK", (p) => p.granted === seq, {from}).then(() => "sent"),
      until("not sent", async () => await shed("latest") > before).then(() => "shed"),
    ]);
  }
  const ask = async () => (await reader.request(OP.MY_GRANTS, {code}));

  for (let at = 0; at <= 4; at += 1) {
    await fill(LEVEL_AT[at]);
    await until(`level ${at}`, async () => await level() === at);
    const answer = await knock();
    assert.equal(answer.status, at >= 1 ? 503 : 101, `a connection at level ${at}`);
    if (at >= 1) assert.ok(Number(answer.headers["retry-after"]) > 0);
    if (at < 4) assert.equal(await tick(), at >= 2 ? "shed" : "sent", `a tick at level ${at}`);
    const asked = await ask();
    assert.equal(asked.name, at >= 3 ? "RATE_LIMITED" : "OK", `a command at level ${at}`);
    if (at >= 3) assert.ok(asked.retry_after_ms >= 1000 && asked.retry_after_ms < 2000);
    assert.equal((await reader.request(OP.PING, {t0: 1})).name, "OK");
  }
  const busy = await grab();
  assert.equal(busy.name, "BUSY");
  assert.ok(busy.retry_after_ms >= 1000 && busy.retry_after_ms < 2000);
  const replay = await reader.grab(code, seq - 1, true);
  assert.equal(replay.name, "OK", "what may have been won is never refused");
  assert.ok(await shed("grab") >= 1 && await shed("command") >= 2 && await metric("connections_refused_total", 'reason="shed"') >= 4);
  assert.ok(!stalled.isClosed);
  assert.deepEqual(levels(), [1, 2, 3, 4]);

  stalled.socket._socket.resume();
  await stalled.when("all that must arrive", () => stalled.pushesOf("TEST").length === sent, 30_000);
  for (const client of [reader, stalled]) {
    const seqs = client.pushes.filter((p) => p.seq).map((p) => p.seq);
    assert.deepEqual(seqs, seqs.map((_, i) => seqs[0] + i), "no seq is missing");
  }
  await reader.push("RED_PACKET_TICK", (p) => p.granted === seq); // the last state is told after all
  await until("level 0", async () => await level() === 0);
  assert.deepEqual(levels(), [1, 2, 3, 4, 3, 2, 1, 0]);
  assert.equal((await knock()).status, 101);
  assert.equal((await grab()).name, "OK");
  assert.equal((await ask()).name, "OK");
  await closeRain(stack, code);
});

test("a loop that is late is pressure too, and one that is in time again is not", async () => {
  await reload({"shed.lag_ms": 100});
  const [pid] = stack.workerPids();
  const from = levels().length;
  let over = false;
  const late = (async () => {
    while (!over) {
      process.kill(pid, "SIGSTOP");
      await new Promise((resolve) => { setTimeout(resolve, 350); });
      process.kill(pid, "SIGCONT");
      await new Promise((resolve) => { setTimeout(resolve, 40); });
    }
  })();
  try {
    await until("it sheds", () => levels().slice(from).includes(2));
  } finally {
    over = true;
    await late;
  }
  await until("level 0", async () => await level() === 0, {timeoutMs: 20_000});
  assert.deepEqual(levels().slice(from, from + 2), [1, 2]);
  await reload({"shed.lag_ms": 0});
});

test("grabs that would wait too long are BUSY at once, come again when told to, and each gets exactly one packet", async (t) => {
  const room = newRoom("bound");
  const n = 40;
  await reload({"shed.grabs_least": 4, "shed.grab_wait_ms": 50});
  const viewers = await pooled(Array.from({length: n}, (_, i) => String(100 + i)), 10, (user) => enter(stack, user, {room}));
  t.after(() => Promise.all(viewers.map((c) => c.close())));
  const {code} = await startRain(stack, {room, count: n, total: 100 * n, limit: 1, shards: 1});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG")));
  stack.proxies.redis.latency({up: 150});
  const refused = await shed("grab");
  let busy = 0;
  const wins = await Promise.all(viewers.map(async (v) => {
    let answer = await v.grab(code, 0, false);
    for (; answer.name === "BUSY"; answer = await v.grab(code, 0, false)) {
      busy += 1;
      assert.ok(answer.retry_after_ms >= 200 && answer.retry_after_ms <= 2000, `${answer.retry_after_ms}`);
      await new Promise((resolve) => { setTimeout(resolve, answer.retry_after_ms); });
    }
    assert.equal(answer.name, "OK");
    return {user: v.user, code, seq: answer.seq, shard: answer.shard, no: answer.no, amount: answer.amount};
  }));
  stack.proxies.redis.latency({});
  assert.ok(busy >= n / 2, `${busy} BUSY`);
  assert.equal(await shed("grab"), refused + busy);
  await closeRain(stack, code);
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: 100 * n});
  await reload({"shed.grabs_least": 1024, "shed.grab_wait_ms": 100});
});

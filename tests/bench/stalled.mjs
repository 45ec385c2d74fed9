// Does a reader that stopped reading cost the others anything? Paced broadcasts to a room, delay of the receivers that read, with
// and without 5 % sockets that take nothing any more, in turns. The stalled stay all through a pass: the bounds that would close
// them are far up.
import {WebSocket} from "ws";
import {aaBar, bars} from "./bars.mjs";
import {ROOM, median, metrics, monoUs, ms, note, round, sleep, stamped, startLab, startSwarm, tokensFile} from "./lab.mjs";
import {OP, decode, encode, pooled, until} from "../lib/ws.mjs";

const SHARE = 0.05;
const GAP_MS = 50;
const FILL_BYTES = 15_000;

/** Joined, then never read again. */
function stall(stack, user) {
  const ws = new WebSocket(stack.wsUrl, ["redrain.v1"], {perMessageDeflate: false});
  return new Promise((resolve, reject) => {
    ws.on("error", reject);
    ws.on("open", () => {
      ws.send(encode([OP.HELLO, 1, {token: stack.mint(user), ver: 1}]));
      ws.send(encode([OP.JOIN, 2, {room: ROOM}]));
    });
    ws.on("message", (data) => {
      const [op, id] = decode(data);
      if (op !== OP.REPLY || id !== 2) return;
      ws.pause();
      resolve(ws);
    });
  });
}

const push = (stack, payload) => stack.must("POST", `/api/v1/rooms/${ROOM}/push`, {biz_code: "BENCH", payload});

async function paced(stack, swarm, n) {
  swarm.reset();
  const start = monoUs() + 20_000;
  for (let i = 0; i < n; i += 1) {
    const due = start + i * GAP_MS * 1000;
    await sleep(Math.max(0, (due - monoUs()) / 1000));
    await push(stack, stamped(due));
  }
  await sleep(300);
  const {delay, pushes} = await swarm.seen();
  return {p50: delay.p50_us, p99: delay.p99_us, pushes};
}

export async function stalled(o) {
  const members = o.members?.at(-1) ?? (o.quick ? 40 : 1000);
  const n = o.quick ? 5 : Math.max(20, Math.round(o.secs * 1000 / GAP_MS));
  const stopped = Math.max(1, Math.round(members * SHARE));
  const stack = await startLab({workers: 1, settler: false, conf: {
    "server.max_connections": 20000, "limits.queue_bytes": 16_777_216, "limits.queue_age_ms": 600_000, "limits.sndbuf_bytes": 4608,
  }});
  let swarm;
  const rows = [];
  try {
    const tokens = tokensFile(stack, members - stopped);
    swarm = await startSwarm({url: stack.wsUrl, tokens, conns: members - stopped});
    await paced(stack, swarm, 5);
    for (let i = 0; i < o.runs; i += 1) {
      const without = await paced(stack, swarm, n);
      const sockets = await pooled(Array.from({length: stopped}, (_, k) => String(900_000 + k)), 16, (user) => stall(stack, user));
      // Until nothing goes into them any more.
      await until("every stalled socket has a queue", async () => {
        await push(stack, ".".repeat(FILL_BYTES));
        return (await metrics(stack)).frames_queued >= 3 * stopped;
      }, {timeoutMs: 120_000, everyMs: 20});
      await sleep(200);
      const withThem = await paced(stack, swarm, n);
      const {connections} = await metrics(stack);
      for (const ws of sockets) ws.terminate();
      await until("they are gone", async () => (await metrics(stack)).connections === members - stopped, {timeoutMs: 30_000});
      const again = await paced(stack, swarm, n);
      rows.push({without, withThem, again, connections, reference: (without.p99 + again.p99) / 2});
      note(`stalled ${i + 1}: p99 ${ms(without.p99)} ms, with ${stopped} stalled of ${members} ${ms(withThem.p99)} ms, without again ${ms(again.p99)} ms`);
    }
  } finally {
    await swarm?.end();
    await stack.stop();
  }
  const of = (fn) => median(rows.map(fn));
  const ratio = round(of((r) => r.withThem.p99 / r.reference));
  const aa = round(of((r) => r.without.p99 / r.again.p99));
  const missing = rows.reduce((a, r) => a + [r.without, r.withThem, r.again].reduce((b, p) => b + (members - stopped) * n - p.pushes, 0), 0);
  return {
    line: {
      bench: "stalled", params: {members, stalled: stopped, broadcasts: n, gap_ms: GAP_MS, rounds: o.runs},
      value: ms(of((r) => r.withThem.p99)), unit: "ms p99", reference: "the same without stalled sockets", reference_value: ms(of((r) => r.reference)),
      ratio, aa, p50_ms: ms(of((r) => r.withThem.p50)), p99_ms: ms(of((r) => r.withThem.p99)),
    },
    detail: {rows},
    bars: [
      bars.most("p99 of the others with 5 % stalled, over without", ratio, 1.1), aaBar(aa),
      bars.most("broadcasts the others missed", missing, 0),
      bars.least("stalled sockets still there at the end of a pass", Math.min(...rows.map((r) => r.connections)), members),
    ],
  };
}

// One room, one frame, everybody: our push beside a bare send() loop and a bare lws_write() loop over the same sockets, inside the
// worker. bench/fanout/hook.c does the passes; the readers are redrain-bench swarm in a process of their own.
import {aaBar, bars} from "./bars.mjs";
import {median, ms, note, round, sleep, startLab, startSwarm, tokensFile} from "./lab.mjs";

const POLL_MS = 50;

/** Until the worker has said "end" for this many members; its passes. */
async function passesOf(stack, members, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const said = stack.server.events().filter((e) => e.members === members);
    if (said.some((e) => e.event === "end")) return said.filter((e) => e.event === "pass");
    if (stack.server.exit || Date.now() > deadline) throw new Error(`no passes with ${members} members: ${stack.server.tail()}`);
    await sleep(POLL_MS);
  }
}

const perSecond = (p) => (p.frames - p.refused) * 1e6 / p.us;
const perCpuSecond = (p) => (p.frames - p.refused) * 1e6 / p.cpu_us;

function compare(passes, speed) {
  const way = (name) => passes.filter((p) => p.way === name).map(speed);
  const [ours, bare, lws, again] = [way("ours"), way("bare"), way("lws"), way("bare2")];
  const reference = bare.map((v, i) => (v + again[i]) / 2);
  return {
    ours: Math.round(median(ours)), bare: Math.round(median(reference)), lws: Math.round(median(lws)),
    ratio: round(median(ours.map((v, i) => v / reference[i]))), lws_ratio: round(median(lws.map((v, i) => v / reference[i]))),
    aa: round(median(bare.map((v, i) => v / again[i]))),
  };
}

/** For each number of members: the passes and what the receivers saw of the paced broadcasts. */
export async function fanoutAt(o, steps) {
  const plan = `rounds=${o.runs} ms=${Math.round(o.secs * 1000)} paced=${o.quick ? 3 : 20} gap=${o.quick ? 100 : 500} members=${steps.join(",")}`;
  const stack = await startLab({
    hook: true, workers: 1, settler: false, ready: false, env: {REDRAIN_BENCH_FANOUT: plan},
    conf: {"redis.timeout_ms": 60000, "server.max_connections": 20000, ...o.conf},
  });
  const swarms = [];
  const results = [];
  try {
    const tokens = tokensFile(stack, steps.at(-1));
    let there = 0;
    for (const n of steps) {
      swarms.push(await startSwarm({url: stack.wsUrl, tokens, conns: n - there}));
      there = n;
      const passes = (await passesOf(stack, n, (o.runs * 5 * (o.secs + 2) + 60) * 1000));
      const sent = passes.filter((p) => p.way !== "paced").reduce((a, p) => a + p.frames - p.refused, 0)
        + passes.filter((p) => p.way === "paced").reduce((a, p) => a + p.frames, 0);
      // The last broadcast is still on its way when the worker has said "end".
      let seen = [];
      for (let i = 0; i < 50 && seen.reduce((a, s) => a + s.pushes, 0) < sent; i += 1) {
        await sleep(200);
        seen = await Promise.all(swarms.map((s) => s.seen()));
      }
      const stamps = new Map();
      for (const [stamp, count, , last] of seen.flatMap((s) => s.each)) {
        const b = stamps.get(stamp) ?? {n: 0, last: 0};
        stamps.set(stamp, {n: b.n + count, last: Math.max(b.last, last)});
      }
      const last = [...stamps.values()].filter((b) => b.n === n).map((b) => b.last);
      const got = seen.reduce((a, s) => a + s.pushes, 0);
      const bytes = seen.reduce((a, s) => a + s.bytes, 0);
      const result = {
        members: n, ...compare(passes.filter((p) => p.way !== "paced"), perSecond),
        cpu: compare(passes.filter((p) => p.way !== "paced"), perCpuSecond),
        p50_ms: ms(seen.at(-1).delay.p50_us), p99_ms: ms(seen.at(-1).delay.p99_us), last_ms: ms(median(last)), last_max_ms: ms(Math.max(...last)),
        refused: passes.reduce((a, p) => a + p.refused, 0), sent, got, frame_bytes: passes[0].frame_bytes,
        bytes_per_delivery: round(bytes / got, 1),
      };
      results.push(result);
      note(`${n} members: ours ${result.ours}/s, send() ${result.bare}/s, lws_write() ${result.lws}/s; ratio ${result.ratio} `
        + `(by CPU ${result.cpu.ratio}), lws ${result.lws_ratio}, A/A ${result.aa}; last ${result.last_ms} ms; ${got} of ${sent} received`);
      for (const s of swarms) s.reset();
    }
  } finally {
    await Promise.all(swarms.map((s) => s.end()));
    await stack.stop();
  }
  return results;
}

export async function fanout(o) {
  const steps = o.quick ? [20] : o.members ?? [1000, 10000];
  const all = await fanoutAt(o, steps);
  const main = all.at(-1);
  return {
    line: {
      bench: "fanout", params: {members: main.members, payload_bytes: 200, workers: 1, rounds: o.runs, pass_s: o.secs},
      value: main.ours, unit: "frames/s", reference: "bare send()", reference_value: main.bare, ratio: main.ratio, aa: main.aa,
      p50_ms: main.p50_ms, p99_ms: main.p99_ms, last_ms: main.last_ms,
    },
    detail: {steps: all},
    bars: [
      ...all.flatMap((r) => [bars.least(`${r.members} members: ratio to bare send()`, r.ratio, 0.9), aaBar(r.aa)]),
      bars.most(`last of ${main.members}, ms`, main.last_ms, 150),
      bars.most("frames not received or not taken", main.sent - main.got + main.refused, 0),
    ],
  };
}

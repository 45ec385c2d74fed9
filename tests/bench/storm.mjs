// Everybody comes at once: connect, HELLO, JOIN, leave, again. CPU of all threads of the server per join, beside a bare handshake with
// two echoes of the same bytes.
import {aaBar, bars} from "./bars.mjs";
import {cpuUs, median, ms, note, round, startEcho, startLab, startSwarm, tokensFile} from "./lab.mjs";

async function pass(swarm, pids, o, conns) {
  const before = cpuUs(pids);
  const run = await swarm.storm({secs: o.secs, conns});
  return {...run, cpu_us_per_join: (cpuUs(pids) - before) / run.entered, per_s: run.entered * 1e6 / run.us};
}

export async function storm(o) {
  const conns = o.conns ?? (o.quick ? 20 : 200);
  const stack = await startLab({workers: o.workers, settler: false});
  const echo = await startEcho(o.workers);
  const swarms = [];
  try {
    const tokens = tokensFile(stack, conns);
    const bare = await startSwarm({url: echo.url, tokens, conns, entering: 0});
    const swarm = await startSwarm({url: stack.wsUrl, tokens, conns, entering: 0});
    swarms.push(bare, swarm);
    const pids = stack.serverPids();
    await pass(swarm, pids, {secs: 0.2}, 10); // the room is followed from now on
    const rows = [];
    for (let i = 0; i < o.runs; i += 1) {
      const before = await pass(bare, echo.pids(), o, conns);
      const ours = await pass(swarm, pids, o, conns);
      const after = await pass(bare, echo.pids(), o, conns);
      rows.push({before, ours, after, reference: (before.cpu_us_per_join + after.cpu_us_per_join) / 2});
      note(`storm ${i + 1}: ${round(ours.cpu_us_per_join, 1)} us CPU per join (${Math.round(ours.per_s)}/s, ${ours.failed} failed), bare `
        + `${round(before.cpu_us_per_join, 1)} and ${round(after.cpu_us_per_join, 1)} us (${Math.round(before.per_s)}/s)`);
    }
    const ratio = round(median(rows.map((r) => r.reference / r.ours.cpu_us_per_join)));
    const aa = round(median(rows.map((r) => r.before.cpu_us_per_join / r.after.cpu_us_per_join)));
    const failed = rows.reduce((n, r) => n + r.ours.failed, 0);
    return {
      line: {
        bench: "storm", params: {half_way: conns, workers: o.workers, rounds: o.runs, pass_s: o.secs},
        value: round(median(rows.map((r) => r.ours.cpu_us_per_join)), 1), unit: "us CPU/join",
        reference: "bare handshake + 2 echoes", reference_value: round(median(rows.map((r) => r.reference)), 1), ratio, aa,
        p50_ms: ms(median(rows.map((r) => r.ours.enter_us.p50_us))), p99_ms: ms(median(rows.map((r) => r.ours.enter_us.p99_us))),
      },
      detail: {joins_per_s: Math.round(median(rows.map((r) => r.ours.per_s))), bare_per_s: Math.round(median(rows.map((r) => r.before.per_s))), failed},
      bars: [bars.least("ratio of CPU per join", ratio, 0.35), aaBar(aa), bars.most("joins that failed", failed, 0)],
    };
  } finally {
    await Promise.all(swarms.map((s) => s.end()));
    await echo.stop();
    await stack.stop();
  }
}

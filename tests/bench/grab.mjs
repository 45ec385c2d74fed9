// Grabs by the crowd of redrain-bench swarm, beside a bare WebSocket echo that gets the same bytes from the same crowd.
//   grab: won, told after Kafka; first with the settler standing still, its topic drained and the books checked after, then with it
//         running. lose: the rain is sold out, every answer comes from the worker's memory.
import {execFile} from "node:child_process";
import {promisify} from "node:util";
import {aaBar, bars} from "./bars.mjs";
import {cpuWhile, median, metrics, ms, note, openRain, openRains, program, round, servicePids, sleep, startEcho, startLab, startSwarm, sum, tokensFile} from "./lab.mjs";

const DRAIN_MS = 600_000;
const perSecond = (run) => run.answered * 1e6 / run.us;
const toldPerSecond = (run) => run.ok * 1e6 / run.us;

/** A/A: two runs of the echo around each of ours. */
async function rounds(o, ours, echo, label, mineOf = perSecond) {
  const rows = [];
  for (let i = 0; i < o.runs; i += 1) {
    const before = await echo();
    const mine = await ours(i);
    const after = await echo();
    rows.push({ours: mine, before, after, reference: (perSecond(before) + perSecond(after)) / 2});
    note(`${label} ${i + 1}: ${Math.round(mineOf(mine))}/s, echo ${Math.round(perSecond(before))}/s and ${Math.round(perSecond(after))}/s`);
  }
  return {
    rows,
    value: Math.round(median(rows.map((r) => mineOf(r.ours)))), reference: Math.round(median(rows.map((r) => r.reference))),
    ratio: round(median(rows.map((r) => mineOf(r.ours) / r.reference))),
    aa: round(median(rows.map((r) => perSecond(r.before) / perSecond(r.after)))),
  };
}

/** Everything that was told is in the books. */
async function settled(stack, codes, told) {
  const deadline = Date.now() + DRAIN_MS;
  for (;;) {
    const [row] = await stack.sql("SELECT SUM(settled_cnt) AS n FROM rp_escrow WHERE code IN (?)", [codes]);
    if (Number(row?.n ?? 0) === told) break;
    if (Date.now() > deadline) throw new Error(`${row?.n} of ${told} told grants are in the books after ${DRAIN_MS} ms`);
    await sleep(100);
  }
}

const onlyWins = (run) => {
  const other = Object.keys(run.codes).filter((name) => name !== "OK");
  if (other.length) note(`  other answers: ${JSON.stringify(run.codes)}`);
  return run;
};

/** Where a told grab's time went between two looks at the metrics: mean ms of each stage, grabs per script call. */
function stages(a, b) {
  const mean = (name) => round((b[`${name}_sum`] - a[`${name}_sum`]) * 1000 / Math.max(1, b[`${name}_count`] - a[`${name}_count`]), 2);
  return {
    told_ms: mean("grab_seconds"), redis_ms: mean("redis_call_seconds"), kafka_ms: mean("kafka_delivery_seconds"), loop_late_ms: mean("loop_lag_seconds"),
    wins_per_redis_call: round((b.grabs_ok_total - a.grabs_ok_total) / Math.max(1, b.redis_calls_total - a.redis_calls_total), 1),
  };
}

/** The floor of telling: records produced and acknowledged at the same rate, with nothing else. */
async function bareProduce(stack, perS, secs) {
  const {stdout} = await promisify(execFile)(program("redrain-ref-kafka-produce"),
    [stack.conf["kafka.bootstrap"], `${stack.namespace}bare`, Math.max(1, Math.round(perS)), Math.ceil(secs)].map(String));
  return JSON.parse(stdout);
}

/** onlyPaused: not with the settler running, and nothing is drained. */
export async function grabbing(o, workers, {onlyPaused = false} = {}) {
  const conns = o.conns ?? (o.quick ? 20 : 1000);
  const stack = await startLab({workers, settler: false, conf: {"kafka.queue_max": 1000000, "rain.outbox_max": 1000000}});
  const echo = await startEcho(workers);
  const swarms = [];
  try {
    const tokens = tokensFile(stack, conns);
    const bare = await startSwarm({url: echo.url, tokens, conns});
    const swarm = await startSwarm({url: stack.wsUrl, tokens, conns});
    swarms.push(bare, swarm);
    const echoPass = () => bare.run("grab", {secs: o.secs, codes: "x".repeat(12)});
    const most = o.quick ? 20_000 : 360_000; // a little more than a pass may win
    const who = {server: stack.serverPids(), crowd: [swarm.child.pid], ...servicePids()};
    let spent = {};
    let wins = 0;
    let told = [];
    const pass = async (more = {}) => {
      const rains = await openRains(stack, {wins: most, conns});
      const before = await metrics(stack);
      const {result: run, cpu} = await cpuWhile(who, () => swarm.run("grab", {secs: o.secs, ...rains, fresh: 1, ...more}));
      run.stages = stages(before, await metrics(stack));
      note(`  ${JSON.stringify(run.stages)}`);
      for (const [name, us] of Object.entries(cpu)) spent[name] = (spent[name] ?? 0) + us;
      wins += run.ok;
      told.push({codes: rains.codes, n: run.told_in_all});
      return onlyWins(run);
    };
    const perWin = () => Object.fromEntries(Object.entries(spent).map(([name, us]) => [name, round(us / wins, 1)]));
    const allSettled = async () => {
      const begun = Date.now();
      for (const {codes, n} of told) await settled(stack, codes, n);
      await stack.verify({timeoutMs: DRAIN_MS});
      note(`  ${sum(told.map((t) => t.n))} told grants are in the books after ${Date.now() - begun} ms, books clean`);
      told = [];
      return Date.now() - begun;
    };

    // The settler stands still.
    await pass({secs: Math.min(1, o.secs)});
    [spent, wins] = [{}, 0];
    const paused = await rounds(o, () => pass(), echoPass, "settler paused", toldPerSecond);
    const cpuPerWin = perWin();
    note(`  us of CPU per win: ${JSON.stringify(cpuPerWin)}`);
    if (onlyPaused) return {paused, serverUs: cpuPerWin.server};
    const half = await pass({secs: Math.max(o.secs, 1), rate: Math.max(1, Math.round(paused.value / 2))});
    const produce = await bareProduce(stack, paused.value / 2, Math.max(o.secs, 1));
    stack.settler.start();
    const drainedMs = await allSettled();
    // With it running.
    await pass({secs: Math.min(1, o.secs)});
    const running = await rounds(o, () => pass(), echoPass, "settler running", toldPerSecond);
    await allSettled();
    return {paused, half, produce, running, drainedMs, cpuPerWin, serverUs: cpuPerWin.server, conns};
  } finally {
    await Promise.all(swarms.map((s) => s.end()));
    await echo.stop();
    await stack.stop();
  }
}

export async function grab(o) {
  const r = await grabbing(o, o.workers);
  const halfP99 = ms(r.half.ok_us.p99_us);
  return {
    line: {
      bench: "grab", params: {conns: r.conns, workers: o.workers, settler: "paused", rounds: o.runs, pass_s: o.secs},
      value: r.paused.value, unit: "told wins/s", reference: "bare epoll WebSocket echo", reference_value: r.paused.reference,
      ratio: r.paused.ratio, aa: r.paused.aa, p50_ms: ms(r.half.ok_us.p50_us), p99_ms: halfP99,
    },
    detail: {
      settler_running: {value: r.running.value, reference_value: r.running.reference, ratio: r.running.ratio, aa: r.running.aa},
      stages: r.paused.rows.map((row) => row.ours.stages),
      half_load: {per_s: Math.round(r.paused.value / 2), answered: r.half.answered, codes: r.half.codes, ...r.half.ok_us},
      bare_produce: r.produce, drained_ms: r.drainedMs, server_cpu_us_per_grab: r.serverUs, cpu_us_per_win: r.cpuPerWin,
    },
    bars: [
      bars.least("settler paused: ratio to the echo", r.paused.ratio, 0.3), aaBar(r.paused.aa),
      bars.least("settler running: ratio to the echo", r.running.ratio, 0.15), aaBar(r.running.aa),
      bars.most("p99 at half that load, ms (20, or 3x bare produce to report)", halfP99, Math.max(20, round(3 * r.produce.p99_us / 1000, 1))),
    ],
  };
}

export async function lose(o) {
  const conns = o.conns ?? (o.quick ? 20 : 1000);
  const stack = await startLab({workers: o.workers});
  const echo = await startEcho(o.workers);
  const swarms = [];
  try {
    const tokens = tokensFile(stack, conns);
    const bare = await startSwarm({url: echo.url, tokens, conns});
    const swarm = await startSwarm({url: stack.wsUrl, tokens, conns});
    swarms.push(bare, swarm);
    const code = await openRain(stack, {count: 10, limit: 1});
    await swarm.run("grab", {secs: 0.5, codes: code, fresh: 1});
    // What the server asks Redis anyway: clock, presence, tickers.
    const idle0 = (await metrics(stack)).redis_calls_total;
    const idleS = o.quick ? 0.5 : 2;
    await sleep(idleS * 1000);
    const idlePerS = ((await metrics(stack)).redis_calls_total - idle0) / idleS;
    let calls = 0;
    let losers = 0;
    let spent = 0;
    let serverUs = 0;
    const r = await rounds(o, async () => {
      await sleep(300);
      const before = (await metrics(stack)).redis_calls_total;
      const at = performance.now();
      const {result: run, cpu} = await cpuWhile({server: stack.serverPids()}, () => swarm.run("grab", {secs: o.secs, codes: code}));
      serverUs += cpu.server;
      await sleep(300);
      calls += (await metrics(stack)).redis_calls_total - before;
      spent += (performance.now() - at) / 1000;
      losers += run.answered - run.ok;
      return run;
    }, () => bare.run("grab", {secs: o.secs, codes: "x".repeat(12)}), "sold out");
    const extra = Math.max(0, calls - idlePerS * spent);
    const perLoser = round(extra / losers, 5);
    return {
      line: {
        bench: "lose", params: {conns, workers: o.workers, rounds: o.runs, pass_s: o.secs}, value: r.value, unit: "answers/s",
        reference: "bare epoll WebSocket echo", reference_value: r.reference, ratio: r.ratio, aa: r.aa,
        p50_ms: ms(median(r.rows.map((x) => x.ours.other_us.p50_us))), p99_ms: ms(median(r.rows.map((x) => x.ours.other_us.p99_us))),
      },
      detail: {losers, redis_calls: calls, redis_calls_per_s_idle: round(idlePerS, 1), redis_calls_per_loser: perLoser, server_cpu_us_per_answer: round(serverUs / losers, 2), codes: r.rows[0].ours.codes},
      bars: [bars.least("ratio to the echo", r.ratio, 0.7), aaBar(r.aa), bars.most("Redis calls per loser", round(perLoser, 3), 0)],
    };
  } finally {
    await Promise.all(swarms.map((s) => s.end()));
    await echo.stop();
    await stack.stop();
  }
}

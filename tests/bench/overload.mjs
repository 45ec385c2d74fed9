// Twice what the server can do, for half a minute: what it then does, how long the accepted wait, and whether anybody misses a push that
// must arrive. Then the seed's evening: 80 % of the grabs in the first tenth of the time, 15 % in the next half, 5 % in the rest.
import {bars} from "./bars.mjs";
import {monoUs, ms, note, openRains, ROOM, round, sleep, startLab, startSwarm, stamped, sum, tokensFile} from "./lab.mjs";

const PUSHES_PER_S = 1; // 10,000 frames each
const EACH = 25; // wins of a viewer per rain: each rain that is being won has its own ticker

/** Pushes that must arrive, as long as `work` takes; how many were sent. */
async function whilePushing(stack, work) {
  let over = false;
  let sent = 0;
  const pushing = (async () => {
    while (!over) {
      await stack.must("POST", `/api/v1/rooms/${ROOM}/push`, {biz_code: "BENCH", payload: {t: stamped(monoUs())}});
      sent += 1;
      await sleep(1000 / PUSHES_PER_S);
    }
  })();
  try {
    return {result: await work(), sent: () => sent};
  } finally {
    over = true;
    await pushing;
  }
}

export async function overload(o) {
  // More sockets than can be under way: who wants to grab finds one, as if each were another viewer.
  const conns = o.conns ?? (o.quick ? 20 : 10_000);
  const busy = Math.min(conns, 1000);
  const secs = o.quick ? 1 : 30;
  const stack = await startLab({workers: o.workers, settler: false, conf: {"kafka.queue_max": 1000000, "rain.outbox_max": 1000000}});
  let swarm = null;
  try {
    const count = o.quick ? 50_000 : 1_800_000;
    swarm = await startSwarm({url: stack.wsUrl, tokens: tokensFile(stack, conns), conns});
    let rains = await openRains(stack, {wins: count / 4, conns: busy, least: EACH});
    await swarm.run("grab", {secs: Math.min(1, o.secs), ...rains, conns: busy, fresh: 1});
    const peak = await swarm.run("grab", {secs: o.secs, ...rains, conns: busy});
    const peakPerS = peak.ok * 1e6 / peak.us;
    swarm.reset();
    rains = await openRains(stack, {wins: count, conns, least: EACH});
    const over = await whilePushing(stack, () => swarm.run("grab", {secs, ...rains, fresh: 1, rate: Math.round(2 * peakPerS)}));
    const run = over.result;
    const expected = over.sent() * conns;
    let seen = await swarm.seen();
    for (let i = 0; i < 100 && seen.deliveries < expected; i += 1) {
      await sleep(200);
      seen = await swarm.seen();
    }
    // Open loop: what was answered until the end counts, also the rest's wait.
    const goodput = run.ok * 1e6 / run.took_us;
    note(`peak ${Math.round(peakPerS)}/s (p99 ${ms(peak.ok_us.p99_us)} ms); at twice that ${Math.round(goodput)}/s told, ${JSON.stringify(run.codes)}, `
      + `p99 ${ms(run.ok_us.p99_us)} ms; pushes ${seen.deliveries} of ${expected} (p99 ${ms(seen.delay.p99_us)} ms), ${seen.gaps} gaps, ${seen.dropped} sockets lost`);

    // 80-15-5: as many grabs as the peak makes in a third of the time.
    swarm.reset();
    const total = Math.min(peakPerS * secs / 3, count * 0.9);
    rains = await openRains(stack, {wins: total * 1.1, conns, least: EACH});
    const parts = [];
    let fresh = 1;
    for (const [share, time] of [[0.8, 0.1], [0.15, 0.5], [0.05, 0.4]]) {
      parts.push(await swarm.run("grab", {secs: secs * time, ...rains, fresh, rate: Math.max(1, Math.round(total * share / (secs * time)))}));
      fresh = 0;
    }
    const profile = parts.map((p) => ({sent: p.sent, ok: p.ok, busy: p.codes.BUSY ?? 0, p50_ms: ms(p.ok_us.p50_us), p99_ms: ms(p.ok_us.p99_us), took_ms: ms(p.took_us)}));
    note(`80-15-5: ${JSON.stringify(profile)}`);
    // Over the bound on what may wait a grab is told at once when to come again; nobody waits for nothing.
    const all = round(sum(parts.map((p) => p.ok + (p.codes.BUSY ?? 0))) / sum(parts.map((p) => p.sent)));
    const [burst] = parts;
    const burstGoodput = round(burst.ok * 1e6 / burst.took_us / Math.min(peakPerS, burst.sent * 1e6 / (secs * 0.1 * 1e6)));
    return {
      line: {
        bench: "overload", params: {conns, workers: o.workers, secs, offered_per_s: Math.round(2 * peakPerS)}, value: Math.round(goodput),
        unit: "told wins/s", reference: "own peak", reference_value: Math.round(peakPerS), ratio: round(goodput / peakPerS),
        p50_ms: ms(run.ok_us.p50_us), p99_ms: ms(run.ok_us.p99_us),
      },
      detail: {busy: run.codes.BUSY ?? 0, burst_goodput: burstGoodput, peak_p99_ms: ms(peak.ok_us.p99_us), codes: run.codes, sent: run.sent, unanswered: run.unanswered, sockets_lost: seen.dropped,
        pushes: seen.deliveries, pushes_expected: expected, push_p99_ms: ms(seen.delay.p99_us), gaps: seen.gaps, profile_80_15_5: profile, profile_answered: all},
      bars: [
        bars.least("goodput over peak", round(goodput / peakPerS), 0.9),
        bars.most("accepted p99 over the peak's", round(run.ok_us.p99_us / peak.ok_us.p99_us, 2), 2),
        bars.most("pushes missing in the must-arrive lane", expected - seen.deliveries, 0), bars.most("gaps in anybody's seqs", seen.gaps, 0),
        bars.least("80-15-5: grabs answered OK, or told when to come again", all, 0.999),
        bars.least("80-15-5: goodput of the burst over the peak", burstGoodput, 0.9),
      ],
    };
  } finally {
    await swarm?.end();
    await stack.stop();
  }
}

// Viewers who only watch: memory of all our processes per joined viewer, heartbeats on, after a minute.
import {bars} from "./bars.mjs";
import {cpuUs, note, pssKib, round, sleep, startLab, startSwarm, tokensFile} from "./lab.mjs";

const KNOWN = {bare_lws: "1-1.7", "ws on Node": 3.2, Centrifugo: 27};

export async function idle(o) {
  const conns = o.conns ?? (o.quick ? 50 : 15_000);
  const secs = o.quick ? 1 : Math.max(60, o.secs);
  const stack = await startLab({workers: o.workers, conf: {"server.max_connections": 20000}});
  let swarm = null;
  try {
    const pids = () => [...stack.serverPids(), stack.settler.pid];
    const empty = pssKib(pids());
    swarm = await startSwarm({url: stack.wsUrl, tokens: tokensFile(stack, conns), conns, entering: 100});
    const cpu0 = cpuUs(pids());
    await sleep(secs * 1000);
    const full = pssKib(pids());
    const cpu = (cpuUs(pids()) - cpu0) / 1e6 / secs;
    const seen = await swarm.seen();
    const each = round(full / conns, 2);
    note(`idle: ${full} KiB of ${pids().length} processes with ${seen.in} viewers, ${empty} KiB without; ${round(cpu * 100, 1)} % of a core`);
    return {
      line: {bench: "idle", params: {viewers: conns, workers: o.workers, after_s: secs}, value: each, unit: "KiB PSS/viewer"},
      detail: {pss_kib: full, pss_empty_kib: empty, kib_per_viewer_above_empty: round((full - empty) / conns, 2), cores: round(cpu, 4), in: seen.in,
        of_others_kib: KNOWN},
      bars: [bars.most("KiB per joined viewer", each, 3), bars.least("viewers still there", seen.in, conns)],
    };
  } finally {
    await swarm?.end();
    await stack.stop();
  }
}

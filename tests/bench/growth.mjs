// What gets dearer as things grow: a frame per member over the size of the room, a win over the size of the pool at fixed shards, a
// grab over the number of workers.
import {bars} from "./bars.mjs";
import {fanoutAt} from "./fanout.mjs";
import {grabbing} from "./grab.mjs";
import {cpuUs, median, note, program, round, servicePids, startLab} from "./lab.mjs";
import {execFile} from "node:child_process";
import {promisify} from "node:util";

const SHARDS = 8;

const PACKETS_LEAST = 200_000; // of one size: a pool of 1,000 is won before the clock has seen much of it

/** Pools of so many packets: Redis' CPU per packet, filled, won and answered sold out once, and wins per second; sizes in turns. */
async function pools(o, sizes) {
  const stack = await startLab({server: false, settler: false, ready: false});
  const found = new Map(sizes.map((n) => [n, {wins: [], us: 0, packets: 0}]));
  try {
    const one = async (n) => {
      const {stdout} = await promisify(execFile)(program("redrain-bench-money"),
        ["--config", stack.configFile, "pool", "--count", String(n), "--shards", String(SHARDS)]);
      return JSON.parse(stdout.trim().split("\n").at(-1)).wins_per_s;
    };
    for (let i = 0; i < o.runs; i += 1) {
      for (const n of sizes) {
        const of = found.get(n);
        const times = o.quick ? 1 : Math.ceil(PACKETS_LEAST / n);
        const before = cpuUs(servicePids().redis ?? []);
        for (let k = 0; k < times; k += 1) of.wins.push(await one(n));
        of.us += cpuUs(servicePids().redis ?? []) - before;
        of.packets += n * times;
      }
    }
  } finally {
    await stack.stop();
  }
  return sizes.map((n) => ({packets: n, wins_per_s: Math.round(median(found.get(n).wins)), redis_us_per_packet: round(found.get(n).us / found.get(n).packets, 2)}));
}

export async function growth(o) {
  const rooms = o.quick ? [10] : [100, 1000, 5000, 10_000, 15_000];
  const sizes = o.quick ? [1000] : [1000, 10_000, 100_000, 1_000_000];
  const fan = await fanoutAt({...o, runs: Math.min(o.runs, 3)}, rooms);
  const pool = await pools({...o, runs: Math.min(o.runs, 3)}, sizes);
  for (const row of pool) note(`pool of ${row.packets}: ${row.redis_us_per_packet} us of Redis per packet, ${row.wins_per_s} wins/s`);
  const one = o.quick ? null : await grabbing({...o, runs: 2}, 1, {onlyPaused: true});
  const two = o.quick ? null : await grabbing({...o, runs: 2}, 2, {onlyPaused: true});
  const ratios = fan.map((r) => r.ratio);
  const flat = round(Math.min(...ratios) / Math.max(...ratios));
  const costs = pool.map((r) => r.redis_us_per_packet);
  const flatPool = Math.max(...costs) > 0 ? round(Math.min(...costs) / Math.max(...costs)) : 1; // 0: somebody else's Redis
  return {
    line: {bench: "growth", params: {members: rooms, packets: sizes, shards: SHARDS}, value: flat, unit: "worst/best ratio to bare",
      reference: "bare send() at the same N", reference_value: 1, ratio: flat, aa: round(median(fan.map((r) => r.aa))), last_ms: fan.at(-1).last_ms},
    detail: {
      fanout: fan.map(({members, ours, bare, ratio, cpu, aa, last_ms: last}) => ({members, ours, bare, ratio, cpu_ratio: cpu.ratio, aa, last_ms: last})),
      pool,
      workers: one && [{workers: 1, per_s: one.paused.value, server_cpu_us_per_grab: one.serverUs}, {workers: 2, per_s: two.paused.value, server_cpu_us_per_grab: two.serverUs}],
    },
    bars: [bars.least(`ratio to bare, worst over best of ${rooms.join(", ")} members`, flat, 0.9), bars.least(`Redis' CPU per packet, best over worst of pools of ${sizes.join(", ")}`, flatPool, 0.9)],
  };
}

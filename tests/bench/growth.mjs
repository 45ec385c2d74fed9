// What gets dearer as things grow: a frame per member over the size of the room, a win over the size of the pool at fixed shards, a
// grab over the number of workers.
import {bars} from "./bars.mjs";
import {fanoutAt} from "./fanout.mjs";
import {grabbing} from "./grab.mjs";
import {median, note, round, startLab} from "./lab.mjs";
import {program} from "./lab.mjs";
import {execFile} from "node:child_process";
import {promisify} from "node:util";

const SHARDS = 8;

/** Wins per second of the grab script, from a pool of so many packets; each size a few times, in turns. */
async function pools(o, sizes) {
  const stack = await startLab({server: false, settler: false, ready: false});
  const found = new Map(sizes.map((n) => [n, []]));
  try {
    for (let i = 0; i < o.runs; i += 1) {
      for (const n of sizes) {
        const {stdout} = await promisify(execFile)(program("redrain-bench-money"),
          ["--config", stack.configFile, "pool", "--count", String(n), "--shards", String(SHARDS)]);
        found.get(n).push(JSON.parse(stdout.trim().split("\n").at(-1)).wins_per_s);
      }
    }
  } finally {
    await stack.stop();
  }
  return sizes.map((n) => ({packets: n, wins_per_s: Math.round(median(found.get(n)))}));
}

export async function growth(o) {
  const rooms = o.quick ? [10] : [100, 1000, 5000, 10_000, 15_000];
  const sizes = o.quick ? [1000] : [1000, 10_000, 100_000, 1_000_000];
  const fan = await fanoutAt({...o, runs: Math.min(o.runs, 3)}, rooms);
  const pool = await pools({...o, runs: Math.min(o.runs, 3)}, sizes);
  for (const row of pool) note(`pool of ${row.packets}: ${row.wins_per_s} wins/s`);
  const one = o.quick ? null : await grabbing({...o, runs: 2}, 1);
  const two = o.quick ? null : await grabbing({...o, runs: 2}, 2);
  const ratios = fan.map((r) => r.ratio);
  const flat = round(Math.min(...ratios) / Math.max(...ratios));
  // A pool of 1,000 is won before the clock has seen much of it: the slope counts from 10,000 on.
  const wins = pool.filter((r) => o.quick || r.packets >= 10_000).map((r) => r.wins_per_s);
  const flatPool = round(Math.min(...wins) / Math.max(...wins));
  return {
    line: {bench: "growth", params: {members: rooms, packets: sizes, shards: SHARDS}, value: flat, unit: "worst/best ratio to bare",
      reference: "bare send() at the same N", reference_value: 1, ratio: flat, aa: round(median(fan.map((r) => r.aa))), last_ms: fan.at(-1).last_ms},
    detail: {
      fanout: fan.map(({members, ours, bare, ratio, cpu, aa, last_ms: last}) => ({members, ours, bare, ratio, cpu_ratio: cpu.ratio, aa, last_ms: last})),
      pool,
      workers: one && [{workers: 1, per_s: one.paused.value, server_cpu_us_per_grab: one.serverUs}, {workers: 2, per_s: two.paused.value, server_cpu_us_per_grab: two.serverUs}],
    },
    bars: [bars.least(`ratio to bare, worst over best of ${rooms.join(", ")} members`, flat, 0.9), bars.least("wins/s, worst over best size of the pool", flatPool, 0.9)],
  };
}

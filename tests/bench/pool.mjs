// Wins per second of the grab script through the server's own batching on one Redis, beside pipelined LPOPs.
import {best, round, runProgram, writeConfig} from "./programs.mjs";

export async function pool(o, at) {
  const product = [];
  const reference = [];
  for (let i = 0; i < o.runs; i += 1) {
    const conf = writeConfig(at, `b${i}_`, `[rain]\nbatch_max = ${o.batch}\n`);
    product.push(await runProgram(at, "redrain-bench-money", ["--config", conf, "pool", "--count", o.count, "--shards", o.shards].map(String)));
    reference.push(await runProgram(at, "redrain-ref-pool-lpop", [at.ports.redis, o.count, o.shards, 2 * o.batch * o.shards].map(String),
      {REDISCLI_AUTH: at.redisPassword}));
    process.stderr.write(`run ${i + 1}: ${product.at(-1).wins_per_s} wins/s, ${product.at(-1).losses_per_s} losses/s; `
      + `LPOP ${reference.at(-1).wins_per_s}/s\n`);
  }
  const won = best(product, "wins_per_s");
  const lost = best(product, "losses_per_s");
  const ref = best(reference, "wins_per_s");
  return {
    bench: "pool", params: {packets: o.count, shards: o.shards, batch: o.batch, runs: o.runs, appendfsync: "always"},
    value: won.wins_per_s, unit: "wins/s", reference: "pool_lpop", reference_value: ref.wins_per_s,
    ratio: round(won.wins_per_s / ref.wins_per_s),
    p50_us: won.win_p50_us, p99_us: won.win_p99_us, reference_p50_us: ref.win_p50_us, reference_p99_us: ref.win_p99_us,
    losses_per_s: lost.losses_per_s, loss_p50_us: lost.loss_p50_us, loss_p99_us: lost.loss_p99_us,
    reference_losses_per_s: best(reference, "losses_per_s").losses_per_s,
  };
}

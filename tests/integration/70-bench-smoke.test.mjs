// ./dev bench settle|pool with tiny parameters: they start what they need, run to the end, and their last line is whole.
import {test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {basename, join} from "node:path";
import {promisify} from "node:util";
import {root, runDir, skipWithoutKafka} from "../lib/services.mjs";

const run = promisify(execFile);
const RUN_MS = 60_000;

/** The last line of ./dev bench, on services of its own; what was built for the tests is measured. */
async function bench(name, args) {
  const preset = basename(process.env.REDRAIN_BIN_DIR ?? "asan");
  const env = {...process.env, REDRAIN_RUN: join(runDir, `bench-${name}`), REDRAIN_BENCH_PRESET: preset, REDRAIN_BENCH_BUILT: "1"};
  const {stdout} = await run(join(root, "dev"), ["bench", name, "--runs", "1", "--json", ...args], {env, timeout: RUN_MS});
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

function whole(line, name, unit) {
  assert.equal(line.bench, name);
  assert.equal(line.unit, unit);
  assert.equal(typeof line.params, "object");
  assert.ok(line.value > 0 && line.reference_value > 0, JSON.stringify(line));
  assert.ok(Math.abs(line.ratio - line.value / line.reference_value) < 0.01, JSON.stringify(line));
}

test("bench pool: every packet is won, every later grab is sold out", {timeout: RUN_MS}, async () => {
  const line = await bench("pool", ["--count", "2000", "--shards", "2"]);
  whole(line, "pool", "wins/s");
  assert.equal(line.reference, "pool_lpop");
  assert.ok(line.losses_per_s > 0 && line.p99_us >= line.p50_us && line.p50_us > 0, JSON.stringify(line));
});

test("bench settle: a filled topic is settled, the same rows by hand, a rain is SETTLED after its close", {skip: skipWithoutKafka, timeout: RUN_MS}, async () => {
  const line = await bench("settle", ["--count", "4000", "--shards", "2"]);
  whole(line, "settle", "grants/s");
  assert.equal(line.reference, "settle_sql");
  assert.deepEqual(line.settled_ms_all, [line.settled_ms]);
  assert.ok(line.settled_ms >= 0 && line.settled_ms < RUN_MS);
});

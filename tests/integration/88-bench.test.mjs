// The suites of ./dev bench with tiny numbers, on the services of the tests: each comes to its end by itself, in bounded time, and its
// last line has what a reader of it looks for. Numbers of such a run mean nothing.
import {test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {join} from "node:path";
import {promisify} from "node:util";
import {root} from "../lib/services.mjs";

const run = promisify(execFile);
const RUN_MS = 60_000;
const KEYS = new Set(["bench", "params", "value", "unit", "reference", "reference_value", "ratio", "aa", "p50_ms", "p99_ms", "last_ms", "peers"]);

async function bench(name, args = []) {
  const {stdout} = await run(process.execPath, [join(root, "tests", "bench", "main.mjs"), name, "--quick", "--json", ...args], {timeout: RUN_MS});
  const line = JSON.parse(stdout.trim().split("\n").at(-1));
  assert.equal(line.bench, name);
  for (const key of Object.keys(line)) assert.ok(KEYS.has(key), `unexpected ${key}`);
  assert.equal(typeof line.params, "object");
  assert.equal(typeof line.unit, "string");
  assert.ok(line.value > 0, JSON.stringify(line));
  return line;
}

function beside(line) {
  assert.equal(typeof line.reference, "string");
  assert.ok(line.reference_value > 0 && line.ratio > 0 && line.aa > 0, JSON.stringify(line));
}

test("bench fanout", {timeout: RUN_MS}, async () => {
  const line = await bench("fanout");
  beside(line);
  assert.ok(line.last_ms >= 0 && line.p99_ms >= line.p50_ms, JSON.stringify(line));
});

test("bench grab: what was told is in the books, and the books are clean", {timeout: RUN_MS}, async () => {
  const line = await bench("grab");
  beside(line);
  assert.ok(line.p50_ms > 0 && line.p99_ms >= line.p50_ms, JSON.stringify(line));
});

test("bench lose", {timeout: RUN_MS}, async () => beside(await bench("lose")));

test("bench storm", {timeout: RUN_MS}, async () => beside(await bench("storm")));

test("bench idle", {timeout: RUN_MS}, async () => assert.equal((await bench("idle")).unit, "KiB PSS/viewer"));

test("bench growth", {timeout: RUN_MS}, async () => assert.ok((await bench("growth")).ratio > 0));

test("bench overload: nobody misses a push that must arrive", {timeout: RUN_MS}, async () => {
  const line = await bench("overload");
  assert.ok(line.reference_value > 0 && line.ratio > 0 && line.p99_ms >= line.p50_ms, JSON.stringify(line));
});

// The model of one shard, checked by spin over all interleavings of small configurations; and each rule taken away must be missed.
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {copyFileSync, mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import test from "node:test";
import {promisify} from "node:util";

const run = promisify(execFile);
const MODEL = new URL("rain.pml", import.meta.url).pathname;
const CHECK_MS = 900_000;

/** Checks the model with these definitions in every state; {errors, states, said}. */
async function check(defines) {
  const dir = mkdtempSync(join(tmpdir(), "redrain-model-"));
  try {
    copyFileSync(MODEL, join(dir, "rain.pml"));
    await run("spin", ["-a", ...defines.map((d) => `-D${d}`), "rain.pml"], {cwd: dir});
    // Generated code: its warnings are not ours.
    await run("gcc", ["-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=3000", "-o", "pan", "pan.c"], {cwd: dir});
    const {stdout} = await run("./pan", ["-m400000"], {cwd: dir, timeout: CHECK_MS, maxBuffer: 1 << 24});
    const errors = /errors: (\d+)/.exec(stdout);
    assert.ok(errors, `pan came to no result:\n${stdout}`);
    assert.doesNotMatch(stdout, /max search depth too small|out of memory/, "the search was not exhaustive");
    return {
      errors: Number(errors[1]), states: Number(/(\d+) states, stored/.exec(stdout)[1]),
      said: /pan:1: (.*)/.exec(stdout)?.[1] ?? "",
    };
  } finally {
    rmSync(dir, {recursive: true, force: true});
  }
}

const installed = await run("spin", ["-V"]).then(() => true, () => false);
const skip = installed || process.env.CI ? false : "spin is not installed";

const TWO_VIEWERS = ["USERS=2", "TRIES=1", "PACKETS=1", "RECOVERERS=1"];
const ONE_VIEWER_TWICE = ["USERS=1", "TRIES=2", "PACKETS=1", "RECOVERERS=1"];
const TWO_RECOVERERS = ["USERS=1", "TRIES=1", "PACKETS=1", "RECOVERERS=2"];

for (const [name, defines] of [
  ["two viewers, one packet", TWO_VIEWERS],
  ["one viewer who asks again", ONE_VIEWER_TWICE],
  ["two recoverers", TWO_RECOVERERS],
  ...(process.env.REDRAIN_TEST_LONG ? [
    ["two crashes of Redis", ["USERS=1", "TRIES=1", "PACKETS=1", "RECOVERERS=1", "CRASHES=2"]],
    ["two viewers, two packets", ["USERS=2", "TRIES=1", "PACKETS=2", "RECOVERERS=1"]],
    ["two viewers, two recoverers", ["USERS=2", "TRIES=1", "PACKETS=1", "RECOVERERS=2"]],
  ] : []),
]) {
  test(`the model keeps every promise: ${name}`, {skip}, async () => {
    const {errors, states, said} = await check(defines);
    assert.equal(errors, 0, said);
    assert.ok(states > 1000, `only ${states} states: the model does nothing`);
  });
}

for (const [rule, defines] of [
  ["NO_RUN_ID_CHECK", TWO_VIEWERS],
  ["NO_WAIT", TWO_VIEWERS],
  ["NO_DRAIN", TWO_VIEWERS],
  ["NO_DEADLINE", TWO_VIEWERS],
  ["NO_RID_IN_RECORD", TWO_VIEWERS],
  ["NO_KEYS", TWO_VIEWERS],
  ["FLOOR_FIRST", TWO_VIEWERS],
  ["NO_COMPARE", TWO_VIEWERS],
  ["NO_REPLAY_FIRST", ONE_VIEWER_TWICE],
  ["REPLAY_TOLD_AT_ONCE", ONE_VIEWER_TWICE],
  ["NO_RECOVERY_GUARD", TWO_RECOVERERS],
]) {
  test(`the model breaks a promise with ${rule}`, {skip}, async () => {
    const {errors} = await check([...defines, rule]);
    assert.ok(errors > 0, "the rule is not needed, or the model does not see what it is for");
  });
}

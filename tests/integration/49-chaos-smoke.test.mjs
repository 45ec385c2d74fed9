// A short ./dev chaos on services of its own: the harness works from end to end, and a sabotaged run fails.
import {test} from "node:test";
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {join} from "node:path";
import {root, skipWithoutKafka} from "../lib/services.mjs";

const RUN_MS = 240_000;

/** Runs the harness; {code, line, stderr}. */
function chaos(args) {
  const dir = join(process.env.REDRAIN_SERVICES_RUN ?? join(root, ".run", "test"), "chaos");
  const child = spawn(process.execPath, [join(root, "tests", "chaos", "main.mjs"), "--json", ...args], {
    env: {...process.env, REDRAIN_RUN: dir, REDRAIN_BIN_DIR: process.env.REDRAIN_BIN_DIR ?? join(root, "build", "asan")},
    stdio: ["ignore", "pipe", "pipe"], timeout: RUN_MS,
  });
  const out = {stdout: "", stderr: ""};
  for (const name of Object.keys(out)) child[name].setEncoding("utf8").on("data", (text) => { out[name] += text; });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      try {
        resolve({code, line: JSON.parse(out.stdout.trim().split("\n").at(-1)), stderr: out.stderr});
      } catch {
        reject(new Error(`no verdict, exit ${code}: ${out.stderr}`));
      }
    });
  });
}

const SMALL = ["--rooms", "2", "--viewers", "6"];

test("a few kills while rains are played: every fen is where it belongs", {skip: skipWithoutKafka, timeout: RUN_MS}, async () => {
  // The first kills of this seed: workers, a supervisor, an admin child, a settler, MariaDB, and Redis wiped.
  const {code, line, stderr} = await chaos(["--kills", "8", "--seed", "18", ...SMALL]);
  assert.equal(line.verdict, "ok", stderr);
  assert.equal(code, 0);
  assert.equal(line.kills, 8);
  assert.equal(Object.values(line.kills_by_target).reduce((sum, n) => sum + n, 0), 8);
  assert.equal(line.kills_by_target.redis, 1);
  assert.ok(line.told > 0, JSON.stringify(line));
});

test("a grant that is taken out of the books with its money is found", {skip: skipWithoutKafka, timeout: RUN_MS}, async () => {
  const {code, line} = await chaos(["--kills", "1", "--seed", "18", "--sabotage", "lose", ...SMALL]);
  assert.equal(line.verdict, "failed");
  assert.equal(code, 1);
  assert.equal(line.lost_wins, 1);
});

// Each mutation of tests/mutations applies to the code as it is: a defence that moved must not leave its proof behind.
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {readFileSync, readdirSync} from "node:fs";
import test from "node:test";

const ROOT = new URL("../../", import.meta.url).pathname;
const PATCHES = readdirSync(`${ROOT}tests/mutations`).filter((name) => name.endsWith(".patch"));

test("every mutation applies, and says why and which test it turns red", () => {
  assert.ok(PATCHES.length > 0);
  for (const name of PATCHES) {
    const text = readFileSync(`${ROOT}tests/mutations/${name}`, "utf8");
    assert.match(text, /^# (?!test:)\S/m, `${name} says why`);
    assert.match(text, /^# test: (unit|integration) \S/m, `${name} names its test`);
    try {
      execFileSync("patch", ["-p1", "--dry-run", "-s", "-F2"], {cwd: ROOT, input: text, stdio: ["pipe", "pipe", "pipe"]});
    } catch (error) {
      assert.fail(`${name} no longer applies: ${error.stdout}`);
    }
  }
});

// Adds up the result files of all runners: why each skip, a list of failures, and the counts as the last line.
//   node sum.mjs RESULT_FILE…    exit code 1 on a failure, or when no test ran
import {readFileSync} from "node:fs";

let passed = 0;
const failed = [];
const skipped = [];
for (const file of process.argv.slice(2)) {
  const result = JSON.parse(readFileSync(file, "utf8"));
  passed += result.passed;
  failed.push(...result.failed);
  skipped.push(...result.skipped);
}
for (const {name, reason} of skipped) process.stdout.write(`SKIPPED ${name}: ${reason}\n`);
for (const {name, message} of failed) process.stdout.write(`FAILED  ${name}: ${message.trim().split("\n")[0]}\n`);
process.stdout.write(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped\n`);
process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;

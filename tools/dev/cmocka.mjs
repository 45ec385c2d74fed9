// Runs the cmocka binaries that ctest knows by a label, and counts test cases, not binaries.
//   node cmocka.mjs LABEL BUILD_DIR OUT_DIR RESULT_FILE JOBS [NAME_PATTERN…]
// A test that is no cmocka program counts as one case by its exit code (77: skipped).
import {execFileSync, spawn} from "node:child_process";
import {existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const DEFAULT_TIMEOUT_S = 120;
const SKIP_EXIT_CODE = 77;
const OUTPUT_TAIL_BYTES = 6000;

const [label, buildDir, outDir, resultFile, jobsArg, ...patterns] = process.argv.slice(2);

function listTests() {
  const text = execFileSync("ctest", ["--test-dir", buildDir, "-L", `^${label}$`, "--show-only=json-v1"],
    {encoding: "utf8", maxBuffer: 64 << 20});
  const wanted = patterns.map((p) => new RegExp(p));
  return JSON.parse(text).tests
    .filter((t) => wanted.length === 0 || wanted.some((p) => p.test(t.name)))
    .map((t) => ({
      name: t.name,
      command: t.command ?? [],
      properties: Object.fromEntries((t.properties ?? []).map((p) => [p.name, p.value])),
    }));
}

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", "\"")
  .replaceAll("&apos;", "'").replaceAll("&amp;", "&");

function parseXml(text) {
  const cases = [];
  for (const m of text.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const body = m[2] ?? "";
    const failure = /<(?:failure|error)[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body);
    cases.push({
      name: unescape(m[1]),
      state: /<skipped/.test(body) ? "skipped" : failure || /<(failure|error)/.test(body) ? "failed" : "passed",
      message: failure ? failure[1].replace(/^<!\[CDATA\[|\]\]>$/g, "").trim() : "",
    });
  }
  return cases;
}

function runOne(test) {
  return new Promise((resolve) => {
    if (test.command.length === 0 || !existsSync(test.command[0])) {
      resolve({...test, code: null, output: "not built", cases: []});
      return;
    }
    const env = {...process.env, CMOCKA_MESSAGE_OUTPUT: "XML", CMOCKA_XML_FILE: join(outDir, `${test.name}__%g.xml`)};
    for (const pair of test.properties.ENVIRONMENT ?? []) {
      const at = pair.indexOf("=");
      env[pair.slice(0, at)] = pair.slice(at + 1);
    }
    const child = spawn(test.command[0], test.command.slice(1), {
      cwd: test.properties.WORKING_DIRECTORY ?? buildDir, env, stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_TAIL_BYTES);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const seconds = test.properties.TIMEOUT ?? DEFAULT_TIMEOUT_S;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, seconds * 1000);
    child.on("error", (error) => keep(String(error)));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (timedOut) output += `\nkilled after ${seconds} s`;
      resolve({...test, code, signal, output, cases: casesOf(test.name)});
    });
  });
}

function casesOf(name) {
  return readdirSync(outDir).filter((f) => f.startsWith(`${name}__`))
    .flatMap((f) => parseXml(readFileSync(join(outDir, f), "utf8")));
}

function addOutcome(total, run) {
  const {name, code, signal, output, cases} = run;
  const skipCode = run.properties.SKIP_RETURN_CODE ?? SKIP_EXIT_CODE;
  if (cases.length === 0) {
    if (code === 0) total.passed += 1;
    else if (code === skipCode) total.skipped.push({name, reason: output.trim().split("\n").pop() || "exit 77"});
    else total.failed.push({name, message: `exit ${code ?? signal}\n${output}`});
  }
  let failed = 0;
  for (const c of cases) {
    if (c.state === "passed") total.passed += 1;
    else if (c.state === "skipped") total.skipped.push({name: `${name}: ${c.name}`, reason: "skip() in the test"});
    else {
      failed += 1;
      total.failed.push({name: `${name}: ${c.name}`, message: c.message});
    }
  }
  // All cases fine, and yet the program is not: a crash on the way out, a sanitizer's report.
  if (cases.length > 0 && failed === 0 && code !== 0) {
    total.failed.push({name: `${name}: exit`, message: `exit ${code ?? signal}\n${output}`});
  }
  const mark = code === 0 ? "ok  " : code === skipCode && cases.length === 0 ? "skip" : "FAIL";
  process.stdout.write(`${mark} ${name} (${cases.length || 1})\n`);
}

rmSync(outDir, {recursive: true, force: true});
mkdirSync(outDir, {recursive: true});
const total = {runner: label, passed: 0, failed: [], skipped: []};
const queue = listTests();
const lanes = Array.from({length: Math.max(1, Number(jobsArg) || 1)}, async () => {
  for (let test = queue.shift(); test; test = queue.shift()) addOutcome(total, await runOne(test));
});
await Promise.all(lanes);
for (const f of total.failed) process.stdout.write(`\n--- FAILED ${f.name}\n${f.message}\n`);
writeFileSync(resultFile, JSON.stringify(total));
process.exitCode = total.failed.length > 0 ? 1 : 0;

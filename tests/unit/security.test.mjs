// docs/SECURITY.md: each of the 32 threats names code, tests and mutations that exist, and a mutation that those tests see.
import assert from "node:assert/strict";
import {existsSync, readFileSync, readdirSync} from "node:fs";
import {basename, join} from "node:path";
import {fileURLToPath} from "node:url";
import test from "node:test";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const THREATS = 32;

function files(dir) {
  return readdirSync(dir, {withFileTypes: true}).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : files(path);
    return /(\.test\.mjs|\/test_[^/]*\.c)$/.test(path) ? [path] : [];
  });
}

/** File name without its ending → the titles of its tests. */
const TESTS = new Map(files(join(ROOT, "tests")).map((path) => {
  const text = readFileSync(path, "utf8");
  const titles = path.endsWith(".c") ? [...text.matchAll(/(?:cmocka_unit_test\w*|TEST)\(\s*(\w+)/g)].map((m) => m[1])
    : [...text.matchAll(/\btest\("((?:[^"\\]|\\.)*)"/g)].map((m) => m[1]);
  return [basename(path).replace(/\.test\.mjs$|\.c$/, ""), titles];
}));

const quoted = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1]);

/** {id, where: [[file, name]], tests: [[file, title]], mutations: [name]}, one per row. */
function rowsOf(text) {
  const pair = (one) => {
    const at = one.indexOf(": ");
    return [one.slice(0, at), one.slice(at + 2)];
  };
  return text.split("\n").filter((line) => /^\| T\d+ \|/.test(line)).map((line) => {
    const [id, , , where, tests, mutations] = line.split("|").slice(1, -1).map((c) => c.trim());
    return {id, where: quoted(where).map(pair), tests: quoted(tests).map(pair), mutations: quoted(mutations)};
  });
}

/** What is wrong with a row: a list of texts. */
function gaps({id, where, tests, mutations}) {
  const found = [];
  const miss = (what) => found.push(`${id}: ${what}`);
  if (!where.length || !tests.length || !mutations.length) miss("a cell is empty");
  for (const [file, name] of where) {
    if (!existsSync(join(ROOT, file))) miss(`no file ${file}`);
    else if (!new RegExp(`\\b${name}\\b`).test(readFileSync(join(ROOT, file), "utf8"))) miss(`no ${name} in ${file}`);
  }
  for (const [file, title] of tests) {
    if (!TESTS.get(file)?.includes(title)) miss(`no test "${title}" in ${file}`);
  }
  const seen = mutations.flatMap((name) => {
    const path = join(ROOT, "tests", "mutations", `${name}.patch`);
    if (!existsSync(path)) {
      miss(`no mutation ${name}`);
      return [];
    }
    return [...readFileSync(path, "utf8").matchAll(/^# test: \w+ ([^|\n]+?)(?: \| (.*))?$/gm)].map(([, file, name]) => ({file: new RegExp(file), name: name ? new RegExp(name) : /./}));
  });
  const proves = (spec) => tests.some(([file, title]) => (spec.file.test(file) || spec.file.test(`${file}.test.mjs`)) && spec.name.test(title));
  if (!seen.some(proves)) miss("no mutation is seen by a test of the row");
  return found;
}

const ROWS = rowsOf(readFileSync(join(ROOT, "docs", "SECURITY.md"), "utf8"));

test("all 32 threats have a row whose code, tests and mutations exist", () => {
  assert.deepEqual(ROWS.map((row) => row.id), Array.from({length: THREATS}, (_, i) => `T${i + 1}`));
  assert.deepEqual(ROWS.flatMap(gaps), []);
});

test("a gap is noticed", () => {
  const [row] = ROWS;
  for (const changed of [{where: []}, {where: [["server/ws.c", "origin_forbidden"]]}, {where: [["server/moon.c", "x"]]}, {tests: []},
    {tests: [["01-handshake", "every origin gets 101"]]}, {tests: [["moon", row.tests[0][1]]]}, {mutations: ["moon"]}, {mutations: ["money-bound"]}]) {
    assert.notDeepEqual(gaps({...row, ...changed}), [], JSON.stringify(changed));
  }
});

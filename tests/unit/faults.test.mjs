// docs/FAULTS.md names tests and failpoints: each of them exists.
import {test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync, readdirSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {failMap} from "../lib/failpoints.mjs";

const tests = join(dirname(fileURLToPath(import.meta.url)), "..");
const doc = readFileSync(join(tests, "..", "docs", "FAULTS.md"), "utf8");

function files(dir) {
  return readdirSync(dir, {withFileTypes: true}).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : files(path);
    return /(\.test\.mjs|\/test_[^/]*\.c)$/.test(path) ? [path] : [];
  });
}

/** Titles of all tests; what a title computes is the sign \0. */
function titles() {
  return files(tests).flatMap((file) => {
    const text = readFileSync(file, "utf8");
    if (file.endsWith(".c")) return [...text.matchAll(/cmocka_unit_test\w*\(\s*(\w+)/g)].map(([, name]) => name);
    return [...text.matchAll(/\btest\(\s*("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)/g)].map(([, title]) => templated(title.slice(1, -1)));
  });
}

/** `a ${x} b`: computed parts, which may hold templates of their own, become \0. */
function templated(title) {
  let out = "";
  for (let at = 0; at < title.length; at += 1) {
    if (!title.startsWith("${", at)) {
      out += title[at];
      continue;
    }
    let depth = 1;
    for (at += 2; depth > 0 && at < title.length; at += 1) depth += title[at] === "{" ? 1 : title[at] === "}" ? -1 : 0;
    at -= 1;
    out += "\0";
  }
  return out;
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
/** Does a title of the document (with *n* for any words) name this test? Either side may leave words open. */
function names(wanted, title) {
  const pattern = (text, hole) => new RegExp(`^${text.split(hole).map(escape).join(".+")}$`);
  const plain = wanted.replaceAll("*n*", "\0");
  return pattern(wanted, "*n*").test(title.replaceAll("\0", "x")) || pattern(title, "\0").test(plain.replaceAll("\0", "x"));
}

/** What stands in backquotes in the table cells of a column that is headed `head`. */
function cells(head) {
  const found = [];
  let column = -1;
  for (const line of doc.split("\n")) {
    if (!line.startsWith("|")) {
      column = -1;
      continue;
    }
    const parts = line.split("|").slice(1, -1).map((c) => c.trim());
    if (column < 0) column = parts.indexOf(head) >= 0 ? parts.indexOf(head) : -2;
    else if (column >= 0 && !/^-+$/.test(parts[column])) found.push({line, names: [...parts[column].matchAll(/`([^`]+)`/g)].map((m) => m[1])});
  }
  return found;
}

// The failpoints' titles are made from a table; the test there sees to it that each has a row.
// A title that is hardly more than a computed part would fit anything.
const all = [...titles().filter((title) => title.replaceAll("\0", "").length >= 12), ...failMap().flatMap(({name}) => ["worker", "admin", "settler"].map((who) => `the ${who} dies at ${name}`).concat(`fails at ${name}`))];

test("every row of docs/FAULTS.md names a test, and every test it names exists", () => {
  const rows = cells("tests");
  assert.ok(rows.length > 40, `${rows.length} rows`);
  for (const row of rows) {
    assert.ok(row.names.length > 0, `no test in: ${row.line}`);
    for (const wanted of row.names) assert.ok(all.some((title) => names(wanted, title)), `there is no test "${wanted}"`);
  }
});

test("a title that does not exist is noticed", () => {
  assert.ok(!all.some((title) => names("kill -9 of the moon", title)));
  assert.ok(all.some((title) => names("kill -9 of a worker", title)));
  assert.ok(all.some((title) => names("redis says *n*: a grab is retried, none is refused", title)));
  assert.ok(!all.some((title) => names("redis says *n*: a grab is refused", title)));
});

test("every failpoint is in the table of the document, once, and nothing else is", () => {
  const listed = cells("failpoints").flatMap((row) => row.names);
  assert.deepEqual(listed.sort(), failMap().map((p) => p.name).sort());
});

test("each of the twelve bugs has a test of its own", () => {
  for (let n = 1; n <= 12; n += 1) assert.equal(all.filter((title) => title.startsWith(`bug ${n}: `)).length, 1, `bug ${n}`);
});

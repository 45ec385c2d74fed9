// Each feature in tests/e2e/features.mjs has a test, by its title.

import {test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {CONSOLE, CONSOLE_AREAS, VIEWER, VIEWER_AREAS} from "../../e2e/features.mjs";

const root = new URL("../../", import.meta.url);

/** Titles of a test file; "${…}" in one stands for each of the words below. */
function titles(file) {
  const text = readFileSync(new URL(file, root), "utf8");
  const found = [...text.matchAll(/^\s*test\((["'`])(.*?)\1,/gm)].map((m) => m[2]);
  return found.flatMap((title) => (title.includes("${size}") ? ["phone", "desktop"].map((size) => title.replace("${size}", size)) : [title]));
}

test("every row names a test that exists", () => {
  for (const [area, feature, file, title] of [...VIEWER, ...CONSOLE]) {
    assert.ok(area && feature, title);
    assert.ok(titles(file).includes(title), `${area}: ${feature}: no test "${title}" in ${file}`);
  }
});

test("every area of both pages has rows, and no row an unknown area", () => {
  for (const area of VIEWER_AREAS) assert.ok(VIEWER.some(([of]) => of === area), area);
  for (const area of CONSOLE_AREAS) assert.ok(CONSOLE.some(([of]) => of === area), area);
  for (const [area] of VIEWER) assert.ok(VIEWER_AREAS.includes(area), area);
  for (const [area] of CONSOLE) assert.ok(CONSOLE_AREAS.includes(area), area);
});

test("no feature is listed twice", () => {
  const names = [...VIEWER, ...CONSOLE].map(([, feature]) => feature);
  assert.equal(new Set(names).size, names.length);
});

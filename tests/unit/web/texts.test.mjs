// Every text a page can ask for exists in both languages.

import {test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync, readdirSync} from "node:fs";
import {TEXTS} from "../../../web-demo/texts.js";
import {CLOSE, CLOSE_INFO, RESULT, RESULT_INFO} from "../../../web-demo/constants.js";

const web = new URL("../../../web-demo/", import.meta.url);
const read = (name) => readFileSync(new URL(name, web), "utf8");

test("each key has two texts with the same variables", () => {
  const vars = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();
  for (const [key, row] of Object.entries(TEXTS)) {
    assert.equal(row.length, 2, key);
    assert.ok(row[0] && row[1], key);
    assert.deepEqual(vars(row[0]), vars(row[1]), key);
  }
});

test("every key in the HTML exists", () => {
  for (const page of ["index.html", "console.html", "prove.html"]) {
    for (const [, key] of read(page).matchAll(/data-i18n(?:-\w+)?="([^"]+)"/g)) {
      assert.ok(TEXTS[key], `${page}: ${key}`);
    }
  }
});

test("every literal key in the code exists", () => {
  for (const file of readdirSync(web).filter((name) => name.endsWith(".js"))) {
    for (const [, key] of read(file).matchAll(/\bt\("([^"$]+)"/g)) {
      assert.ok(TEXTS[key], `${file}: ${key}`);
    }
  }
});

test("results and close codes have names and texts", () => {
  for (const [name, code] of Object.entries(RESULT)) {
    assert.equal(RESULT_INFO[code].name, name);
    assert.ok(RESULT_INFO[code].zh && RESULT_INFO[code].en);
  }
  for (const code of Object.values(CLOSE)) {
    assert.ok(CLOSE_INFO[code].zh && CLOSE_INFO[code].en && CLOSE_INFO[code].name);
    if (code >= 4000) assert.equal(Boolean(CLOSE_INFO[code].reconnect), code < 4500);
  }
});

test("no inline script, style or handler in the pages", () => {
  for (const page of ["index.html", "console.html", "prove.html"]) {
    const html = read(page);
    assert.ok(!/\sstyle=/.test(html), page);
    assert.ok(!/\son\w+=/.test(html), page);
    assert.ok(!/<script(?![^>]*src=)/.test(html), page);
    assert.ok(!/<style/.test(html), page);
  }
});

test("nothing writes markup", () => {
  for (const file of readdirSync(web).filter((name) => name.endsWith(".js"))) {
    assert.ok(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(read(file)), file);
  }
});

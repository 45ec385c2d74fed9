// docs/CLIENT.md and the module say the same.

import {test} from "node:test";
import assert from "node:assert/strict";
import {existsSync, readFileSync} from "node:fs";
import * as module from "../../../web-demo/redrain-client.js";

const root = new URL("../../../", import.meta.url);
const doc = readFileSync(new URL("docs/CLIENT.md", root), "utf8");
const code = readFileSync(new URL("web-demo/redrain-client.js", root), "utf8");

/** First cells of the table under a heading, without what is after the name. */
function documented(heading) {
  const [, part] = doc.split(`\n## ${heading}\n`);
  assert.ok(part, heading);
  const rows = part.split("\n## ")[0].split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((line) => line.match(/^\| `([\w]+)/)[1]).sort();
}

const prototype = Object.getOwnPropertyDescriptors(module.RedrainClient.prototype);
const of = (want) => Object.entries(prototype).filter(([name, d]) => name !== "constructor" && want(d)).map(([name]) => name);

test("every export is documented", () => {
  assert.deepEqual(documented("Exports"), Object.keys(module).sort());
});

test("every method and property is documented, and nothing else", () => {
  assert.deepEqual(documented("Methods"), of((d) => typeof d.value === "function").sort());
  const fields = [...code.matchAll(/^    this\.(\w+) = /gm)].map((m) => m[1]);
  assert.deepEqual(documented("Properties"), [...new Set([...of((d) => d.get), ...fields])].sort());
});

test("every option is documented", () => {
  const options = [...code.matchAll(/@param .*?\[?\bo\.(\w+)/g)].map((m) => m[1]);
  assert.ok(options.length >= 6);
  assert.deepEqual(documented("Options"), options.sort());
});

test("every event is documented", () => {
  const files = ["redrain-client.js", "grabber.js"].map((name) => readFileSync(new URL(`web-demo/${name}`, root), "utf8")).join("\n");
  const events = new Set([...files.matchAll(/#emit\("(\w+)"/g)].map((m) => m[1]));
  assert.deepEqual(documented("Events"), [...events].sort());
});

test("the files it names exist, and are all that the module needs", () => {
  const [, list] = doc.match(/Files to take along: ([^]*?)Useful/);
  const named = new Set([...list.matchAll(/`([\w./-]+\.js)`/g)].map((m) => m[1]));
  for (const name of named) assert.ok(existsSync(new URL(`web-demo/${name}`, root)), name);
  const needed = new Set();
  const follow = (name) => {
    if (needed.has(name)) return;
    needed.add(name);
    const text = readFileSync(new URL(`web-demo/${name}`, root), "utf8");
    for (const [, next] of text.matchAll(/from "\.\/([\w-]+\.js)"/g)) follow(next);
    assert.ok(!/\b(document|window|localStorage)\./.test(text), `${name} uses no DOM`);
  };
  follow("redrain-client.js");
  named.delete("vendor/msgpack.min.js");
  assert.deepEqual([...named].sort(), [...needed].sort());
});

// Golden vectors shared with the C side: {name, hex, json} in tests/vectors/*.json. The page's own encoder and decoder
// must agree with every one of them; those without json are bytes that no JavaScript value stands for.

import {test} from "node:test";
import assert from "node:assert/strict";
import {readdirSync, readFileSync} from "node:fs";
import {fileURLToPath} from "node:url";
import {msgpack} from "./fakes.mjs";
import {OP, RESULT, BIZ} from "../../../web-demo/constants.js";

const folder = fileURLToPath(new URL("../../vectors/", import.meta.url));
const read = (file) => JSON.parse(readFileSync(folder + file, "utf8"));
const vectors = readdirSync(folder).filter((f) => f.endsWith(".json"))
  .flatMap((file) => [read(file)].flat().map((v) => ({file, ...v})))
  .filter((v) => typeof v.hex === "string" && v.json !== undefined);

for (const {file, name, hex, json} of vectors) {
  test(`${file}: ${name}`, () => {
    assert.deepEqual(msgpack.decode(Buffer.from(hex, "hex")), json);
    assert.equal(Buffer.from(msgpack.encode(json)).toString("hex"), hex);
  });
}

const messages = read("messages.json").filter((v) => v.dir === "s2c" || v.expect === "ok");

test("every op has a vector", () => {
  const seen = new Set(messages.filter((v) => v.json).map((v) => v.json[0]));
  assert.deepEqual(Object.values(OP).filter((op) => !seen.has(op)), []);
});

test("every push has a vector", () => {
  const seen = new Set(messages.filter((v) => v.json?.[0] === OP.PUSH).map((v) => v.json[2].biz_code));
  assert.deepEqual([...seen].sort(), Object.values(BIZ).sort());
});

test("every result in a vector has a name", () => {
  const known = new Set(Object.values(RESULT));
  for (const {name, json} of messages.filter((v) => v.json?.[0] === OP.REPLY)) {
    assert.ok(known.has(json[2].result), name);
  }
});

test("the bytes in docs/PROTOCOL.md are vectors", () => {
  const doc = readFileSync(new URL("../../../docs/PROTOCOL.md", import.meta.url), "utf8");
  const table = doc.split("<!-- vectors -->")[1].split("<!-- end -->")[0];
  const rows = [...table.matchAll(/^\| (.+?) \| `(.+)` \| `([0-9a-f]+)` \|$/gm)];
  assert.ok(rows.length >= 5);
  for (const [, name, json, hex] of rows) {
    const vector = read("messages.json").find((v) => v.name === name);
    assert.equal(hex, vector?.hex, name);
    assert.deepEqual(JSON.parse(json), vector.json, name);
  }
});

// The page's own SHA-256, ChaCha20 and splits against Node's, and against the vectors the C side is held to.

import {test} from "node:test";
import assert from "node:assert/strict";
import {createHash} from "node:crypto";
import {readFileSync} from "node:fs";
import {amountsOf, fromHex, packetIs, prove, seedHash, sha256, toHex} from "../../../web-demo/prove.js";

const {vectors} = JSON.parse(readFileSync(new URL("../../vectors/split.json", import.meta.url), "utf8"));
const hashOf = (amounts) => createHash("sha1").update(amounts.join(",")).digest("hex");

test("SHA-256 of every length around the block's borders", () => {
  for (let n = 0; n <= 200; n++) {
    const bytes = Uint8Array.from({length: n}, (_, i) => (i * 7 + n) & 255);
    assert.equal(toHex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"), `${n} bytes`);
  }
});

test("hex", () => {
  assert.equal(toHex(fromHex("00ff7a")), "00ff7a");
  for (const bad of ["0", "zz", "0X", undefined, 5]) assert.equal(fromHex(bad), null);
});

test("there are vectors of every split", () => {
  assert.deepEqual([...new Set(vectors.map((v) => v.split))].sort(), ["double-mean", "equal", "line-cut"]);
});

for (const v of vectors) {
  test(`split: ${v.name}`, async () => {
    const amounts = await amountsOf({...v, split_ver: v.version});
    assert.deepEqual(amounts.slice(0, 10), v.amounts);
    assert.equal(hashOf(amounts), v.amounts_hash);
    assert.equal(seedHash(v.seed), v.seed_hash);
  });
}

test("numbers that allow no split, and unknown versions", async () => {
  const good = {...vectors[1], split_ver: 1};
  assert.ok(await amountsOf(good));
  for (const bad of [{total: 5, lo: 1, count: 10}, {hi: 1}, {split_ver: 2}, {split: "fair"}, {seed: "00"}, {count: 0}, {total: 1.5}]) {
    assert.equal(await amountsOf({...good, ...bad}), null, JSON.stringify(bad));
  }
});

test("pauses on the way through a large rain", async () => {
  const v = vectors.find((x) => x.name === "many packets");
  let pauses = 0;
  await amountsOf({...v, split_ver: 1}, async () => { pauses += 1; });
  assert.ok(pauses >= 2);
});

function resultOf(v) {
  return {
    config_code: v.code, total_price: v.total, total_count: v.count, shards: v.shards, split: v.split, split_ver: v.version,
    lo: v.lo, hi: v.hi, seed: v.seed, seed_hash: v.seed_hash,
  };
}

test("a proof: packets where they belong", async () => {
  const v = vectors.find((x) => x.name === "few fens"); // 3 shards
  const packets = v.amounts.map((amount, i) => ({shard: i % 3, no: Math.floor(i / 3), amount}));
  const proof = await prove(resultOf(v), v.seed_hash, packets);
  assert.deepEqual(proof, {ok: true, hashOk: true, sumOk: true, boundsOk: true, packets: packets.map(() => true)});
  assert.equal((await prove(resultOf(v), null, packets)).ok, true, "a page that saw no announcement");
});

test("a proof finds a lie", async () => {
  const v = vectors.find((x) => x.name === "few fens");
  const packet = {shard: 0, no: 0, amount: v.amounts[0]};
  const with_ = async (result, announced = v.seed_hash, one = packet) => prove({...resultOf(v), ...result}, announced, [one]);
  assert.deepEqual((await with_({}, v.seed_hash, {...packet, amount: packet.amount + 1})).packets, [false]);
  assert.equal((await with_({}, v.seed_hash, {...packet, no: 1000})).ok, false);
  assert.equal((await with_({}, v.seed_hash, {...packet, shard: 3})).ok, false);
  assert.equal((await with_({seed: "00".repeat(32)})).hashOk, false, "another seed than announced");
  assert.equal((await with_({seed: "00".repeat(32), seed_hash: seedHash("00".repeat(32))})).hashOk, false, "both exchanged");
  assert.equal((await with_({split_ver: 9})).ok, false);
});

test("the code is part of the key", async () => {
  const v = {...vectors.find((x) => x.name === "many packets"), split_ver: 1};
  assert.notEqual(hashOf(await amountsOf({...v, code: "A".repeat(22)})), v.amounts_hash);
});

test("packetIs wants whole numbers", () => {
  assert.equal(packetIs([5], 1, {shard: 0, no: 0, amount: 5}), true);
  assert.equal(packetIs([5], 1, {amount: 5}), false);
});

// Recomputes tests/vectors/split.json from rain/rand_stream.h's and rain/split.h's words alone, in another language.
//   node split_vectors.mjs --check FILE    exit 1 when the file differs
//   node split_vectors.mjs --write FILE
import { createCipheriv, createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const sha = (algorithm, ...parts) => {
  const h = createHash(algorithm);
  for (const p of parts) h.update(p);
  return h.digest();
};

class RandStream {
  constructor(seed, code, version) {
    const ver = Buffer.alloc(4);
    ver.writeUInt32LE(version);
    this.cipher = createCipheriv("chacha20", sha("sha256", seed, code, ver), Buffer.alloc(16));
  }
  next() {
    return this.cipher.update(Buffer.alloc(8)).readBigUInt64LE();
  }
  below(n) {
    const skip = 2n ** 64n % n;
    for (;;) {
      const x = this.next();
      if (x >= skip) return x % n;
    }
  }
}

function shuffle(r, x) {
  for (let i = x.length; i > 1; i--) {
    const j = Number(r.below(BigInt(i)));
    [x[i - 1], x[j]] = [x[j], x[i - 1]];
  }
  return x;
}

function doubleMean(r, T, n, lo, hi) {
  const x = [];
  let rest = T;
  for (let m = BigInt(n); m > 1n; m--) {
    const a = rest - lo * m;
    const b = hi * m - rest;
    const w = 2n * (a < b ? a : b);
    const top = w / m + (r.below(m) < w % m ? 1n : 0n);
    const d = r.below(top + 1n);
    const v = a <= b ? lo + d : hi - d;
    x.unshift(v);
    rest -= v;
  }
  x.unshift(rest);
  return shuffle(r, x);
}

function lineCut(r, T, n, lo) {
  const L = T - lo * BigInt(n) + BigInt(n);
  const cuts = new Set();
  for (let i = 0; i < n - 1; i++) {
    const j = L - BigInt(n) + 1n + BigInt(i);
    const cut = 1n + r.below(j);
    cuts.add(cuts.has(cut) ? j : cut);
  }
  const sorted = [...cuts].sort((a, b) => (a < b ? -1 : 1));
  return [...sorted, L].map((c, i) => c - (i ? sorted[i - 1] : 0n) + lo - 1n);
}

function equal(r, T, n) {
  const N = BigInt(n);
  return shuffle(r, Array.from({ length: n }, (_, i) => T / N + (BigInt(i) < T % N ? 1n : 0n)));
}

function split(v) {
  const r = new RandStream(Buffer.from(v.seed, "hex"), v.code, v.version);
  const [T, lo, hi] = [BigInt(v.total), BigInt(v.lo), BigInt(v.hi)];
  if (v.split === "double-mean") return doubleMean(r, T, v.count, lo, hi);
  return v.split === "line-cut" ? lineCut(r, T, v.count, lo) : equal(r, T, v.count);
}

const hash = (x) => sha("sha1", x.join(",")).toString("hex");

function complete(v) {
  const seed = sha("sha256", "vector " + v.name);
  const full = { ...v, version: 1, seed: seed.toString("hex"), code: sha("sha256", "code " + v.name).toString("base64url").slice(0, 22) };
  const x = split(full);
  const sum = x.reduce((a, b) => a + b, 0n);
  if (sum !== BigInt(v.total)) throw new Error(`${v.name}: sum ${sum}`);
  full.seed_hash = sha("sha256", seed).toString("hex");
  full.amounts = x.slice(0, 10).map(Number); // the first ten; the hash covers all
  full.amounts_hash = hash(x);
  full.shard_hashes = Array.from({ length: v.shards }, (_, s) => hash(x.filter((_a, i) => i % v.shards === s)));
  return full;
}

const wanted = [
  { name: "one packet", split: "double-mean", total: 1, count: 1, lo: 1, hi: 1, shards: 1 },
  { name: "ten yuan for ten", split: "double-mean", total: 1000, count: 10, lo: 1, hi: 1000, shards: 1 },
  { name: "few fens", split: "double-mean", total: 13, count: 10, lo: 1, hi: 13, shards: 3 },
  { name: "every packet at lo", split: "double-mean", total: 500, count: 100, lo: 5, hi: 9, shards: 4 },
  { name: "every packet at hi", split: "double-mean", total: 900, count: 100, lo: 5, hi: 9, shards: 4 },
  { name: "near the upper bound", split: "double-mean", total: 19500, count: 100, lo: 100, hi: 200, shards: 4 },
  { name: "between the bounds", split: "double-mean", total: 15000, count: 100, lo: 100, hi: 200, shards: 7 },
  { name: "hundred yuan for a hundred", split: "double-mean", total: 10000, count: 100, lo: 1, hi: 10000, shards: 2 },
  { name: "as large as it gets", split: "double-mean", total: 1000000000000, count: 3, lo: 1, hi: 1000000000000, shards: 3 },
  { name: "many packets", split: "double-mean", total: 5000000, count: 20000, lo: 1, hi: 5000000, shards: 64 },
  { name: "cut once", split: "line-cut", total: 2, count: 1, lo: 1, hi: 2, shards: 1 },
  { name: "cut ten yuan", split: "line-cut", total: 1000, count: 10, lo: 1, hi: 1000, shards: 2 },
  { name: "cut at every fen", split: "line-cut", total: 50, count: 50, lo: 1, hi: 50, shards: 1 },
  { name: "cut with a floor", split: "line-cut", total: 5000, count: 40, lo: 100, hi: 5000, shards: 3 },
  { name: "cut a fortune", split: "line-cut", total: 1000000000000, count: 20000, lo: 7, hi: 1000000000000, shards: 5 },
  { name: "equal with a rest", split: "equal", total: 1003, count: 10, lo: 1, hi: 1003, shards: 3 },
  { name: "equal without a rest", split: "equal", total: 1000, count: 10, lo: 100, hi: 100, shards: 1 },
];

const [mode, file] = process.argv.slice(2);
const lines = wanted.map((v) => JSON.stringify(complete(v)));
const text = `{"about": "splits recomputable by anyone: rain/rand_stream.h and rain/split.h say how",\n "vectors": [\n${lines.join(",\n")}\n]}\n`;
if (mode === "--write") writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error(`${file} is not what ${process.argv[1]} computes`);
  process.exit(1);
}

// Recomputes tests/vectors/shard.json: home shard of a user = XXH3_64bits(user id, 8 bytes little endian) mod shards.
// XXH3 for 8 bytes and seed 0, after its specification.
//   node shard_vectors.mjs --check FILE    exit 1 when the file differs
//   node shard_vectors.mjs --write FILE
import { readFileSync, writeFileSync } from "node:fs";

const MASK = 2n ** 64n - 1n;
const SECRET_8_16 = 0x1cad21f72c81017cn; // bytes 8…15 of the default secret, little endian
const SECRET_16_24 = 0xdb979083e96dd4den; // bytes 16…23
const rotl = (x, n) => ((x << n) | (x >> (64n - n))) & MASK;

function xxh3Of8Bytes(value) {
  const low = value & 0xffffffffn;
  const high = value >> 32n;
  let h = (high + (low << 32n)) ^ (SECRET_8_16 ^ SECRET_16_24);
  h ^= rotl(h, 49n) ^ rotl(h, 24n);
  h = (h * 0x9fb21c651e98df25n) & MASK;
  h ^= (h >> 35n) + 8n;
  h = (h * 0x9fb21c651e98df25n) & MASK;
  return h ^ (h >> 28n);
}

const users = ["1", "2", "3", "42", "10001", "65536", "4294967295", "4294967296", "1234567890123", "9007199254740991", "9223372036854775807"];
const shardCounts = [1, 2, 3, 4, 7, 16, 63, 64];
const lines = users.map((user) => {
  const h = xxh3Of8Bytes(BigInt(user));
  return JSON.stringify({ user, hash: h.toString(16).padStart(16, "0"), home: shardCounts.map((s) => Number(h % BigInt(s))) });
});
const text = `{"about": "home shard = XXH3_64bits(user id, 8 bytes little endian) mod shards",\n "shards": ${JSON.stringify(shardCounts)},\n "vectors": [\n${lines.join(",\n")}\n]}\n`;

const [mode, file] = process.argv.slice(2);
if (mode === "--write") writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error(`${file} is not what ${process.argv[1]} computes`);
  process.exit(1);
}

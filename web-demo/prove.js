// Recomputes the packets of a rain from its revealed seed: anybody can check that the amounts were fixed before the first grab.
//
// The seed's SHA-256 came with RED_PACKET_CONFIG, the seed comes with RED_PACKET_RESULT. The amounts are drawn from a ChaCha20
// stream keyed by SHA-256(seed, code, version); packet i is number i div shards of shard i mod shards. WebCrypto exists in
// secure contexts only and has no ChaCha20: both primitives are here, checked against tests/vectors/split.json.

const YIELD_EVERY = 8192;
const MASK64 = (1n << 64n) - 1n;

export const SPLIT_VERSION = 1;

// ---- SHA-256 (FIPS 180-4) ----

const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) >>> 0;
const K = Uint32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const H0 = Uint32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));

const rotr = (x, n) => (x >>> n) | (x << (32 - n));
const rotl = (x, n) => (x << n) | (x >>> (32 - n));

function sha256Block(h, view, at, w) {
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const a = w[i - 15];
    const b = w[i - 2];
    w[i] = w[i - 16] + (rotr(a, 7) ^ rotr(a, 18) ^ (a >>> 3)) + w[i - 7] + (rotr(b, 17) ^ rotr(b, 19) ^ (b >>> 10));
  }
  let [a, b, c, d, e, f, g, k] = h;
  for (let i = 0; i < 64; i++) {
    const t1 = (k + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const t2 = ((rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [k, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, k].forEach((x, i) => { h[i] += x; });
}

/** @param {Uint8Array} bytes */
export function sha256(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
  const h = H0.slice();
  const w = new Uint32Array(64);
  for (let at = 0; at < padded.length; at += 64) sha256Block(h, view, at, w);
  const out = new DataView(new ArrayBuffer(32));
  h.forEach((x, i) => out.setUint32(4 * i, x));
  return new Uint8Array(out.buffer);
}

export const toHex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** null if the text is not hex. */
export function fromHex(text) {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

// ---- ChaCha20 (RFC 8439), nonce 0, from block 0 ----

class ChaCha20 {
  #state = new Uint32Array(16);
  #work = new Uint32Array(16);
  #used = 16; // words of the block

  /** @param {Uint8Array} key 32 bytes */
  constructor(key) {
    const view = new DataView(key.buffer, key.byteOffset, 32);
    this.#state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
    for (let i = 0; i < 8; i++) this.#state[4 + i] = view.getUint32(4 * i, true);
  }

  #quarter(a, b, c, d) {
    const x = this.#work;
    x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 7);
  }

  #block() {
    const x = this.#work;
    x.set(this.#state);
    for (let i = 0; i < 10; i++) {
      for (let q = 0; q < 4; q++) this.#quarter(q, q + 4, q + 8, q + 12);
      for (let q = 0; q < 4; q++) this.#quarter(q, 4 + ((q + 1) & 3), 8 + ((q + 2) & 3), 12 + ((q + 3) & 3));
    }
    for (let i = 0; i < 16; i++) x[i] += this.#state[i];
    this.#state[12] += 1;
    this.#used = 0;
  }

  /** The next 8 bytes, little endian. */
  next() {
    if (this.#used === 16) this.#block();
    this.#used += 2;
    return BigInt(this.#work[this.#used - 2]) | (BigInt(this.#work[this.#used - 1]) << 32n);
  }

  /** Uniform in 0…n-1, by rejection. */
  below(n) {
    const skip = (MASK64 - n + 1n) % n; // 2^64 mod n
    for (;;) {
      const x = this.next();
      if (x >= skip) return x % n;
    }
  }
}

// ---- the splits; generators that pause now and then ----

function* shuffle(r, x) {
  for (let i = x.length; i > 1; i--) {
    const j = Number(r.below(BigInt(i)));
    [x[i - 1], x[j]] = [x[j], x[i - 1]];
    if (i % YIELD_EVERY === 0) yield;
  }
  return x;
}

function* doubleMean(r, total, n, lo, hi) {
  const x = new Array(n);
  let rest = total;
  for (let i = n; i > 1; i--) {
    const m = BigInt(i);
    const a = rest - lo * m;
    const b = hi * m - rest;
    const w = 2n * (a < b ? a : b);
    const top = w / m + (r.below(m) < w % m ? 1n : 0n);
    const d = r.below(top + 1n);
    const v = a <= b ? lo + d : hi - d;
    x[i - 1] = Number(v);
    rest -= v;
    if (i % YIELD_EVERY === 0) yield;
  }
  x[0] = Number(rest);
  return yield* shuffle(r, x);
}

function* lineCut(r, total, n, lo) {
  const length = total - lo * BigInt(n) + BigInt(n);
  const cuts = new Set();
  for (let i = 0; i < n - 1; i++) {
    const j = length - BigInt(n) + 1n + BigInt(i);
    const cut = Number(1n + r.below(j));
    cuts.add(cuts.has(cut) ? Number(j) : cut);
    if (i % YIELD_EVERY === 0) yield;
  }
  const sorted = Float64Array.from(cuts).sort();
  return [...sorted, Number(length)].map((c, i) => c - (i ? sorted[i - 1] : 0) + Number(lo) - 1);
}

function* equal(r, total, n) {
  const each = Number(total / BigInt(n));
  const more = Number(total % BigInt(n));
  return yield* shuffle(r, Array.from({length: n}, (_, i) => each + (i < more ? 1 : 0)));
}

function begin({seed, code, split, split_ver: version, total, count, lo, hi}) {
  const bytes = fromHex(seed);
  const numbers = [total, count, lo, hi].every((v) => Number.isSafeInteger(v) && v > 0);
  if (bytes?.length !== 32 || !numbers || version !== SPLIT_VERSION || lo * count > total) return null;
  if (split !== "line-cut" && hi * count < total) return null;
  const material = new Uint8Array([...bytes, ...new TextEncoder().encode(code), version, 0, 0, 0]);
  const r = new ChaCha20(sha256(material));
  const top = Math.min(hi, total); // a larger one never binds
  if (split === "double-mean") return doubleMean(r, BigInt(total), count, BigInt(lo), BigInt(top));
  if (split === "line-cut") return lineCut(r, BigInt(total), count, BigInt(lo));
  return split === "equal" ? equal(r, BigInt(total), count) : null;
}

/**
 * The amounts in fen, in order of the whole rain; null if the numbers allow no split of this version.
 * @param {{seed, code, split, split_ver, total, count, lo, hi}} spec  seed: 64 hex digits
 * @param {() => Promise} [pause]  awaited now and then: a large rain must not freeze a page
 */
export async function amountsOf(spec, pause = async () => {}) {
  const steps = begin(spec);
  if (!steps) return null;
  for (;;) {
    const {done, value} = steps.next();
    if (done) return value;
    await pause();
  }
}

export function seedHash(seed) {
  const bytes = fromHex(seed);
  return bytes ? toHex(sha256(bytes)) : null;
}

/** True if packet `no` of `shard` holds `amount`. */
export function packetIs(amounts, shards, {shard, no, amount}) {
  return Number.isSafeInteger(shard) && Number.isSafeInteger(no) && shard >= 0 && shard < shards && no >= 0
    && amounts[no * shards + shard] === amount;
}

/**
 * @param {object} result     payload of RED_PACKET_RESULT
 * @param {string|null} announced  seed_hash of the RED_PACKET_CONFIG this page saw; null: it saw none
 * @param {{shard, no, amount}[]} packets  to be compared
 * @returns {{ok, hashOk, sumOk, boundsOk, packets: boolean[]}}
 */
export async function prove(result, announced, packets, pause = undefined) {
  const spec = {
    seed: result.seed, code: result.config_code, split: result.split, split_ver: result.split_ver,
    total: result.total_price, count: result.total_count, lo: result.lo, hi: result.hi,
  };
  const hash = seedHash(spec.seed);
  const hashOk = hash !== null && hash === result.seed_hash && (announced === null || hash === announced);
  const amounts = await amountsOf(spec, pause);
  if (!amounts) return {ok: false, hashOk, sumOk: false, boundsOk: false, packets: packets.map(() => false)};
  const sumOk = amounts.reduce((sum, fen) => sum + fen, 0) === spec.total;
  const boundsOk = amounts.every((fen) => fen >= spec.lo && (spec.split === "line-cut" || fen <= spec.hi));
  const each = packets.map((packet) => packetIs(amounts, result.shards, packet));
  return {ok: hashOk && sumOk && boundsOk && each.every(Boolean), hashOk, sumOk, boundsOk, packets: each};
}

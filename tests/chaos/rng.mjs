// Random numbers from a seed: the same seed, the same schedule.

/** A stream of numbers named by (seed, name): streams with different names do not disturb each other. */
export function rngOf(seed, name) {
  let h = 0x811c9dc5;
  for (const c of `${seed}/${name}`) h = Math.imul(h ^ c.codePointAt(0), 0x01000193) >>> 0;
  let a = h;
  const next = () => { // mulberry32
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (lo, hi) => lo + Math.floor(next() * (hi - lo + 1));
  return {
    next,
    int,
    chance: (p) => next() < p,
    pick: (list) => list[int(0, list.length - 1)],
    /** weights: {name: n} */
    weighted(weights) {
      const all = Object.entries(weights);
      let at = next() * all.reduce((sum, [, n]) => sum + n, 0);
      for (const [name, n] of all) {
        at -= n;
        if (at < 0) return name;
      }
      return all.at(-1)[0];
    },
    shuffle(list) {
      const out = [...list];
      for (let i = out.length - 1; i > 0; i -= 1) {
        const j = int(0, i);
        [out[i], out[j]] = [out[j], out[i]];
      }
      return out;
    },
  };
}

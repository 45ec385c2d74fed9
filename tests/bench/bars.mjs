// What each suite is held to. A row: text, the value, and whether it is enough.
const least = (text, value, bar) => ({text: `${text} >= ${bar}`, value, met: value !== null && value >= bar});
const most = (text, value, bar) => ({text: `${text} <= ${bar}`, value, met: value !== null && value <= bar});

export const bars = {least, most};

/** For people: one line per bar. */
export function barLines(list) {
  return list.map((b) => `${b.met ? "met    " : "NOT MET"}  ${b.text}   (${b.value})`);
}

/** An A/A off by more than this says that the machine, not the program, was measured. */
export const AA_MAX = 0.05;
export const aaBar = (aa) => ({text: `A/A within ${AA_MAX * 100} %`, value: aa, met: aa !== null && Math.abs(aa - 1) <= AA_MAX});

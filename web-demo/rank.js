// A viewer's place among all packets of a rain, read from `hist` of RED_PACKET_RESULT.

/**
 * @param {[number, number][]} hist  [amount, n], largest first: n packets had at most this amount, and more than the next one's
 * @param {number} amount  of the packet in question, in fen
 * @returns {{place, exact, of, percent}|null} place: 1 is the largest, equal amounts share one; exact: not only estimated;
 *   of: packets counted; percent: it is among the first so many of a hundred. null: the steps cannot hold such a packet
 */
export function placeOf(hist, amount) {
  if (!Array.isArray(hist) || hist.length === 0 || !(amount > 0) || amount > hist[0][0]) return null;
  const of = hist.reduce((sum, [, n]) => sum + n, 0);
  let above = 0;
  let step = 0;
  while (step + 1 < hist.length && hist[step + 1][0] >= amount) {
    above += hist[step][1];
    step += 1;
  }
  const [hi, n] = hist[step];
  const next = hist[step + 1]?.[0] ?? 0;
  const exact = amount === hi;
  // Within a step it lies as far down as its amount does, and after the one the step is named by.
  const down = exact ? 0 : Math.min(n - 1, Math.max(1, Math.round(((hi - amount) / (hi - next)) * n)));
  const place = above + Math.max(0, down) + 1;
  return {place, exact, of, percent: Math.max(1, Math.ceil((100 * place) / of))};
}

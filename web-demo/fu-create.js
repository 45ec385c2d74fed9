// What the console's form of a campaign makes of its fields: FU_CREATE's body, or what is wrong with them. No DOM, no network.

import {parseCount, parseYuan} from "./money.js";

export const WEIGHTS = Object.freeze([3000, 2500, 2500, 1500, 500]);
export const STOCK = Object.freeze([30_000, 25_000, 25_000, 15_000, 5000]);

const WEIGHT_SUM = 10_000;
const STOCK_MAX = 10_000_000;
const WINNERS_MAX = 5000;
const DRAWS_MAX = 100;
const MINUTES_MAX = 43_200;

const within = (n, max) => n !== null && n >= 1 && n <= max;

/**
 * @param {object} f {pool (yuan), minutes, split, winners, draws, text, weights: five (%), stock: five} as typed
 * @param {number} now the server's time
 * @returns {{body: object|null, errors: Object<string, string>}} errors: field → key of a text
 */
export function fuBody(f, now) {
  const errors = {};
  const pool = parseYuan(f.pool);
  const minutes = parseCount(f.minutes);
  const winners = String(f.winners).trim() === "" ? undefined : parseCount(f.winners);
  const draws = parseCount(f.draws);
  const weights = f.weights.map(parseYuan); // % with two digits, as yuan are
  const stock = f.stock.map(parseCount);
  if (!pool || pool < (winners ?? 1)) errors.pool = "fu.c.badPool";
  if (!within(minutes, MINUTES_MAX)) errors.minutes = "fu.c.badMinutes";
  if (winners !== undefined && !within(winners, WINNERS_MAX)) errors.winners = "fu.c.badWinners";
  if (!within(draws, DRAWS_MAX)) errors.draws = "fu.c.badDraws";
  if (!weights.every((n) => within(n, WEIGHT_SUM)) || weights.reduce((a, b) => a + b) !== WEIGHT_SUM) errors.weights = "fu.c.badWeights";
  if (!stock.every((n) => within(n, STOCK_MAX))) errors.stock = "fu.c.badStock";
  if (Object.keys(errors).length) return {body: null, errors};
  const body = {
    pool, share_at: Math.round(now) + minutes * 60_000, split: f.split, day_draws: draws, text: String(f.text).trim(),
    weights: weights.join(), stock: stock.join(),
  };
  if (winners !== undefined) body.winners = winners;
  return {body, errors};
}

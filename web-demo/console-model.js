// What the console computes: the create form's rules, a rain's shown state, the books' line.
// No DOM, no network.

import {parseCount, parseYuan} from "./money.js";

export const COUNT_MAX = 1000000;
const LIMIT_MAX = 1000;
const START_COUNTDOWN_MAX_S = 3600;
const START_DURATION_MAX_S = 86400;

/**
 * Checks the create form.
 * @param form    {total, count, limit, lo, split, text} as typed
 * @param balance fen in the wallet, or null if not known yet
 * @param money   (fen) => text
 * @returns {{errors: Object<string, [key, vars]>, body: object|null, meanFen: number|null}}
 *          body is CREATE's body without biz_id, null if there are errors
 */
export function checkCreate(form, balance, money) {
  const errors = {};
  const total = parseYuan(form.total);
  const count = parseCount(form.count);
  const limit = parseCount(form.limit);
  const lo = parseYuan(form.lo);
  if (lo === null || lo < 1) errors.lo = ["e.lo"];
  if (count === null || count < 1 || count > COUNT_MAX) errors.count = ["e.count", {max: COUNT_MAX}];
  const limitMax = errors.count ? LIMIT_MAX : Math.min(count, LIMIT_MAX);
  if (limit === null || limit < 1 || limit > limitMax) errors.limit = ["e.limit", {max: limitMax}];
  if (total === null) errors.total = ["e.total"];
  else if (total === 0) errors.total = ["e.totalZero"];
  else if (!errors.count && !errors.lo && total < count * lo) {
    errors.total = ["e.totalSmall", {min: money(count * lo)}];
  } else if (balance !== null && total > balance) {
    errors.total = ["e.balance", {balance: money(balance)}];
  }
  const ok = Object.keys(errors).length === 0;
  const meanFen = total && count ? (total - (total % count)) / count : null;
  const body = ok ? {total, count, split: form.split, limit, lo, text: form.text.trim()} : null;
  return {errors, body, meanFen};
}

/** Checks the start form; null if a number is out of range. */
export function checkStart(countdown, duration) {
  const c = parseCount(countdown);
  const d = parseCount(duration);
  if (c === null || c < 1 || c > START_COUNTDOWN_MAX_S) return null;
  if (d === null || d < 1 || d > START_DURATION_MAX_S) return null;
  return {countdown_ms: c * 1000, duration_ms: d * 1000};
}

/** The state shown: SENT is told apart by the clock. */
export function shownState(rain, now) {
  if (rain.status !== "SENT") return rain.status;
  if (now === null || !rain.open_at) return "COUNTDOWN";
  if (now < rain.open_at) return "COUNTDOWN";
  return now < rain.end_at ? "OPEN" : "ENDED";
}

/**
 * Where the money of a rain is. remain_fen is what the escrow still holds: what nobody took and
 * what was granted but is not settled yet. balanced: the parts make the total.
 */
export function books(rain) {
  const pending = Math.max(0, rain.granted_fen - rain.settled_fen);
  const remain = Math.max(0, rain.remain_fen - pending);
  return {
    settled: rain.settled_fen, pending: Math.min(pending, rain.remain_fen), remain,
    refunded: rain.refunded_fen, total: rain.total,
    balanced: rain.settled_fen + rain.remain_fen + rain.refunded_fen === rain.total,
  };
}

/** The biz_id of a create: the same for the same content until it succeeded. */
export class CreateTicket {
  #storage;
  #key;

  constructor(storage, room) {
    this.#storage = storage;
    this.#key = `redrain.create.${room}`;
  }

  /** biz_id for this body; a changed body is another rain. */
  take(body) {
    const content = JSON.stringify(body);
    try {
      const kept = JSON.parse(this.#storage.getItem(this.#key) ?? "null");
      if (kept?.content === content && typeof kept.id === "string") return kept.id;
    } catch {
      // unreadable: a new one
    }
    const id = [...crypto.getRandomValues(new Uint8Array(16))]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#storage.setItem(this.#key, JSON.stringify({content, id}));
    return id;
  }

  /** The create was answered OK: the next one is another rain. */
  done() {
    this.#storage.removeItem(this.#key);
  }
}

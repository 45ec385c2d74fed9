// What the console computes: the create form's rules, a rain's shown state, the books' line.
// No DOM, no network.

import {parseCount, parseYuan} from "./money.js";

export const COUNT_MAX = 1000000;
const LIMIT_MAX = 1000;
const START_COUNTDOWN_MAX_S = 3600;
const DURATION_MAX_S = 86400;
const AT_MIN_MS = 15000;
const AT_MAX_MS = 7 * 86400000;
const NOW_COUNTDOWN_S = 5;
const USERS = /^[1-9]\d{0,18}$/;
const USERS_BYTES = 2400;

/** Kinds an anchor may create; users: none, some, one. */
export const KINDS = Object.freeze({
  rain: {users: "none", durationS: 30, splits: ["double-mean", "line-cut", "equal"]},
  group: {users: "none", durationS: 86400, splits: ["double-mean", "line-cut"]},
  equal: {users: "none", durationS: 86400, splits: ["equal"]},
  enterprise: {users: "some", durationS: 86400, splits: ["equal", "double-mean", "line-cut"]},
  personal: {users: "one", durationS: 86400, splits: ["equal"]},
});

/** "1, 2，3" → ["1", "2", "3"]; null if one of them is no user id or they are too many. */
export function parseUsers(text) {
  const ids = [...new Set(String(text).split(/[\s,，、;]+/).filter(Boolean))];
  return ids.every((id) => USERS.test(id)) && ids.join(",").length <= USERS_BYTES ? ids : null;
}

function checkUsers(form, kind, count, errors) {
  if (kind.users === "none") return [];
  const ids = parseUsers(form.users ?? "");
  if (!ids?.length) errors.users = ["e.users"];
  else if (kind.users === "one" && ids.length !== 1) errors.users = ["e.usersOne"];
  else if (count !== null && count > ids.length) errors.users = ["e.usersMore"];
  return ids ?? [];
}

/** How and when it starts; begin: {mode, countdownMs?, startAt?}. */
function checkBegin(form, now, errors) {
  const mode = form.begin ?? "manual";
  if (mode === "now") return {mode, countdownMs: NOW_COUNTDOWN_S * 1000};
  if (mode === "after") {
    const secs = parseCount(form.after);
    if (secs === null || secs < 1 || secs > START_COUNTDOWN_MAX_S) errors.after = ["e.after"];
    return {mode, countdownMs: secs * 1000};
  }
  if (mode === "at") {
    const startAt = new Date(form.at).getTime();
    if (!(startAt >= now + AT_MIN_MS && startAt <= now + AT_MAX_MS)) errors.at = ["e.at"];
    return {mode, startAt};
  }
  return {mode: "manual"};
}

function checkMoney(form, count, lo, balance, money, errors) {
  const total = parseYuan(form.total);
  if (total === null) errors.total = ["e.total"];
  else if (total === 0) errors.total = ["e.totalZero"];
  else if (!errors.count && !errors.lo && total < count * lo) {
    errors.total = ["e.totalSmall", {min: money(count * lo)}];
  } else if (balance !== null && total > balance) {
    errors.total = ["e.balance", {balance: money(balance)}];
  }
  return total;
}

/**
 * Checks the create form.
 * @param form    {total, count, limit, lo, split, text, kind?, users?, duration?, begin?, after?, at?} as typed
 * @param balance fen in the wallet, or null if not known yet
 * @param money   (fen) => text
 * @param now     server time in ms
 * @returns {{errors: Object<string, [key, vars]>, body: object|null, begin: object, meanFen: number|null}}
 *          body is CREATE's body without biz_id, null if there are errors
 */
export function checkCreate(form, balance, money, now = Date.now()) {
  const errors = {};
  const name = form.kind ?? "rain";
  const kind = KINDS[name];
  const count = kind.users === "one" ? 1 : parseCount(form.count);
  const limit = kind.users === "one" ? 1 : parseCount(form.limit);
  const lo = parseYuan(form.lo);
  const duration = form.duration === undefined ? kind.durationS : parseCount(form.duration);
  if (lo === null || lo < 1) errors.lo = ["e.lo"];
  if (count === null || count < 1 || count > COUNT_MAX) errors.count = ["e.count", {max: COUNT_MAX}];
  const limitMax = errors.count ? LIMIT_MAX : Math.min(count, LIMIT_MAX);
  if (limit === null || limit < 1 || limit > limitMax) errors.limit = ["e.limit", {max: limitMax}];
  if (duration === null || duration < 1 || duration > DURATION_MAX_S) errors.duration = ["e.duration"];
  const total = checkMoney(form, count, lo, balance, money, errors);
  const users = checkUsers(form, kind, count, errors);
  const begin = checkBegin(form, now, errors);
  const ok = Object.keys(errors).length === 0;
  const meanFen = total && count ? (total - (total % count)) / count : null;
  const split = kind.splits.includes(form.split) ? form.split : kind.splits[0];
  const body = ok ? {
    total, count, split, limit, lo, text: form.text.trim(), duration_ms: duration * 1000,
    ...(name === "rain" ? {} : {kind: name}), ...(users.length ? {users: users.join(",")} : {}),
    ...(begin.mode === "at" ? {start_at: begin.startAt} : {}),
  } : null;
  return {errors, body, begin, meanFen};
}

/** Checks the start form; null if a number is out of range. */
export function checkStart(countdown, duration) {
  const c = parseCount(countdown);
  const d = parseCount(duration);
  if (c === null || c < 1 || c > START_COUNTDOWN_MAX_S) return null;
  if (d === null || d < 1 || d > DURATION_MAX_S) return null;
  return {countdown_ms: c * 1000, duration_ms: d * 1000};
}

/** The state shown: SENT is told apart by the clock, CREATED by a start that was set. */
export function shownState(rain, now) {
  if (["CREATED", "PREPARED"].includes(rain.status) && rain.start_at > 0) return "SCHEDULED";
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

/** What may be said of a rain's books: "wait", "running", "ok" or "bad". The checker's word alone makes a tick. */
export function verdict(rain, check) {
  if (!["SETTLED", "CANCELLED"].includes(rain.status)) return "wait";
  if (!check) return "running";
  const sum = check.settled_fen + check.refunded_fen;
  return check.findings === 0 && check.unaccounted_fen === 0 && check.remain_fen === 0 && sum === rain.total ? "ok" : "bad";
}

/** "total=100 count=5" → {total: "100", count: "5"}: the detail of an audit row. */
export function parseDetail(detail) {
  return Object.fromEntries([...detail.matchAll(/(\w+)=(\S*)/g)].map(([, key, value]) => [key, value]));
}

/** Fields a template keeps; anything else in a stored one is ignored. */
const TEMPLATE_FIELDS = ["total", "count", "limit", "lo", "split", "text", "kind", "duration"];

export function templateOf(form) {
  return JSON.stringify(Object.fromEntries(TEMPLATE_FIELDS.map((name) => [name, form[name] ?? ""])));
}

/** A stored template's fields as texts, or null if it cannot be read. */
export function readTemplate(spec) {
  try {
    const value = JSON.parse(spec);
    if (typeof value !== "object" || value === null) return null;
    const known = TEMPLATE_FIELDS.filter((name) => typeof value[name] === "string");
    return Object.fromEntries(known.map((name) => [name, value[name].slice(0, 200)]));
  } catch {
    return null;
  }
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

// What the console knows: rains, money, who is here, two series for the charts. No DOM, no network.

import {books, shownState} from "./console-model.js";

export const SERIES_MAX = 180; // seconds the charts show
const FINISHED = new Set(["SETTLED", "CANCELLED"]);

export const isOver = (rain) => FINISHED.has(rain.status);

export class ConsoleStore {
  rains = []; // STATS' rows, newest first, merged with newer pushes
  results = new Map(); // code → RED_PACKET_RESULT
  checks = new Map(); // code → CHECK's answer
  recovering = new Set(); // codes
  picked = null; // code chosen by hand
  balance = null;
  lagMs = null;
  online = null;
  delivery = null;
  rate = 0;
  series = {t: [], online: [], rate: []};
  #granted = null; // sum at the last sample
  #sampledAt = null;

  /** The rain shown: the chosen one, else the newest that is not over, else the newest. */
  current() {
    return this.rains.find((rain) => rain.code === this.picked)
      ?? this.rains.find((rain) => !isOver(rain)) ?? this.rains[0] ?? null;
  }

  onStats(body) {
    const old = new Map(this.rains.map((rain) => [rain.code, rain]));
    this.rains = body.rains.map((rain) => {
      const before = old.get(rain.code);
      // A tick may have been newer than this answer; counts only grow.
      if (!before || isOver(rain)) return rain;
      return {
        ...rain, granted: Math.max(rain.granted, before.granted),
        granted_fen: Math.max(rain.granted_fen, before.granted_fen),
      };
    });
    this.rains.sort((a, b) => b.created_at - a.created_at);
    this.balance = body.balance ?? this.balance;
    this.lagMs = Number.isFinite(body.lag_ms) ? body.lag_ms : null;
    this.online = body.online ?? this.online;
    this.delivery = body.delivery ?? this.delivery;
    for (const rain of this.rains) if (isOver(rain)) this.recovering.delete(rain.code);
  }

  onTick(tick) {
    const rain = this.rains.find((r) => r.code === tick.config_code);
    if (!rain || tick.granted < rain.granted) return false;
    rain.granted = tick.granted;
    rain.granted_fen = Math.max(rain.granted_fen, tick.granted_price);
    return true;
  }

  onState({config_code: code, state}) {
    if (state === "RECOVERING") this.recovering.add(code);
    else this.recovering.delete(code);
  }

  /** State shown of a rain. */
  stateOf(rain, now) {
    const state = shownState(rain, now);
    return this.recovering.has(rain.code) && !isOver(rain) ? "RECOVERING" : state;
  }

  /** Once a second, in server time: one more point of each series. */
  sample(nowMs) {
    const granted = this.rains.reduce((sum, rain) => sum + rain.granted, 0);
    const secs = this.#sampledAt === null ? 0 : (nowMs - this.#sampledAt) / 1000;
    // A rain that came with STATS was not granted in this second.
    const fresh = this.#granted === null || secs <= 0 ? 0 : Math.max(0, granted - this.#granted.sum);
    const known = this.#granted?.n === this.rains.length;
    this.rate = known && secs > 0 ? Math.round(fresh / secs) : 0;
    this.#granted = {sum: granted, n: this.rains.length};
    this.#sampledAt = nowMs;
    this.series.t.push(nowMs / 1000);
    this.series.online.push(this.online);
    this.series.rate.push(this.rate);
    for (const values of Object.values(this.series)) if (values.length > SERIES_MAX) values.shift();
  }

  /** Whether STATS must be asked often: something moves. */
  busy() {
    return this.rains.some((rain) => !isOver(rain) || books(rain).pending > 0);
  }
}

/** Share of what should have been received, 0…1; null: nothing was sent yet. */
export function deliveredShare(delivery) {
  if (!delivery || delivery.expected <= 0) return null;
  // Replaced by a newer one is not lost; still queued is not either.
  return 1 - Math.min(1, Math.max(0, delivery.closed + delivery.lost) / delivery.expected);
}

/** Share of grabs that ended in a failure of ours, 0…1; null: none was asked yet. */
export function errorShare(delivery) {
  if (!delivery || !(delivery.grabs > 0)) return null;
  return Math.min(1, delivery.grabs_failed / delivery.grabs);
}

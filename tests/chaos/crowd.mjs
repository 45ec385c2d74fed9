// The viewers of all rooms, and what they know of the rains together.
import {rngOf} from "./rng.mjs";
import {Viewer} from "./viewer.mjs";

export class Crowd {
  rains = new Map(); // code → {code, room, openAt, endAt, ended}
  thinkMs = 130;
  cutRate = 0.004;
  twinRate = 0.02;

  constructor({world, rooms, perRoom, seed}) {
    this.world = world;
    this.viewers = rooms.flatMap((room, r) => Array.from({length: perRoom}, (_, i) => {
      const user = 7001 + r * 1000 + i;
      return new Viewer({user, room, crowd: this, rng: rngOf(seed, `viewer ${user}`)});
    }));
  }

  async connect() { await Promise.all(this.viewers.map((v) => v.line())); }

  onPush(room, biz, payload) {
    const code = payload?.config_code;
    if (!code) return;
    if (biz === "RED_PACKET_CONFIG") this.#config(room, code, payload);
    const rain = this.rains.get(code);
    if (rain && ["RED_PACKET_END", "RED_PACKET_RESULT", "RED_PACKET_CANCEL"].includes(biz)) rain.ended = true;
  }

  #config(room, code, payload) {
    const known = this.rains.get(code);
    if (known) {
      known.endAt = Math.max(known.endAt, payload.end_at);
      return;
    }
    this.rains.set(code, {code, room, openAt: payload.open_at, endAt: payload.end_at, limit: payload.limit, ended: false});
    for (const viewer of this.viewers) if (viewer.room === room) viewer.play(code);
  }

  isOpen(code, now = Date.now()) {
    const rain = this.rains.get(code);
    return Boolean(rain) && !rain.ended && now >= rain.openAt && now < rain.endAt;
  }

  /** Grabs without a final answer in rains that are open now. */
  exposed() {
    const now = Date.now();
    let n = 0;
    for (const viewer of this.viewers) {
      for (const flight of viewer.open.values()) n += flight.asks > 0 && this.isOpen(flight.code, now);
    }
    return n;
  }

  unresolved() { return this.viewers.reduce((n, v) => n + v.open.size, 0); }
  idle() { return this.viewers.every((v) => v.idle()); }

  /** True when the books say that nothing can be granted in it any more. */
  async over(code) {
    const [row] = await this.world.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]).catch(() => []);
    return Boolean(row) && (row.status === 5 || row.status === 6);
  }

  count(test) { return this.viewers.reduce((n, v) => n + v.log.reduce((m, e) => m + (test(e) ? 1 : 0), 0), 0); }

  end() { for (const viewer of this.viewers) viewer.end(); }
}

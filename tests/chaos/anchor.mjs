// The anchor of a room plays one rain after another. A step is asked for until it is answered; sometimes the anchor goes away.
import {OP} from "../../web-demo/constants.js";
import {Line} from "./line.mjs";
import {sleep} from "./world.mjs";

const STEP_PAUSE_MS = 200;
const STATUS_OVER = new Set(["CLOSING", "SETTLED", "CANCELLED"]);

/** What the rain is like, drawn from the anchor's own numbers. */
export function rainSpec(rng, viewers, n, biz) {
  const kind = rng.weighted({soldOut: 3, leftovers: 4, single: 1, long: 2});
  const limit = kind === "single" ? 1 : rng.int(25, 60);
  const wanted = viewers * limit;
  const count = {soldOut: Math.max(8, Math.floor(wanted * 0.5)), leftovers: Math.floor(wanted * 1.2) + 20,
    single: viewers + rng.int(-4, 10), long: Math.floor(wanted * 0.9)}[kind];
  return {
    kind,
    create: {biz_id: `${biz}-${n}`, total: count * rng.int(20, 300), count, limit, shards: rng.pick([1, 2, 3, 5, 8]),
      split: rng.pick(["double-mean", "line-cut", "equal"]), text: `rain ${n}`},
    countdownMs: rng.int(200, 900),
    durationMs: kind === "single" ? rng.int(2000, 3000) : rng.int(5000, 9000),
    end: rng.weighted({itself: 4, close: 2, extend: 2, gone: 2}),
    goneAt: rng.pick(["start", "started"]),
    at: 0.4 + rng.next() * 0.5,
  };
}

export class Anchor {
  #line = null;
  #serverNo = 0;

  constructor({world, crowd, room, user, rng, rains, note}) {
    Object.assign(this, {world, crowd, room, user, rng, rains, note, stopped: false, played: 0});
    if (crowd) this.viewers = crowd.viewers.filter((v) => v.room === room).length;
  }

  onPush({biz_code, payload}) { this.crowd.onPush(this.room, biz_code, payload); }
  onClose(line) { if (this.#line === line) this.#line = null; }

  async #open() {
    if (this.#line?.isOpen) return this.#line;
    this.#serverNo += 1;
    const server = this.#serverNo % 2 ? "a" : "b";
    this.#line = await Line.open(this.world.wsUrl(server), {origin: this.world.origin,
      token: this.world.mint(this.user, "anchor", this.room), room: this.room, owner: this}).catch(() => null);
    return this.#line;
  }

  /** One request: {name, …}, or null when there was no answer. */
  async ask(op, body) {
    const line = await this.#open();
    return line ? line.request(op, body).catch(() => null) : null;
  }

  /** Asks until wanted(reply) says something; null after ms. */
  async insist(op, body, wanted, ms = 120_000) {
    const deadline = Date.now() + ms;
    while (Date.now() < deadline) {
      const reply = await this.ask(op, body);
      const value = reply && wanted(reply);
      if (value) return value;
      await sleep(STEP_PAUSE_MS);
    }
    return null;
  }

  async #status(code) {
    const reply = await this.ask(OP.STATS, {code});
    return reply?.name === "OK" ? reply.rains[0] : null;
  }

  /** Asks for a step; what CONFLICT means is read from the state. Returns the state reached, or null after ms. */
  async #step(op, body, reached, ms) {
    const deadline = Date.now() + ms;
    while (Date.now() < deadline) {
      const reply = await this.ask(op, body);
      if (reply && (reply.name === "OK" || reply.name === "PENDING")) return reply.status ?? "PENDING";
      const now = await this.#status(body.code);
      if (now && (reached.has(now.status) || STATUS_OVER.has(now.status))) return now.status;
      await sleep(STEP_PAUSE_MS);
    }
    return null;
  }

  #leave() {
    this.#line?.cut();
    this.#line = null;
  }

  async #begin(rain) {
    const {spec} = rain;
    rain.code = await this.insist(OP.CREATE, spec.create, (r) => r.name === "OK" && r.code);
    if (!rain.code) return false;
    rain.acked = true;
    const prepared = await this.#step(OP.PREPARE, {code: rain.code}, new Set(["PREPARED", "SENT"]), 20_000);
    if (prepared === null) return false;
    const start = {code: rain.code, countdown_ms: spec.countdownMs, duration_ms: spec.durationMs};
    if (spec.end === "gone" && spec.goneAt === "start") {
      const line = await this.#open();
      line?.ask(OP.START, start, () => {});
      await sleep(30);
      this.#leave();
    }
    // Of an anchor that went away the page comes back as another one: it finds the rain started, or starts it.
    return await this.#step(OP.START, start, new Set(["SENT"]), 15_000) !== null;
  }

  async #giveUp(rain) {
    if (!rain.code) return;
    rain.givenUp = await this.#step(OP.CANCEL, {code: rain.code}, new Set(["CANCELLED", "SENT"]), 30_000);
  }

  /** Rain time is the clock of this machine: all run here. */
  async #whileOpen(rain) {
    const known = () => this.crowd.rains.get(rain.code);
    const {spec} = rain;
    if (spec.end === "gone") this.#leave();
    const deadline = Date.now() + spec.countdownMs + spec.durationMs * 3 + 5000;
    while (!known() && Date.now() < deadline) await sleep(50);
    const seen = known();
    if (!seen) return;
    await sleep(Math.max(0, seen.openAt + spec.at * spec.durationMs - Date.now()));
    if (spec.end === "close") await this.#step(OP.CLOSE, {code: rain.code}, STATUS_OVER, 10_000);
    if (spec.end === "extend") await this.ask(OP.EXTEND, {code: rain.code, add_ms: 1500 + Math.floor(spec.at * 2000)});
    while (Date.now() < Math.min(deadline, known().endAt + 100) && !known().ended) await sleep(50);
  }

  /** One rain after another until stopped. */
  async run() {
    while (!this.stopped) {
      const spec = rainSpec(this.rng, this.viewers, this.played, `${this.room}-${this.user}`);
      const rain = {spec, room: this.room, sender: this.user, total: spec.create.total, reqId: spec.create.biz_id};
      this.played += 1;
      this.rains.push(rain);
      if (await this.#begin(rain)) await this.#whileOpen(rain);
      else await this.#giveUp(rain);
      await sleep(50);
    }
    this.#leave();
  }

  end() {
    this.stopped = true;
    this.#leave();
  }
}

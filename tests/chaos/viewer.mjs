// A viewer who gives up nothing and writes everything down: each request, each answer, each push that concerns money.
import {OP} from "../../web-demo/constants.js";
import {Line} from "./line.mjs";
import {sleep} from "./world.mjs";

const FINAL_NO = new Set(["SOLD_OUT", "LIMIT", "ENDED"]);
const ASK_AGAIN_MS = 2500;
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 1000;
const FORGOTTEN_MS = 5000; // a rain no worker knows any more is looked up in the books

export class Viewer {
  #line = null;
  #connecting = null;
  #twinOpening = null;
  #servers;
  #backoffMs = RECONNECT_MIN_MS;

  /** crowd: {world, rains: Map code → rain as the room's pushes tell it, over(code)}, rng: of this viewer. */
  constructor({user, room, crowd, rng}) {
    Object.assign(this, {user, room, crowd, rng, log: [], open: new Map(), playing: new Map(), stopped: false, lines: 0});
    this.#servers = rng.shuffle(["a", "b"]);
  }

  note(kind, fields) { this.log.push({at: Date.now(), kind, ...fields}); }

  // ---- the socket ----

  onPush({biz_code, payload}) {
    if (biz_code === "GRAB_RESULT") {
      this.note("push", {biz: biz_code, ...payload});
      if (payload.result === 0) this.#resolved(payload.code, payload.seq, "OK", payload);
    } else if (biz_code === "GRANT_SETTLED") {
      this.note("push", {biz: biz_code, ...payload});
    } else {
      this.crowd.onPush(this.room, biz_code, payload);
    }
  }

  onClose(line, code) {
    if (this.#line !== line) return;
    this.#line = null;
    this.note("closed", {close: code});
  }

  async #connect() {
    const server = this.#servers[this.lines % this.#servers.length];
    this.lines += 1;
    try {
      const line = await Line.open(this.crowd.world.wsUrl(server), {
        origin: this.crowd.world.origin, token: this.token ??= this.crowd.world.mint(this.user, "viewer", this.room),
        room: this.room, owner: this});
      this.#backoffMs = RECONNECT_MIN_MS;
      this.#line = line;
      this.note("joined", {server});
      for (const {biz_code, payload} of line.joined.rains) this.crowd.onPush(this.room, biz_code, payload);
      return line;
    } catch {
      await sleep(this.#backoffMs * (0.5 + this.rng.next() / 2));
      this.#backoffMs = Math.min(this.#backoffMs * 2, RECONNECT_MAX_MS);
      return null;
    }
  }

  /** The open line, or null after one try. */
  async line() {
    if (this.#line?.isOpen) return this.#line;
    this.#connecting ??= this.#connect().finally(() => { this.#connecting = null; });
    return this.#connecting;
  }

  /** A second page of the same user, on the other server: open when it was wanted before. */
  #twin() {
    if (this.twinLine?.isOpen) return this.twinLine;
    this.#twinOpening ??= Line.open(this.crowd.world.wsUrl(this.#servers[this.lines % 2]), {
      origin: this.crowd.world.origin, token: this.token, room: this.room,
      owner: {onPush: (body) => this.onPush(body), onClose: () => {}}})
      .then((line) => { this.twinLine = line; }, () => {}).finally(() => { this.#twinOpening = null; });
    return null;
  }

  // ---- grabs ----

  #key(code, seq) { return `${code}/${seq}`; }

  #resolved(code, seq, name, body) {
    const flight = this.open.get(this.#key(code, seq));
    if (!flight) return;
    this.open.delete(this.#key(code, seq));
    flight.resolve({name, ...body});
  }

  /** Sends one GRAB; over(name) when it has an answer that ends the wait for it. */
  #ask(flight, line, over) {
    const {code, seq, again} = flight;
    flight.asks += 1;
    const ask = flight.asks;
    flight.again = true;
    this.note("ask", {code, seq, ask, again});
    line.ask(OP.GRAB, again ? {code, seq, again} : {code, seq}, (name, body) => {
      this.note("answer", {code, seq, ask, name, ...(name === "OK" ? {shard: body.shard, no: body.no, amount: body.amount} : {}),
        ...(body.seq !== undefined && body.seq !== seq ? {otherSeq: body.seq} : {}),
        ...(body.next !== undefined ? {next: body.next} : {})});
      if (name === "PENDING") flight.maybeWon = true;
      else if (name === "OK") this.#resolved(code, seq, name, body);
      else if (name !== "CLOSED" && ask === flight.asks) { // a "no" counts as the answer to the newest question only
        if (FINAL_NO.has(name)) this.#resolved(code, seq, name, body);
        else flight.refused = {name, retryMs: body.retry_after_ms ?? 150};
      }
      over(name);
    });
  }

  /** One attempt is over when answered, when nothing came for a while, or when the line is gone. */
  #attempt(flight, line) {
    return new Promise((resolve) => {
      let timer = setTimeout(resolve, ASK_AGAIN_MS);
      this.#ask(flight, line, (name) => {
        clearTimeout(timer);
        if (name === "PENDING") timer = setTimeout(resolve, ASK_AGAIN_MS);
        else resolve();
      });
      if (this.rng.chance(this.crowd.cutRate)) setTimeout(() => line.cut(), this.rng.int(0, 40));
      const twin = this.rng.chance(this.crowd.twinRate) && this.#twin();
      if (twin) {
        flight.maybeWon = true; // whatever one of the two hears, the other one may have won
        this.#ask(flight, twin, () => {});
      }
    });
  }

  /** The final answer of (code, seq): {name: "OK" | a final no | "GIVEN_UP"}. */
  async grab(code, seq) {
    const flight = {code, seq, again: false, asks: 0};
    flight.done = new Promise((resolve) => { flight.resolve = resolve; });
    flight.done.then(() => { flight.isDone = true; });
    this.open.set(this.#key(code, seq), flight);
    let lost = 0;
    while (!flight.isDone && !this.stopped) {
      const line = await this.line();
      if (!line || flight.isDone) continue;
      const before = flight.again;
      flight.refused = null;
      await Promise.race([this.#attempt(flight, line), flight.done]);
      if (flight.isDone || !flight.refused) continue;
      const {name, retryMs} = flight.refused;
      flight.again = before || Boolean(flight.maybeWon); // that attempt was looked at and won nothing
      if (name === "NOT_FOUND") {
        lost = lost || Date.now();
        if (Date.now() - lost > FORGOTTEN_MS) await this.#askBooks(flight);
      } else {
        lost = 0;
      }
      await Promise.race([sleep(retryMs * (0.7 + this.rng.next() / 2)), flight.done]);
    }
    return flight.isDone ? flight.done : {name: "GIVEN_UP"};
  }

  /** A rain that no worker knows any more: what the books say of it is final once it is over. */
  async #askBooks(flight) {
    const over = await this.crowd.over(flight.code);
    const rows = over && await this.grants(flight.code);
    if (!rows) return;
    const row = rows.find((r) => r.seq === flight.seq);
    if (row && row.amount === undefined) return;
    this.note("books", {code: flight.code, seq: flight.seq, found: Boolean(row), ...row});
    this.#resolved(flight.code, flight.seq, row ? "OK" : "ENDED", row ?? {});
  }

  /** MY_GRANTS of one rain, or null when it is not answered OK. */
  async grants(code) {
    const line = await this.line();
    const reply = line && await line.request(OP.MY_GRANTS, {code}).catch(() => null);
    return reply?.name === "OK" ? reply.grants : null;
  }

  /** Plays one rain to its end. */
  play(code) {
    if (this.playing.has(code)) return;
    this.playing.set(code, this.#play(code).finally(() => this.playing.set(code, null)));
  }

  async #play(code) {
    const rain = this.crowd.rains.get(code);
    await sleep(Math.max(0, rain.openAt - Date.now() + this.rng.int(-60, 60)));
    for (let seq = 0; !this.stopped; seq += 1) {
      if (seq > 0) await sleep(this.rng.int(20, this.crowd.thinkMs * 2));
      if (rain.ended && seq > 0 && this.rng.chance(0.5)) return; // some notice the end, some ask once more
      const {name} = await this.grab(code, seq);
      if (name !== "OK") return;
    }
  }

  idle() { return this.open.size === 0 && [...this.playing.values()].every((p) => p === null); }

  end() {
    this.stopped = true;
    this.#line?.cut();
    this.twinLine?.cut();
  }
}

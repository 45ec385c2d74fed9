// One room's ordered pushes: position (epoch, seq), gaps, duplicates, rejoin.
//
// Pushes with a seq are delivered in order and once. A hole, or another epoch, means that
// something was missed: JOIN again with the position; the answer holds what was missed
// (recovered) or a snapshot. Until then live pushes are held. Pushes without a seq (ticker,
// counts, what concerns one user) go straight through.

import {RedrainError} from "./errors.js";

/** Epoch of a room without a log, as JOIN tells it. */
const NO_EPOCH = "0000000000000000";
const HOLD_MAX = 512;
const RETRY_MS = 1000;
/** A joined room whose JOIN fails with one of these will not work later either. */
const FATAL = new Set(["NOT_ELIGIBLE", "NOT_FOUND", "UNAUTHORIZED", "BAD_REQUEST"]);

export class RoomFeed {
  #join;
  #deliver;
  #onJoined;
  #onRefused;
  #timers;
  #room = null;
  #position = null; // {epoch, seq}
  #joined = false;
  #joining = false;
  #turn = 0; // answers of an earlier turn are stale
  #held = [];
  #timer;
  #entering = null; // {promise, resolve, reject} of enter()

  /**
   * @param join     (body) => Promise of JOIN's answer
   * @param deliver  (bizCode, payload, meta) => void
   * @param joined   (reply) => void: after each successful JOIN, before missed pushes
   * @param refused  (error) => void: the room cannot be joined any more
   */
  constructor({join, deliver, joined, refused, timers}) {
    this.#onRefused = refused;
    this.#join = join;
    this.#deliver = deliver;
    this.#onJoined = joined;
    this.#timers = timers;
  }

  get room() {
    return this.#room;
  }

  /** True while the present connection is a member of the room. */
  get joined() {
    return this.#joined;
  }

  /** JOIN's body for the room to be in, with the position reached; null: none is. */
  get wanted() {
    return this.#room === null ? null : {room: this.#room, ...this.#position};
  }

  /** Another connection joined the room with `wanted`, while this one went on: its answer. */
  moved(reply) {
    const since = this.#position;
    this.#turn += 1; // a JOIN under way on the connection left behind is stale
    this.#timers.clearTimeout(this.#timer);
    // The connection left behind may have got further than the other one's answer.
    const ahead = since !== null && since.epoch === reply.epoch && since.seq >= reply.seq;
    this.#enterDone(ahead ? {...reply, recovered: true, seq: since.seq, missed: []} : reply);
  }

  /** Makes `room` the room to be in. Joins now if connected, else with the next connection. */
  enter(room, connected) {
    this.#entering?.reject(RedrainError.local("DISCONNECTED"));
    this.#reset();
    this.#room = room;
    const entering = {};
    entering.promise = new Promise((resolve, reject) => Object.assign(entering, {resolve, reject}));
    this.#entering = entering;
    if (connected) this.rejoin();
    return entering.promise;
  }

  exit() {
    this.#reset();
    this.#room = null;
  }

  /** The connection is gone. The position is kept. */
  pause() {
    this.#turn += 1;
    this.#joined = false;
    this.#joining = false;
    this.#held = [];
    this.#timers.clearTimeout(this.#timer);
  }

  /** No connection will come any more. */
  abandon(error) {
    this.pause();
    this.#entering?.promise.catch(() => {});
    this.#entering?.reject(error);
    this.#entering = null;
  }

  /** Asks for the room (again), with the position if there is one. */
  async rejoin() {
    if (this.#room === null || this.#joining) return;
    this.#joining = true;
    this.#timers.clearTimeout(this.#timer);
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const reply = await this.#join({room: this.#room, ...this.#position});
      if (turn === this.#turn) this.#enterDone(reply);
    } catch (error) {
      if (turn === this.#turn) this.#joinFailed(error);
    }
  }

  onPush(push) {
    if (push.seq === undefined || push.seq === null || push.room === undefined) {
      // Of another room: left just now.
      if (push.room !== undefined && push.room !== this.#room) return;
      this.#deliver(push.biz_code, push.payload, {room: push.room});
      return;
    }
    if (push.room !== this.#room) return;
    if (this.#joining || !this.#position) {
      if (this.#held.length < HOLD_MAX) this.#held.push(push);
      return;
    }
    this.#take(push);
  }

  #reset() {
    this.pause();
    this.#position = null;
  }

  #take(push) {
    const fresh = this.#position.epoch === NO_EPOCH; // nothing had ever been pushed here
    const renewed = push.epoch !== this.#position.epoch;
    // All of the new epoch is wanted, from its first push on.
    if (renewed) this.#position = {epoch: push.epoch, seq: 0};
    const {seq} = this.#position;
    if (push.seq <= seq) return;
    if ((renewed && !fresh) || push.seq > seq + 1) {
      this.#held.push(push);
      this.rejoin();
      return;
    }
    this.#position.seq = push.seq;
    this.#deliver(push.biz_code, push.payload, {room: push.room, seq: push.seq});
  }

  #enterDone(reply) {
    const since = this.#position;
    this.#joining = false;
    this.#joined = true;
    const recovered = reply.recovered === true && since !== null && since.epoch === reply.epoch;
    this.#position = recovered ? {...since} : {epoch: reply.epoch, seq: reply.seq};
    this.#onJoined({...reply, recovered});
    const held = this.#held;
    this.#held = [];
    if (recovered) {
      for (const item of reply.missed ?? []) {
        const push = Array.isArray(item) ? item[2] : item; // a whole PUSH frame, or its body
        if (push.seq <= this.#position.seq) continue;
        this.#position.seq = push.seq;
        this.#deliver(push.biz_code, push.payload, {room: this.#room, seq: push.seq});
      }
      this.#position.seq = Math.max(this.#position.seq, reply.seq);
    }
    for (const push of held) {
      // Held ones of an older epoch are part of the past the snapshot covers.
      if (push.epoch === this.#position.epoch) this.onPush(push);
    }
    this.#entering?.resolve(reply);
    this.#entering = null;
  }

  #joinFailed(error) {
    this.#joining = false;
    this.#held = [];
    if (FATAL.has(error.name)) {
      this.#joined = false;
      this.#entering?.reject(error);
      this.#entering = null;
      this.#onRefused(error);
      return;
    }
    if (error.name === "DISCONNECTED") return; // the next connection joins
    this.#timer = this.#timers.setTimeout(() => this.rejoin(), error.retryAfterMs ?? RETRY_MS);
  }
}

// Grabs: at most one open question per rain, kept until its final answer.
//
// A question whose fate is unknown (no answer, PENDING, connection lost) is asked again with
// again=true under the same (code, seq); the server then replays an existing grant instead of
// giving a second one. Because of that, asking too often is harmless and forgetting is not.

import {RESULT, RESULT_INFO} from "./constants.js";
import {RedrainError} from "./errors.js";

const ASK_AGAIN_MS = 2500;
const ASK_AGAIN_MAX_MS = 10000;
const BAD_SEQ_MAX = 3;

/** Answers that end a question although nothing was granted. */
const FINAL_NO = new Set([RESULT.SOLD_OUT, RESULT.LIMIT, RESULT.ENDED]);
/** Answers that say "the question was not looked at". */
const NOT_LOOKED_AT = new Set(
  [RESULT.RATE_LIMITED, RESULT.BUSY, RESULT.RECOVERING, RESULT.UNAVAILABLE]);

export class Grabber {
  #book;
  #send;
  #canSend;
  #emit;
  #timers;
  #flights = new Map();

  /**
   * @param book     GrabBook
   * @param send     (body, onReply) => void: sends one GRAB; onReply is called for each answer
   * @param canSend  () => boolean: connected and joined
   * @param emit     (event, value) => void: "grab" for every final answer
   */
  constructor({book, send, canSend, emit, timers}) {
    this.#book = book;
    this.#send = send;
    this.#canSend = canSend;
    this.#emit = emit;
    this.#timers = timers;
  }

  /** True while a question of this rain is open. */
  isOpen(code) {
    return this.#flights.has(code);
  }

  /** See RedrainClient.grab. */
  grab(code, onPending) {
    const open = this.#flights.get(code);
    if (open) {
      if (onPending) open.onPending.push(onPending);
      return open.promise;
    }
    const entry = this.#book.get(code);
    if (!this.#canSend() && !entry.asked) {
      return Promise.reject(RedrainError.local("DISCONNECTED"));
    }
    const flight = this.#start(code, entry);
    if (onPending) flight.onPending.push(onPending);
    if (this.#canSend()) this.#ask(flight);
    return flight.promise;
  }

  /** After a JOIN: takes the server's next seqs and asks every open question again. */
  resume(next) {
    this.#book.learn(next);
    for (const code of this.#book.unanswered()) {
      let flight = this.#flights.get(code);
      if (!flight) {
        flight = this.#start(code, this.#book.get(code));
        flight.promise.catch(() => {}); // nobody called grab(): the "grab" event tells
      }
      this.#ask(flight);
    }
  }

  /** A GRAB_RESULT push: the final answer of a question whose socket is gone. */
  onPush(payload) {
    const flight = this.#flights.get(payload.code);
    if (flight && flight.seq === payload.seq) this.#onReply(flight, flight.asks, payload);
    else if (payload.result === RESULT.OK) this.#late(payload);
  }

  /** The connection is gone: nothing is asked until resume(). */
  pause() {
    for (const flight of this.#flights.values()) this.#timers.clearTimeout(flight.timer);
  }

  /** The connection will not come back: open questions fail, the book keeps them. */
  abandon(error) {
    for (const flight of [...this.#flights.values()]) this.#fail(flight, error, true);
  }

  #start(code, entry) {
    const flight = {
      code, seq: entry.seq, again: entry.asked, asks: 0, badSeqs: 0, waitMs: ASK_AGAIN_MS,
      timer: undefined, done: false, onPending: [],
    };
    flight.promise = new Promise((resolve, reject) => Object.assign(flight, {resolve, reject}));
    this.#flights.set(code, flight);
    return flight;
  }

  #ask(flight) {
    this.#timers.clearTimeout(flight.timer);
    if (flight.done || !this.#canSend()) return; // resume() asks again
    const again = flight.again;
    flight.again = true;
    flight.asks += 1;
    const ask = flight.asks;
    this.#book.set(flight.code, flight.seq, true);
    const body = {code: flight.code, seq: flight.seq};
    if (again) body.again = true;
    this.#later(flight);
    this.#send(body, (reply) => this.#onReply(flight, ask, reply, again));
  }

  #later(flight, ms = flight.waitMs) {
    this.#timers.clearTimeout(flight.timer);
    flight.timer = this.#timers.setTimeout(() => {
      flight.waitMs = Math.min(flight.waitMs * 2, ASK_AGAIN_MAX_MS);
      this.#ask(flight);
    }, ms);
  }

  #onReply(flight, ask, reply, again = true) {
    const {result} = reply;
    if (flight.done || (reply.seq !== undefined && reply.seq !== flight.seq)) {
      if (result === RESULT.OK) this.#late({...reply, code: flight.code});
      return;
    }
    if (result === RESULT.OK) {
      this.#finish(flight, reply, flight.seq + 1);
      return;
    }
    if (result === RESULT.PENDING) {
      this.#later(flight);
      for (const fn of flight.onPending) fn({code: flight.code, seq: flight.seq});
      this.#emit("pending", {code: flight.code, seq: flight.seq});
      return;
    }
    // A "no" counts only as the answer to the newest question: an older one may have been
    // answered from a cache while the newer one is granted.
    if (ask !== flight.asks) return;
    if (FINAL_NO.has(result)) {
      this.#finish(flight, reply, flight.seq);
    } else if (result === RESULT.BAD_SEQ && flight.badSeqs < BAD_SEQ_MAX
               && Number.isSafeInteger(reply.next)) {
      flight.badSeqs += 1;
      flight.seq = reply.next;
      flight.again = false;
      this.#ask(flight);
    } else if (NOT_LOOKED_AT.has(result) && again) {
      this.#later(flight, Math.max(reply.retry_after_ms ?? 0, 500)); // still unknown: ask on
    } else {
      const forget = result === RESULT.NOT_FOUND;
      const unknown = again && !forget && result !== RESULT.NOT_STARTED;
      this.#fail(flight, RedrainError.fromReply(reply), unknown);
      if (forget) this.#book.forget(flight.code);
    }
  }

  #close(flight) {
    flight.done = true;
    this.#timers.clearTimeout(flight.timer);
    this.#flights.delete(flight.code);
  }

  #finish(flight, reply, nextSeq) {
    this.#close(flight);
    this.#book.set(flight.code, nextSeq, false);
    const answer = {
      ...reply, code: flight.code, seq: flight.seq,
      name: RESULT_INFO[reply.result].name,
    };
    flight.resolve(answer);
    this.#emit("grab", answer);
  }

  #fail(flight, error, unknown) {
    this.#close(flight);
    this.#book.set(flight.code, flight.seq, unknown);
    flight.reject(error);
  }

  /** An OK nobody waits for any more is still this user's money. */
  #late(reply) {
    const entry = this.#book.get(reply.code);
    if (reply.seq >= entry.seq) this.#book.set(reply.code, reply.seq + 1, false);
    this.#emit("grab", {...reply, result: RESULT.OK, name: "OK"});
  }
}

// Frames of one client: encodes requests, pairs answers with questions, keeps their deadlines.
//
// A frame is [op, id, body]. `id` only pairs question and answer on one socket; nothing survives
// the socket here. What must survive (grabs, position) lives in grabber.js and room-feed.js.

import {LIMITS, RESULT} from "./constants.js";
import {RedrainError} from "./errors.js";

const DECODE_LIMITS = {
  maxStrLength: 65536, maxBinLength: 65536, maxArrayLength: 4096, maxMapLength: 4096,
  maxExtLength: 0,
};

export class Frames {
  #msgpack;
  #timers;
  #socket = null;
  #waiting = new Map(); // request id → {onReply, onFail, timer, many}
  #lastId = 0;

  constructor({msgpack, timers}) {
    this.#msgpack = msgpack;
    this.#timers = timers;
  }

  /** How many questions are open. */
  get waiting() {
    return this.#waiting.size;
  }

  /** From here on frames go to this socket. */
  attach(socket) {
    this.#socket = socket;
  }

  /** The socket is gone: every open question fails with `error`. */
  detach(error) {
    this.#socket = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const entry of waiting) {
      this.#timers.clearTimeout(entry.timer);
      entry.onFail?.(error);
    }
  }

  /**
   * Sends one frame and registers who gets the answer.
   *   onReply    called with the answer's body; with `many` also for PENDING, then again
   *   onFail     called with a RedrainError: no answer in timeoutMs, or the socket is gone
   * Returns null, or the RedrainError that kept it from being sent (onFail is not called then).
   */
  post(op, body, {onReply, onFail, timeoutMs, many = false}) {
    if (this.#socket?.readyState !== 1) return RedrainError.local("DISCONNECTED");
    this.#lastId = (this.#lastId % 0xffffffff) + 1;
    const id = this.#lastId;
    const bytes = this.#msgpack.encode([op, id, body]);
    if (bytes.length > LIMITS.MESSAGE_MAX_BYTES) return RedrainError.local("TOO_LARGE");
    const entry = {onReply, onFail, many, timer: undefined};
    if (timeoutMs) {
      entry.timer = this.#timers.setTimeout(() => {
        this.#waiting.delete(id);
        onFail?.(RedrainError.local("TIMEOUT"));
      }, timeoutMs);
    }
    this.#waiting.set(id, entry);
    this.#socket.send(bytes);
    return null;
  }

  /** Decodes what arrived; null if it is not [op, id, body]. */
  decode(data) {
    try {
      const frame = this.#msgpack.decode(new Uint8Array(data), DECODE_LIMITS);
      return Array.isArray(frame) && frame.length >= 3 ? frame : null;
    } catch {
      return null;
    }
  }

  /** Hands an answer to who asked. Unknown ids are answers to questions given up. */
  answer(id, body) {
    const entry = this.#waiting.get(id);
    if (!entry) return;
    if (!(entry.many && body.result === RESULT.PENDING)) {
      this.#waiting.delete(id);
      this.#timers.clearTimeout(entry.timer);
    }
    entry.onReply(body);
  }
}

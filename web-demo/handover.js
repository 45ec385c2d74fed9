// A move to another connection: made before the old one is broken, so that nothing is missed and nobody notices.
//
// Opens a socket, says HELLO and JOINs with the position reached; only then done() is called, from inside the frame that
// carried JOIN's answer: whatever follows on that socket finds its new owner. Until then the old connection goes on as if
// nothing happened, and a failure here costs nothing.

import {OP, RESULT} from "./constants.js";

/** From the first byte to JOIN's answer. */
const MOVE_MS = 10000;

export class Handover {
  #o;
  #timer;
  #over = false;

  /**
   * @param {object} o
   * @param o.socket   a fresh WebSocket
   * @param o.frames   Frames of its own
   * @param o.timers
   * @param o.hello    () => Promise of HELLO's body
   * @param o.join     () => JOIN's body, or null when no room is wanted
   * @param o.onPush   (body) => void: pushes that arrive before done()
   * @param o.done     ({socket, frames, me, reply}) => void; reply is JOIN's answer or null
   * @param o.failed   () => void
   */
  constructor(o) {
    this.#o = o;
    const {socket, frames, timers} = o;
    frames.attach(socket);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#hello();
    socket.onmessage = (event) => this.#onFrame(event.data);
    socket.onclose = () => this.#fail();
    socket.onerror = () => {}; // a close always follows
    this.#timer = timers.setTimeout(() => this.#fail(), MOVE_MS);
  }

  /** Gives up silently. */
  cancel() {
    if (!this.#finish()) return;
    const {socket, frames} = this.#o;
    socket.onopen = socket.onmessage = socket.onclose = null;
    frames.detach(null);
    if (socket.readyState < 2) socket.close(1000);
  }

  #finish() {
    if (this.#over) return false;
    this.#over = true;
    this.#o.timers.clearTimeout(this.#timer);
    return true;
  }

  #fail() {
    if (this.#over) return;
    this.cancel();
    this.#o.failed();
  }

  #onFrame(data) {
    const frame = this.#o.frames.decode(data);
    if (!frame) {
      this.#fail();
      return;
    }
    const [op, id, body] = frame;
    if (op === OP.REPLY) this.#o.frames.answer(id, body);
    else if (op === OP.PUSH) this.#o.onPush(body);
    else if (op === OP.GOAWAY) this.#fail(); // this one leaves as well: try once more
  }

  #ask(op, body, onOk) {
    const error = this.#o.frames.post(op, body, {
      onReply: (reply) => {
        if (reply.result === RESULT.OK) onOk(reply);
        else this.#fail();
      },
    });
    if (error) this.#fail();
  }

  async #hello() {
    let body;
    try {
      body = await this.#o.hello();
    } catch {
      this.#fail();
      return;
    }
    if (this.#over) return;
    this.#ask(OP.HELLO, body, (me) => {
      const join = this.#o.join();
      if (join) this.#ask(OP.JOIN, join, (reply) => this.#done(me, reply));
      else this.#done(me, null);
    });
  }

  #done(me, reply) {
    if (!this.#finish()) return;
    this.#o.done({socket: this.#o.socket, frames: this.#o.frames, me, reply});
  }
}

// Keeps a connection alive beyond its token: asks for a newer token before this one expires and hands it to the server.

/** How long before the end a newer token is asked for; of short tokens half of what is left. */
const BEFORE_MS = 60000;
/** Too late for another try. */
const GIVE_UP_MS = 500;
/** Timers do not reach further than 24 days; this far they need not. */
const LOOK_MS = 86400000;

export class TokenRefresh {
  #o;
  #timer;
  #round = 0; // an answer of an earlier connection finds another number

  /**
   * @param {object} o
   * @param o.timers
   * @param {function} o.leftMs   (expires) => ms until then by the server's clock
   * @param {function} [o.fetch]  () => Promise of a newer token; without it nothing is done
   * @param {function} o.send     (token) => Promise of REFRESH's answer
   * @param {function} o.done     (token, answer) => void
   */
  constructor(o) {
    this.#o = o;
  }

  /** A connection has a token that ends at `expires` (epoch ms); undefined: it does not end. */
  start(expires) {
    this.stop();
    if (this.#o.fetch && Number.isFinite(expires)) this.#arm(expires);
  }

  stop() {
    this.#round += 1;
    this.#o.timers.clearTimeout(this.#timer);
  }

  #arm(expires) {
    const left = this.#o.leftMs(expires);
    if (left < GIVE_UP_MS) return; // the server will say 4502
    const wait = Math.min(Math.max(left - BEFORE_MS, left / 2), LOOK_MS);
    const due = wait < LOOK_MS;
    this.#timer = this.#o.timers.setTimeout(() => (due ? this.#refresh(expires) : this.#arm(expires)), wait);
  }

  async #refresh(expires) {
    const round = this.#round;
    try {
      const token = await this.#o.fetch();
      if (round !== this.#round) return;
      const answer = await this.#o.send(token);
      if (round !== this.#round) return;
      this.start(answer.expires);
      this.#o.done(token, answer);
    } catch {
      if (round === this.#round) this.#arm(expires); // once more in half of what is left
    }
  }
}

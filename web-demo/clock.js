// The server's time, told by a monotonic local clock.
//
// Every PING gives one sample: local send time t0, server times t1 and t2, local receive time t3.
// The true offset lies within ±rtt/2 of the sample's, so the sample with the smallest round trip
// in the window is the best one. A wall clock that is moved by the user changes nothing here.
// A device that slept may have stopped its monotonic clock: then a new sample and the best one
// exclude each other, and the old samples are dropped.

const WINDOW = 16;
const MAX_AGE_MS = 10 * 60 * 1000;
/** Crystals drift by less than this; older samples are allowed to be that much further off. */
const DRIFT = 200e-6;
const SLACK_MS = 2;

export class ServerClock {
  #now;
  #samples = [];

  /** @param {() => number} now monotonic milliseconds, fractions welcome */
  constructor(now) {
    this.#now = now;
  }

  /** True once at least one sample is in. */
  get synced() {
    return this.#samples.length > 0;
  }

  /** Samples held at the moment. */
  get sampleCount() {
    return this.#samples.length;
  }

  /** Round trip of the best sample in ms, or null. */
  get rttMs() {
    return this.synced ? this.#best().rtt : null;
  }

  /** server time − local monotonic time in ms, or null. */
  get offsetMs() {
    return this.synced ? this.#best().offset : null;
  }

  /** Server time in epoch ms, or null before the first sample. */
  serverNow() {
    return this.synced ? this.#now() + this.#best().offset : null;
  }

  /** Takes one exchange in; all four in ms, t0/t3 local monotonic, t1/t2 server. */
  add(t0, t1, t2, t3) {
    const rtt = t3 - t0 - (t2 - t1);
    if (!Number.isFinite(rtt) || rtt < 0) return;
    const sample = {rtt, offset: (t1 - t0 + (t2 - t3)) / 2, at: t3};
    if (this.synced) {
      const best = this.#best();
      const apart = Math.abs(best.offset - sample.offset);
      const allowed = (best.rtt + rtt) / 2 + (t3 - best.at) * DRIFT + SLACK_MS;
      if (apart > allowed) this.#samples = [];
    }
    this.#samples = this.#samples.filter((s) => t3 - s.at < MAX_AGE_MS);
    this.#samples.push(sample);
    if (this.#samples.length > WINDOW) this.#samples.shift();
  }

  #best() {
    return this.#samples.reduce((a, b) => (b.rtt <= a.rtt ? b : a));
  }
}

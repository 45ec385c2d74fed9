// Short sounds made by the page itself: no file is loaded, so the policy needs no media-src.
//
// Browsers let a page sound only after a gesture: the context is made at the first call that follows one (unlock()). Each voice is
// an oscillator that ends by itself; at most VOICES sound at once, so that a crowd of taps stays quiet.

const VOICES = 12;
const LOUD = 0.16;

/** [kind of wave, from Hz, to Hz, begins after s, lasts s, loudness of 1] */
export const SOUNDS = Object.freeze({
  tap: [["triangle", 520, 240, 0, 0.09, 0.5]],
  count: [["sine", 660, 660, 0, 0.12, 0.6]],
  start: [["triangle", 523, 523, 0, 0.16, 0.8], ["triangle", 659, 659, 0.1, 0.16, 0.8], ["triangle", 784, 784, 0.2, 0.3, 0.9]],
  win: [["sine", 1047, 1047, 0, 0.12, 0.9], ["sine", 1568, 1568, 0.08, 0.34, 0.8], ["triangle", 2093, 2093, 0.16, 0.4, 0.35]],
  end: [["triangle", 392, 330, 0, 0.4, 0.6]],
});

export class Sound {
  #Context;
  #context = null;
  #playing = 0;
  #on = true;

  /** @param {function} [Context] AudioContext; undefined where there is none: everything stays silent */
  constructor(Context = globalThis.AudioContext ?? globalThis.webkitAudioContext) {
    this.#Context = Context;
  }

  setOn(on) {
    this.#on = on;
  }

  /** To be called from a gesture. */
  unlock() {
    if (!this.#on || !this.#Context || globalThis.navigator?.userActivation?.isActive === false) return;
    try {
      this.#context ??= new this.#Context();
      if (this.#context.state === "suspended") this.#context.resume()?.catch?.(() => {});
    } catch {
      this.#Context = undefined; // no audio device
    }
  }

  /** @param {keyof SOUNDS} name; says nothing before unlock() or while it is off */
  play(name) {
    const context = this.#context;
    if (!this.#on || context?.state !== "running") return;
    for (const voice of SOUNDS[name]) if (this.#playing < VOICES) this.#voice(context, voice);
  }

  #voice(context, [type, from, to, after, lasts, loud]) {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const at = context.currentTime + after;
    oscillator.type = type;
    oscillator.frequency.setValueAtTime(from, at);
    if (to !== from) oscillator.frequency.exponentialRampToValueAtTime(to, at + lasts);
    gain.gain.setValueAtTime(0.0001, at);
    gain.gain.exponentialRampToValueAtTime(LOUD * loud, at + 0.012);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + lasts);
    oscillator.connect(gain).connect(context.destination);
    this.#playing += 1;
    oscillator.onended = () => {
      this.#playing -= 1;
    };
    oscillator.start(at);
    oscillator.stop(at + lasts + 0.02);
  }
}

// What this user asked for and does not know yet: one entry {seq, asked} per rain.
//
// seq   index of the grant wanted next
// asked true while (code, seq) was sent and no final answer came; the next question for it must
//       then say again=true, which makes the server look for an existing grant first
//
// The entry is written before the question leaves, so that a reload or a crash of the page cannot
// forget a question whose answer may be money.

const MAX_CODES = 20;

export class GrabBook {
  #storage;
  #key = null;
  #entries = new Map();

  /** @param {{getItem, setItem}|null} storage e.g. sessionStorage; null keeps it in memory only */
  constructor(storage) {
    this.#storage = storage ?? null;
  }

  /** Chooses whose book it is. Another user or room opens another page of it. */
  open(user, room) {
    const key = `redrain.grabs.${user}.${room}`;
    if (key === this.#key) return;
    this.#key = key;
    this.#entries = new Map();
    let stored = null;
    try {
      stored = JSON.parse(this.#storage?.getItem(key) ?? "null");
    } catch {
      stored = null; // unreadable: the server still knows every grant
    }
    if (!Array.isArray(stored)) return;
    for (const [code, entry] of stored) {
      if (typeof code === "string" && Number.isSafeInteger(entry?.seq) && entry.seq >= 0) {
        this.#entries.set(code, {seq: entry.seq, asked: entry.asked === true});
      }
    }
  }

  /** The entry of a rain; {seq: 0, asked: false} if there is none. A copy. */
  get(code) {
    const entry = this.#entries.get(code);
    return entry ? {...entry} : {seq: 0, asked: false};
  }

  /** Codes whose last question has no final answer. */
  unanswered() {
    return [...this.#entries].filter(([, entry]) => entry.asked).map(([code]) => code);
  }

  set(code, seq, asked) {
    this.#entries.delete(code); // most recently used last
    this.#entries.set(code, {seq, asked});
    for (const [old, entry] of this.#entries) {
      if (this.#entries.size <= MAX_CODES) break;
      if (!entry.asked) this.#entries.delete(old);
    }
    this.#save();
  }

  /**
   * Takes the server's next seq per rain (JOIN's answer, MY_GRANTS). An open question keeps its own
   * seq. Never goes back: the list may be a moment old, and BAD_SEQ corrects a seq that is too high.
   */
  learn(next) {
    for (const [code, seq] of Object.entries(next ?? {})) {
      const entry = this.get(code);
      if (!entry.asked && Number.isSafeInteger(seq) && seq > entry.seq) this.set(code, seq, false);
    }
  }

  forget(code) {
    this.#entries.delete(code);
    this.#save();
  }

  #save() {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify([...this.#entries]));
    } catch {
      // storage full or forbidden: the book goes on in memory
    }
  }
}

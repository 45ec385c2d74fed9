// What a viewer switched on or off, remembered in this browser.

const DEFAULTS = Object.freeze({sound: true, haptic: true, motion: null});

export class Settings {
  #storage;
  #key;
  #values;

  /**
   * @param {{getItem, setItem}|null} storage e.g. localStorage; null or a forbidden one: remembered until the page is left
   * @param {string} [key]
   */
  constructor(storage, key = "redrain.settings") {
    this.#storage = storage;
    this.#key = key;
    this.#values = {...DEFAULTS, ...this.#stored()};
  }

  /** true, false, or null: the viewer never chose (motion then follows the device). */
  get(name) {
    return this.#values[name] ?? null;
  }

  set(name, on) {
    this.#values[name] = on;
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(this.#values));
    } catch {
      // storage full or forbidden: the choice holds for this visit
    }
  }

  #stored() {
    let stored;
    try {
      stored = JSON.parse(this.#storage?.getItem(this.#key) ?? "null");
    } catch {
      return {};
    }
    const known = Object.entries(stored ?? {}).filter(([name, on]) => name in DEFAULTS && typeof on === "boolean");
    return Object.fromEntries(known);
  }
}

/** localStorage, or null where it may not even be looked at. */
export function safeStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

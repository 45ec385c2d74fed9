// The rain on the stage: one animation loop that moves a RainField and paints it, and a still grid of buttons for those who want
// no motion.
//
// A tap is handled in pointerdown, before any drawing, so that a slow device answers as fast as a quick one. A device that cannot
// keep up gets fewer pixels at first, which is most of what a frame costs without a graphics card, and if that is not enough a low mode
// for the rest of the rain: every second frame, half of the packets.

import {RainField} from "./rain-field.js";
import {CanvasPaint, DomPaint} from "./rain-paint.js";

const GRID_SIZE = 12;
const COARSE_FRAME_MS = 19; // below 53 frames a second: fewer pixels
const SLOW_FRAME_MS = 26;
const LOW_FRAME_MS = 1000 / 30;
/** Weight of the newest frame in the mean, and the most it counts for: a second of slow frames, not one, makes a slow device. */
const FRAME_WEIGHT = 0.03;
const FRAME_MAX_MS = 60;
/** The first moments of a rain are no measure: pictures are decoded, the page changes. */
const WARM_UP_MS = 700;
const OPENED_MS = 500;

export class RainView {
  #canvas;
  #drops;
  #grid;
  #onTap;
  #paint;
  #field = new RainField();
  #reduced = false;
  #frame = 0;
  #last = 0;
  #frameMs = 16;
  #since = 0; // when it began to rain
  #coarse = false; // one pixel per point

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} drops    takes the packets where a canvas cannot be drawn on
   * @param {HTMLElement} grid     filled with buttons when motion is reduced
   * @param {(at: {x, y}) => void} onTap  a packet was hit, at these client coordinates
   */
  constructor({canvas, drops, grid, onTap}) {
    const ctx = canvas.getContext("2d");
    this.#canvas = canvas;
    this.#drops = drops;
    this.#grid = grid;
    this.#onTap = onTap;
    this.#paint = ctx ? new CanvasPaint(canvas, ctx) : new DomPaint(drops);
    drops.hidden = Boolean(ctx);
    for (const surface of [canvas, drops]) {
      surface.addEventListener("pointerdown", (event) => { // every finger counts
        if (!this.#field.raining || this.#reduced) return;
        const box = canvas.getBoundingClientRect();
        const at = this.#field.hit(event.clientX - box.left, event.clientY - box.top);
        if (at) this.#tell(at);
      });
    }
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#buildGrid();
    this.#resize();
  }

  /** "full", "low" or "still". */
  get mode() {
    if (this.#reduced) return "still";
    return this.#field.low ? "low" : "full";
  }

  /** Packets fall (or lie in the grid) while on. */
  setRunning(on) {
    if (on === this.#field.raining) return;
    this.#pace({low: false, coarse: false});
    if (on) this.#field.start();
    else this.#field.clear();
    this.#apply();
  }

  setReduced(on) {
    this.#reduced = on;
    if (this.#field.raining) this.#field.start();
    this.#apply();
  }

  setPacketLabel(label) {
    for (const button of this.#grid.children) button.setAttribute("aria-label", label);
  }

  /** Keyboard: opens the packet nearest to the middle. */
  hitNext() {
    if (!this.#field.raining) return;
    if (!this.#reduced) {
      this.#tell(this.#field.hitNext());
      return;
    }
    const button = [...this.#grid.children].find((b) => !b.classList.contains("opened"));
    if (button) this.#tapButton(button);
  }

  // ---- motion ----

  #apply() {
    const {raining} = this.#field;
    this.#grid.hidden = !(this.#reduced && raining);
    for (const surface of [this.#canvas, this.#drops]) surface.classList.toggle("tappable", raining && !this.#reduced);
    cancelAnimationFrame(this.#frame);
    this.#paint.clear();
    this.#canvas.dataset.mode = this.mode;
    if (this.#reduced) return;
    this.#last = performance.now();
    this.#since = this.#last;
    this.#frame = requestAnimationFrame((now) => this.#draw(now));
  }

  #resize() {
    const size = {w: this.#canvas.clientWidth, h: this.#canvas.clientHeight};
    this.#field.resize(size.w, size.h);
    this.#paint.resize(size, this.#coarse);
  }

  #pace({low, coarse}) {
    this.#frameMs = 16;
    this.#field.low = low;
    this.#canvas.dataset.mode = this.mode;
    if (coarse === this.#coarse) return;
    this.#coarse = coarse;
    this.#paint.resize(this.#field.size, coarse);
  }

  #draw(now) {
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
    const ms = now - this.#last;
    if (this.#field.low && ms < LOW_FRAME_MS - 4) return;
    this.#last = now;
    if (this.#field.raining && now - this.#since > WARM_UP_MS && ms < 500) { // longer: the page was hidden
      this.#frameMs += (Math.min(ms, FRAME_MAX_MS) - this.#frameMs) * FRAME_WEIGHT;
      if (!this.#coarse && this.#frameMs > COARSE_FRAME_MS) this.#pace({low: false, coarse: true});
      else if (!this.#field.low && this.#frameMs > SLOW_FRAME_MS) this.#pace({low: true, coarse: true});
    }
    this.#field.step(Math.min(100, Math.max(0, ms)) / 1000, now);
    this.#paint.draw(this.#field, now);
  }

  #tell({x, y}) {
    const box = this.#canvas.getBoundingClientRect();
    this.#onTap({x: box.left + x, y: box.top + y});
  }

  // ---- grid ----

  #buildGrid() {
    for (let i = 0; i < GRID_SIZE; i++) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "grid-packet";
      button.dataset.testid = "grid-packet";
      button.addEventListener("pointerdown", (event) => {
        event.preventDefault(); // the click that follows would count twice
        this.#tapButton(button);
      });
      button.addEventListener("click", (event) => {
        if (event.detail === 0) this.#tapButton(button); // from the keyboard or assistive technology
      });
      this.#grid.append(button);
    }
  }

  #tapButton(button) {
    if (!this.#field.raining) return;
    const box = button.getBoundingClientRect();
    button.classList.add("opened");
    setTimeout(() => button.classList.remove("opened"), OPENED_MS);
    this.#onTap({x: box.left + box.width / 2, y: box.top + box.height / 2});
  }
}

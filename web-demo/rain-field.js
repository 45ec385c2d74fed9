// The falling packets as numbers: where they are, how they move, which one a finger meets. No DOM; rain-view.js draws it.
//
// At most MAX_ITEMS things are alive. A hit counts anywhere within HIT_MIN_PX or more around a packet.

export const MAX_ITEMS = 200;
export const HIT_MIN_PX = 44;
const HIT_SLACK_PX = 10;
/** Width and height of a packet of scale 1. */
export const PACKET = Object.freeze({w: 96, h: 128});
/** Far, middle, near: so large, so fast. Drawn in this order. */
export const LEVELS = Object.freeze([{scale: 0.56, speed: 0.8}, {scale: 0.74, speed: 1}, {scale: 0.95, speed: 1.25}]);
/** How often each kind of sprite falls: two red ones, and now and then a golden one. All are the same packet. */
const SPRITES = [0, 1, 0, 1, 0, 1, 2];
const FALL_PX_S = 230;
const WHOLE_TURN = 2 * Math.PI;

export class RainField {
  #random;
  #debt = 0;
  #column;
  #born = 0;

  constructor(random = Math.random) {
    this.#random = random;
    this.#column = random();
    this.size = {w: 0, h: 0};
    this.packets = [];
    this.sparks = [];
    this.rings = [];
    this.dust = [];
    this.raining = false;
    /** A slow device gets half of everything. */
    this.low = false;
  }

  get count() {
    return this.packets.length + this.sparks.length + this.rings.length + this.dust.length;
  }

  resize(w, h) {
    this.size = {w, h};
    const dust = Math.min(36, Math.round((w * h) / 22000));
    this.dust = Array.from({length: dust}, () => ({
      x: this.#random() * w, y: this.#random() * h, r: 0.8 + this.#random() * 2.2,
      vy: 6 + this.#random() * 16, phase: this.#random() * WHOLE_TURN,
    }));
  }

  /** Begins with a sky that is full already: nobody waits for the first packet. */
  start() {
    this.clear();
    this.raining = true;
    const n = Math.round(this.#wanted() * 0.8);
    for (let i = 0; i < n; i++) this.#add((i / n) * this.size.h * 1.4 - this.size.h * 0.5);
  }

  clear() {
    this.raining = false;
    this.packets = [];
    this.sparks = [];
    this.rings = [];
    this.#debt = 0;
  }

  /** Moves everything by dt seconds. */
  step(dt, nowMs) {
    if (this.raining) this.#spawn(dt);
    const bottom = this.size.h + PACKET.h;
    for (const p of this.packets) {
      p.age += dt;
      p.y += p.vy * dt;
      p.rot += p.vr * dt;
      p.drawnX = p.x + Math.sin(nowMs / 620 + p.phase) * p.sway;
    }
    this.packets = this.packets.filter((p) => p.y < bottom);
    for (const s of this.sparks) {
      s.life -= dt * 1.6;
      s.vy += 680 * dt;
      s.x += s.vx * dt;
      s.y += s.vy * dt;
    }
    this.sparks = this.sparks.filter((s) => s.life > 0);
    for (const r of this.rings) r.life -= dt * 2.4;
    this.rings = this.rings.filter((r) => r.life > 0);
    for (const d of this.dust) {
      d.y -= d.vy * dt;
      if (d.y < -5) Object.assign(d, {y: this.size.h + 5, x: this.#random() * this.size.w});
    }
  }

  /** Opens the packet at a point, if one is near enough. Returns where it was, or null. */
  hit(x, y) {
    let best = null;
    let bestDistance = Infinity;
    for (const p of this.packets) {
      const dx = Math.abs(p.drawnX - x);
      const dy = Math.abs(p.y - y);
      const distance = dx * dx + dy * dy;
      if (dx <= halfHit(PACKET.w * p.scale) && dy <= halfHit(PACKET.h * p.scale) && distance < bestDistance) {
        best = p;
        bestDistance = distance;
      }
    }
    return best && this.#open(best);
  }

  /** Opens the packet nearest to the middle; where it was, or the middle when none is to be seen. */
  hitNext() {
    const {w, h} = this.size;
    const seen = this.packets.filter((p) => p.y > 0 && p.y < h);
    seen.sort((a, b) => Math.abs(a.y - h / 2) - Math.abs(b.y - h / 2));
    return seen.length ? this.#open(seen[0]) : {x: w / 2, y: h / 2};
  }

  #wanted() {
    const {w, h} = this.size;
    return Math.max(14, Math.min(64, (w * h) / 12000)) * (this.low ? 0.5 : 1);
  }

  #spawn(dt) {
    const fallS = (this.size.h + PACKET.h) / FALL_PX_S;
    const wanted = this.#wanted();
    const hurry = this.packets.length < wanted * 0.7 ? 2.5 : 1; // a quick hand does not empty the sky
    this.#debt = Math.min(3, this.#debt + (hurry * wanted * dt) / Math.max(fallS, 0.1));
    while (this.#debt >= 1) {
      this.#debt -= 1;
      if (this.count >= MAX_ITEMS) break;
      this.#add(0);
    }
  }

  #add(y) {
    const wide = this.size.w >= 600 ? 1.1 : 1;
    const level = Math.floor(this.#random() * LEVELS.length);
    const scale = LEVELS[level].scale * wide;
    const x = 30 + this.#nextColumn() * Math.max(1, this.size.w - 60);
    this.packets.push({
      id: ++this.#born, age: 0, x, drawnX: x, y: y - PACKET.h * scale, scale, level,
      sprite: SPRITES[Math.floor(this.#random() * SPRITES.length)],
      vy: FALL_PX_S * LEVELS[level].speed * (0.85 + this.#random() * 0.3),
      rot: (this.#random() - 0.5) * 0.8, vr: (this.#random() - 0.5) * 1.2,
      sway: 8 + this.#random() * 20, phase: this.#random() * WHOLE_TURN,
    });
  }

  /** 0…1, spread so that neighbours in time are apart in space. */
  #nextColumn() {
    this.#column = (this.#column + 0.618034 + (this.#random() - 0.5) * 0.12 + 1) % 1;
    return this.#column;
  }

  #open(packet) {
    this.packets = this.packets.filter((p) => p !== packet);
    const at = {x: packet.drawnX, y: packet.y};
    const n = Math.max(0, Math.min(MAX_ITEMS - this.count - 1, this.low ? 6 : 14));
    if (this.count < MAX_ITEMS) this.rings.push({...at, life: 1, r: 30 + 40 * packet.scale});
    for (let i = 0; i < n; i++) {
      const angle = this.#random() * WHOLE_TURN;
      const speed = 90 + this.#random() * 250;
      this.sparks.push({
        ...at, vx: Math.cos(angle) * speed, vy: Math.sin(angle) * speed - 180, r: 5 + this.#random() * 6,
        life: 0.75 + this.#random() * 0.35, turn: this.#random() * WHOLE_TURN,
      });
    }
    return at;
  }
}

function halfHit(px) {
  return Math.max(px, HIT_MIN_PX) / 2 + HIT_SLACK_PX;
}

// Two ways to show a RainField: on a canvas, and where there is none as elements. Both take the same calls:
// resize({w, h}, coarse), draw(field, nowMs), clear().

import {LEVELS, PACKET} from "./rain-field.js";

const SPRITE_FILES = ["img/packet.svg", "img/packet-ingot.svg", "img/packet-gold.svg"];
const NODES_MAX = 48;
/** Pixels per point at most: what falls is never looked at long enough for more, and each costs time in every frame. */
const DENSITY_MAX = 1.5;
const WHOLE_TURN = 2 * Math.PI;

/** Sprites are drawn once for each size they fall in: while it rains pixels are only copied. */
export class CanvasPaint {
  #canvas;
  #ctx;
  #images = [];
  #sprites = new Map(); // "sprite:px" → canvas
  #coin = null;
  #dpr = 1;

  /** @param {CanvasRenderingContext2D} ctx */
  constructor(canvas, ctx) {
    this.#canvas = canvas;
    this.#ctx = ctx;
    const load = (src) => Object.assign(new Image(), {src, onload: () => this.#sprites.clear()});
    this.#images = SPRITE_FILES.map(load);
    this.#coin = load("img/coin.svg");
  }

  resize({w, h}, coarse) {
    this.#dpr = coarse ? 1 : Math.min(globalThis.devicePixelRatio || 1, DENSITY_MAX);
    this.#canvas.width = Math.round(w * this.#dpr);
    this.#canvas.height = Math.round(h * this.#dpr);
    this.#sprites.clear();
    // Before it rains: the first packets are already drawn when they are needed.
    for (const {scale} of LEVELS) for (let i = 0; i < SPRITE_FILES.length; i++) this.#sprite(i, scale * (w >= 600 ? 1.1 : 1));
  }

  clear() {
    this.#ctx.setTransform(1, 0, 0, 1, 0, 0);
    this.#ctx.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  draw(field, nowMs) {
    this.clear();
    if (!field.low) this.#drawDust(field, nowMs);
    for (let level = 0; level < LEVELS.length; level++) {
      for (const p of field.packets) if (p.level === level) this.#drawPacket(p);
    }
    this.#drawRings(field);
    this.#drawSparks(field);
  }

  /** A packet of this size with its shadow, or null while its picture is not there. */
  #sprite(index, scale) {
    const image = this.#images[index];
    const key = `${index}:${scale}`;
    if (!image.complete || !image.naturalWidth) return null;
    let sprite = this.#sprites.get(key);
    if (!sprite) {
      sprite = document.createElement("canvas");
      const px = scale * this.#dpr;
      const edge = Math.ceil(8 * px);
      sprite.width = Math.ceil(PACKET.w * px) + 2 * edge;
      sprite.height = Math.ceil(PACKET.h * px) + 2 * edge;
      const ctx = sprite.getContext("2d");
      ctx.shadowColor = "rgb(30 0 0 / 55%)";
      ctx.shadowBlur = 8 * px;
      ctx.shadowOffsetY = 4 * px;
      ctx.drawImage(image, edge, edge, PACKET.w * px, PACKET.h * px);
      this.#sprites.set(key, sprite);
    }
    return sprite;
  }

  #place(x, y, rot, scaleX = 1) {
    const d = this.#dpr;
    const cos = Math.cos(rot);
    const sin = Math.sin(rot);
    this.#ctx.setTransform(cos * scaleX, sin * scaleX, -sin, cos, x * d, y * d);
  }

  #drawPacket(p) {
    const sprite = this.#sprite(p.sprite, p.scale);
    this.#place(p.drawnX, p.y, p.rot);
    if (sprite) {
      this.#ctx.globalAlpha = Math.min(1, p.age * 5); // the first ones appear where they are
      this.#ctx.drawImage(sprite, -sprite.width / 2, -sprite.height / 2);
      this.#ctx.globalAlpha = 1;
      return;
    }
    const w = PACKET.w * p.scale * this.#dpr;
    const h = PACKET.h * p.scale * this.#dpr;
    this.#ctx.fillStyle = "#e01f26";
    this.#ctx.fillRect(-w / 2, -h / 2, w, h);
  }

  #drawDust(field, nowMs) {
    const ctx = this.#ctx;
    ctx.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    ctx.fillStyle = "#ffdf94";
    for (const d of field.dust) {
      ctx.globalAlpha = 0.2 + 0.3 * Math.sin(nowMs / 900 + d.phase) ** 2;
      ctx.beginPath();
      ctx.arc(d.x, d.y, d.r, 0, WHOLE_TURN);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
  }

  #drawRings(field) {
    const ctx = this.#ctx;
    ctx.setTransform(this.#dpr, 0, 0, this.#dpr, 0, 0);
    ctx.strokeStyle = "#ffe7a0";
    for (const r of field.rings) {
      ctx.globalAlpha = r.life * 0.8;
      ctx.lineWidth = 1 + 4 * r.life;
      ctx.beginPath();
      ctx.arc(r.x, r.y, r.r * (1.35 - r.life), 0, WHOLE_TURN);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  #drawSparks(field) {
    const ready = this.#coin.complete && this.#coin.naturalWidth > 0;
    for (const s of field.sparks) {
      this.#ctx.globalAlpha = Math.max(0, Math.min(1, s.life * 1.6));
      const d = 2 * s.r * this.#dpr;
      this.#place(s.x, s.y, s.turn, Math.max(0.15, Math.abs(Math.cos(s.life * 9 + s.turn)))); // coins turn over as they fly
      if (ready) this.#ctx.drawImage(this.#coin, -d / 2, -d / 2, d, d);
    }
    this.#ctx.globalAlpha = 1;
  }
}

/** For browsers without a canvas: an element for each packet, moved by transforms only. No sparks, no dust. */
export class DomPaint {
  #box;
  #nodes = new Map(); // id of the packet → element

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  resize() {}

  clear() {
    this.#nodes.clear();
    this.#box.replaceChildren();
  }

  draw(field) {
    const seen = new Set();
    for (const p of field.packets.slice(0, NODES_MAX)) {
      seen.add(p.id);
      let node = this.#nodes.get(p.id);
      if (!node) {
        node = document.createElement("i");
        node.className = `drop sprite-${p.sprite}`;
        this.#nodes.set(p.id, node);
        this.#box.append(node);
      }
      node.style.transform = `translate(${p.drawnX.toFixed(1)}px, ${p.y.toFixed(1)}px) rotate(${p.rot.toFixed(3)}rad) scale(${p.scale})`;
    }
    for (const [id, node] of this.#nodes) {
      if (seen.has(id)) continue;
      node.remove();
      this.#nodes.delete(id);
    }
  }
}

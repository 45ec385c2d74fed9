// The falling packets: a canvas, and a still grid of buttons for those who want no motion.
//
// At most 200 items are alive. A hit counts anywhere within 44 px or more around a packet. Slow
// devices get fewer packets, never slower answers: a tap is handled in pointerdown, before any
// drawing.

const MAX_ITEMS = 200;
const HIT_MIN_PX = 44;
const HIT_SLACK_PX = 10;
const GRID_SIZE = 12;
/** So many are on their way down when the rain begins. */
const START_PACKETS = 14;
const SLOW_FRAME_MS = 28;
const SPRITE = {w: 96, h: 128};

export class RainView {
  #canvas;
  #ctx;
  #grid;
  #onTap;
  #packets = [];
  #sparks = [];
  #dust = [];
  #sprite = null;
  #running = false; // packets fall
  #reduced = false;
  #frame = 0;
  #last = 0;
  #debt = 0;
  #size = {w: 0, h: 0};
  #frameMs = 16;
  #density = 1;
  #column = Math.random();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} grid     filled with buttons when motion is reduced
   * @param {(at: {x, y}) => void} onTap  a packet was hit, at these client coordinates
   */
  constructor({canvas, grid, onTap}) {
    this.#canvas = canvas;
    this.#ctx = canvas.getContext("2d");
    this.#grid = grid;
    this.#onTap = onTap;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.#running) this.#tapAt(event.offsetX, event.offsetY); // every finger counts
    });
    new ResizeObserver(() => this.#resize()).observe(canvas);
    const image = new Image();
    image.onload = () => this.#renderSprite(image);
    image.src = "img/packet.svg";
    this.#buildGrid();
    this.#resize();
  }

  /** Packets fall (or lie in the grid) while on. */
  setRunning(on) {
    if (on === this.#running) return;
    this.#running = on;
    this.#packets = [];
    if (on) for (let i = 0; i < START_PACKETS; i++) this.#addPacket(-Math.random() * this.#size.h);
    this.#apply();
  }

  setReduced(on) {
    this.#reduced = on;
    this.#packets = [];
    this.#sparks = [];
    this.#apply();
  }

  setPacketLabel(label) {
    for (const button of this.#grid.children) button.setAttribute("aria-label", label);
  }

  /** Keyboard: opens the packet nearest to the middle. */
  hitNext() {
    if (!this.#running) return;
    if (this.#reduced) {
      const button = [...this.#grid.children].find((b) => !b.classList.contains("opened"));
      if (button) this.#tapButton(button);
      return;
    }
    const middle = this.#size.h / 2;
    const packet = this.#packets
      .slice().sort((a, b) => Math.abs(a.y - middle) - Math.abs(b.y - middle))[0];
    if (packet?.y > 0) this.#hit(packet);
    else this.#tell(this.#size.w / 2, this.#size.h / 2);
  }

  // ---- canvas ----

  #apply() {
    const still = this.#reduced;
    this.#grid.hidden = !(still && this.#running);
    this.#canvas.classList.toggle("tappable", this.#running && !still);
    cancelAnimationFrame(this.#frame);
    this.#ctx.clearRect(0, 0, this.#size.w, this.#size.h);
    if (!still) {
      this.#last = performance.now();
      this.#frame = requestAnimationFrame((now) => this.#draw(now));
    }
  }

  #resize() {
    const {clientWidth: w, clientHeight: h} = this.#canvas;
    const dpr = Math.min(window.devicePixelRatio || 1, 2);
    this.#size = {w, h};
    this.#canvas.width = Math.round(w * dpr);
    this.#canvas.height = Math.round(h * dpr);
    this.#ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    const count = Math.min(36, Math.round((w * h) / 22000));
    this.#dust = Array.from({length: count}, () => ({
      x: Math.random() * w, y: Math.random() * h, r: 0.8 + Math.random() * 2.2,
      vy: 6 + Math.random() * 16, phase: Math.random() * 6.3,
    }));
  }

  #renderSprite(image) {
    const canvas = document.createElement("canvas");
    canvas.width = SPRITE.w * 2;
    canvas.height = SPRITE.h * 2;
    const ctx = canvas.getContext("2d");
    ctx.shadowColor = "rgb(20 0 0 / 60%)";
    ctx.shadowBlur = 16;
    ctx.shadowOffsetY = 6;
    ctx.drawImage(image, 12, 10, canvas.width - 24, canvas.height - 28);
    this.#sprite = canvas;
  }

  #draw(now) {
    const ms = Math.min(100, now - this.#last);
    this.#last = now;
    this.#frameMs += (ms - this.#frameMs) * 0.05;
    this.#density = this.#frameMs > SLOW_FRAME_MS ? 0.5 : 1;
    const dt = ms / 1000;
    const {w, h} = this.#size;
    this.#ctx.clearRect(0, 0, w, h);
    this.#drawDust(dt, now);
    if (this.#running) this.#spawn(dt);
    this.#drawPackets(dt, now);
    this.#drawSparks(dt);
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
  }

  #spawn(dt) {
    const {w, h} = this.#size;
    const wanted = Math.max(16, Math.min(70, (w * h) / 12500)) * this.#density;
    this.#debt = Math.min(3, this.#debt + (wanted * dt * 240) / Math.max(h, 1));
    while (this.#debt >= 1) {
      this.#debt -= 1;
      if (this.#packets.length + this.#sparks.length + this.#dust.length >= MAX_ITEMS) break;
      this.#addPacket(0);
    }
  }

  #addPacket(y) {
    const {w} = this.#size;
    const scale = (0.5 + Math.random() * 0.34) * (w < 600 ? 1 : 1.12);
    this.#packets.push({
      x: 30 + this.#nextColumn() * Math.max(1, w - 60), y: y - SPRITE.h * scale, scale,
      vy: 150 + Math.random() * 190 + scale * 60,
      rot: (Math.random() - 0.5) * 0.9, vr: (Math.random() - 0.5) * 1.3,
      sway: 8 + Math.random() * 22, phase: Math.random() * 6.3,
    });
  }

  /** 0…1, spread so that neighbours in time are apart in space. */
  #nextColumn() {
    this.#column = (this.#column + 0.618034 + (Math.random() - 0.5) * 0.12 + 1) % 1;
    return this.#column;
  }

  #drawPackets(dt, now) {
    const ctx = this.#ctx;
    for (const p of this.#packets) {
      p.y += p.vy * dt;
      p.rot += p.vr * dt;
      const x = p.x + Math.sin(now / 620 + p.phase) * p.sway;
      p.drawnX = x;
      const w = SPRITE.w * p.scale;
      const h = SPRITE.h * p.scale;
      ctx.save();
      ctx.translate(x, p.y);
      ctx.rotate(p.rot);
      if (this.#sprite) ctx.drawImage(this.#sprite, -w / 2, -h / 2, w, h);
      else {
        ctx.fillStyle = "#e01f26";
        ctx.fillRect(-w / 2, -h / 2, w, h);
      }
      ctx.restore();
    }
    const bottom = this.#size.h + SPRITE.h;
    this.#packets = this.#packets.filter((p) => p.y < bottom && !p.gone);
  }

  #drawDust(dt, now) {
    const ctx = this.#ctx;
    for (const d of this.#dust) {
      d.y -= d.vy * dt;
      if (d.y < -5) {
        d.y = this.#size.h + 5;
        d.x = Math.random() * this.#size.w;
      }
      ctx.globalAlpha = 0.25 + 0.3 * Math.sin(now / 900 + d.phase) ** 2;
      ctx.fillStyle = "#ffdf94";
      ctx.beginPath();
      ctx.arc(d.x, d.y, d.r, 0, 6.2832);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
  }

  #drawSparks(dt) {
    const ctx = this.#ctx;
    for (const s of this.#sparks) {
      s.life -= dt * 1.7;
      s.vy += 620 * dt;
      s.x += s.vx * dt;
      s.y += s.vy * dt;
      ctx.globalAlpha = Math.max(0, s.life);
      ctx.fillStyle = s.color;
      ctx.beginPath();
      ctx.ellipse(s.x, s.y, s.r, s.r * Math.abs(Math.cos(s.life * 9)) + 0.5, s.life * 4, 0, 6.2832);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
    this.#sparks = this.#sparks.filter((s) => s.life > 0);
  }

  #tapAt(x, y) {
    if (this.#reduced) return;
    let best = null;
    let bestDistance = Infinity;
    for (const p of this.#packets) {
      const dx = Math.abs((p.drawnX ?? p.x) - x);
      const dy = Math.abs(p.y - y);
      const halfW = Math.max((SPRITE.w * p.scale) / 2, HIT_MIN_PX / 2) + HIT_SLACK_PX;
      const halfH = Math.max((SPRITE.h * p.scale) / 2, HIT_MIN_PX / 2) + HIT_SLACK_PX;
      const distance = dx * dx + dy * dy;
      if (dx <= halfW && dy <= halfH && distance < bestDistance) {
        best = p;
        bestDistance = distance;
      }
    }
    if (best) this.#hit(best);
  }

  #hit(packet) {
    packet.gone = true;
    this.#packets = this.#packets.filter((p) => p !== packet);
    const x = packet.drawnX ?? packet.x;
    const room = MAX_ITEMS - this.#packets.length - this.#sparks.length - this.#dust.length;
    const count = Math.min(room, this.#density < 1 ? 6 : 14);
    for (let i = 0; i < count; i++) {
      const angle = Math.random() * 6.2832;
      const speed = 90 + Math.random() * 260;
      this.#sparks.push({
        x, y: packet.y, vx: Math.cos(angle) * speed, vy: Math.sin(angle) * speed - 160,
        r: 2 + Math.random() * 4, life: 0.7 + Math.random() * 0.4,
        color: i % 3 ? "#ffd766" : "#fff3c4",
      });
    }
    this.#tell(x, packet.y);
  }

  #tell(x, y) {
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
    if (!this.#running) return;
    const box = button.getBoundingClientRect();
    button.classList.add("opened");
    setTimeout(() => button.classList.remove("opened"), 500);
    this.#onTap({x: box.left + box.width / 2, y: box.top + box.height / 2});
  }
}

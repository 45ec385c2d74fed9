// A hand-driven world for the client: time, timers, sockets and storage that move only when told.

import {createRequire} from "node:module";
import {RedrainClient} from "../../../web-demo/redrain-client.js";
import {OP} from "../../../web-demo/constants.js";

// The very file the pages load.
const require = createRequire(import.meta.url);
export const msgpack = require("../../../web-demo/vendor/msgpack.min.js");

/** Lets every promise that can go on do so. */
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export class FakeTime {
  ms = 1000;
  #due = [];
  #last = 0;

  now = () => this.ms;

  timers = {
    setTimeout: (fn, ms) => {
      this.#last += 1;
      this.#due.push({id: this.#last, at: this.ms + ms, fn});
      return this.#last;
    },
    clearTimeout: (id) => {
      this.#due = this.#due.filter((timer) => timer.id !== id);
    },
  };

  get pending() {
    return this.#due.length;
  }

  /** Moves time on, running what falls due in order. */
  async advance(ms) {
    const end = this.ms + ms;
    for (;;) {
      const next = this.#due.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!next) break;
      this.timers.clearTimeout(next.id);
      this.ms = Math.max(this.ms, next.at);
      next.fn();
      await settle();
    }
    this.ms = end;
    await settle();
  }
}

export class FakeStorage {
  map = new Map();
  getItem = (key) => this.map.get(key) ?? null;
  setItem = (key, value) => void this.map.set(key, value);
}

/** One world: a client, its sockets, and helpers that play the server. */
export class World {
  sockets = [];
  time = new FakeTime();
  storage = new FakeStorage();
  events = [];
  randomValue = 0.5;
  serverEpochMs = 1_700_000_000_000;

  constructor(options = {}) {
    const world = this;
    this.WebSocket = class {
      readyState = 0;
      sent = [];
      answered = 0;
      constructor(url, protocol) {
        Object.assign(this, {url, protocol});
        world.sockets.push(this);
      }
      send(bytes) {
        this.sent.push(msgpack.decode(bytes));
      }
      close() {
        this.readyState = 3;
      }
    };
    this.client = this.newClient(options);
  }

  newClient(options = {}) {
    const client = new RedrainClient({
      url: "ws://fake/ws", token: "t", WebSocket: this.WebSocket, msgpack, storage: this.storage,
      random: () => this.randomValue, now: this.time.now, timers: this.time.timers, ...options,
    });
    for (const name of ["state", "snapshot", "grab", "pending", "refused", "RED_PACKET_CONFIG",
      "RED_PACKET_TICK", "SAY", "ANNOUNCE", "GRAB_RESULT"]) {
      client.on(name, (value, meta) => this.events.push({name, value, meta}));
    }
    return client;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  got(name) {
    return this.events.filter((event) => event.name === name).map((event) => event.value);
  }

  /** Frames of one op sent on the newest socket. */
  sent(opName, socket = this.socket) {
    return socket.sent.filter(([op]) => op === OP[opName]);
  }

  async deliver(frame, socket = this.socket) {
    socket.onmessage?.({data: msgpack.encode(frame).slice().buffer});
    await settle();
  }

  reply(id, body, socket) {
    return this.deliver([OP.REPLY, id, {result: 0, ...body}], socket);
  }

  push(body) {
    return this.deliver([OP.PUSH, 0, body]);
  }

  async answerLast(opName, body) {
    const [, id] = this.sent(opName).at(-1);
    await this.reply(id, body);
  }

  serverNow() {
    return this.serverEpochMs + this.time.ms;
  }

  async open() {
    this.socket.readyState = 1;
    this.socket.onopen?.();
    await settle();
  }

  /** Opens the newest socket and answers HELLO and the first PINGs. */
  async accept(hello = {}) {
    await this.open();
    await this.answerLast("HELLO", {
      user: "7", name: "七", role: "viewer", may_send: true, now: this.serverNow(), ...hello,
    });
    await this.pong();
  }

  /** Answers every PING until none is open. */
  async pong() {
    for (;;) {
      const open = this.sent("PING").slice(this.socket.answered);
      if (!open.length) return;
      for (const [, id, {t0}] of open) {
        this.socket.answered += 1;
        await this.reply(id, {t0, t1: this.serverNow(), t2: this.serverNow()});
      }
    }
  }

  async acceptJoin(join = {}) {
    await this.answerLast("JOIN", {
      room: "r1", epoch: "00000000000000aa", seq: 0, recovered: false, online: 1, rains: [],
      next: {}, ...join,
    });
  }

  /** Connected and in room r1. */
  async ready(join) {
    const connected = this.client.connect();
    const joined = this.client.join("r1");
    await this.accept();
    await this.acceptJoin(join);
    await Promise.all([connected, joined]);
  }

  async lose(code = 1006) {
    const {socket} = this;
    socket.readyState = 3;
    socket.onclose?.({code});
    await settle();
  }

  /** Waits out the backoff; connects and joins again. */
  async comeBack(join, hello) {
    await this.time.advance(30_000);
    await this.accept(hello);
    await this.acceptJoin(join);
  }
}

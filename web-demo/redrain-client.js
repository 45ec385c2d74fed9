// Client of a redrain room server: one room, one WebSocket, everything that survives a bad network.
//
//   import {RedrainClient} from "./redrain-client.js";
//   const client = new RedrainClient({url: "wss://live.example/ws", token});
//   client.on("RED_PACKET_CONFIG", (payload) => …);
//   await client.connect();
//   await client.join("room-1");
//   const answer = await client.grab(code);      // {name: "OK", amount, seq, …} or {name: "LIMIT", …}
//
// Uses no DOM, so it runs in pages, workers and Node (inject WebSocket and msgpack there). A page
// tells it what it sees: setVisible() on visibilitychange, setOnline() on online/offline.
//
// Events (client.on(name, fn), returns a function that unsubscribes):
//   "state"      {state, code?, retryInMs?}; state is idle | connecting | ready | waiting |
//                offline | stopped (terminal close code) | closed (by close())
//   "snapshot"   JOIN's answer after each (re)join, before its rains are delivered as pushes
//   "refused"    RedrainError: the room may not be joined (any more)
//   "grab"       final answer of any grab, also of one asked before a reload; the same win may be
//                told twice, tell them apart by (code, seq)
//   "pending"    {code, seq}: a grab is being confirmed
//   "clock"      a clock sample came in
//   "refreshed"  {role, may_send}: a newer token was taken
//   any biz_code (payload, {room, seq, snapshot}): a push; seq pushes come in order, each once

import {BIZ, CLOSE_INFO, OP, RESULT} from "./constants.js";
import {ServerClock} from "./clock.js";
import {Frames} from "./frames.js";
import {GrabBook} from "./grab-book.js";
import {Grabber} from "./grabber.js";
import {Handover} from "./handover.js";
import {LOCAL, RedrainError} from "./errors.js";
import {RoomFeed} from "./room-feed.js";
import {TokenRefresh} from "./token-refresh.js";

export {RedrainError, LOCAL};

const SUBPROTOCOL = "redrain.v1";
const PROTOCOL_VERSION = 1;
const HELLO_MS = 10000;
const REQUEST_MS = 8000;
const PING_EVERY_MS = 25000;
const PONG_MS = 5000;
const PINGS_AT_START = 5;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30000;
/** A connection that lived this long makes the next backoff start from the beginning. */
const STABLE_MS = 5000;
const HIDDEN_LONG_MS = 10000;
/** A move that failed is tried again after this, and up to as much again. */
const MOVE_AGAIN_MS = 500;
/** How long the connection that was left is kept for answers still on their way. */
const LINGER_MS = 2000;

export class RedrainClient {
  #options;
  #timers;
  #now;
  #random;
  #listeners = new Map();
  #state = "idle";
  #socket = null;
  #user = null;
  #frames;
  #attempt = 0;
  #readySince = 0;
  #minRetryMs = 0;
  #reconnectTimer;
  #helloTimer;
  #pingTimer;
  #goawayTimer;
  #refresh;
  #handover = null; // the move to another connection that is under way
  #left = new Set(); // functions that end connections left a moment ago
  #connecting = null; // {promise, resolve, reject} of connect()
  #visible = true;
  #hiddenSince = 0;
  #feed;
  #book;
  #grabber;

  /**
   * @param {object} o
   * @param {string} o.url          ws:// or wss:// address of the server
   * @param {string|function} [o.token]  JWT, or a function returning one (called at each connect); without one a guest
   *   comes, where the server lets guests in
   * @param {function} [o.onTokenExpiring] () => a newer token, asked for before the present one expires, so that the
   *   connection outlives it; default: token, when that is a function
   * @param {function} [o.WebSocket] constructor; default the global one
   * @param {object} [o.msgpack]    {encode, decode}; default the global MessagePack
   * @param {object} [o.storage]    {getItem, setItem}, e.g. sessionStorage: open grabs outlive a reload
   * @param {function} [o.random]   () => [0, 1)
   * @param {function} [o.now]      () => monotonic ms
   * @param {object} [o.timers]     {setTimeout, clearTimeout}
   */
  constructor(o) {
    this.#options = {WebSocket: globalThis.WebSocket, msgpack: globalThis.MessagePack, ...o};
    this.#timers = o.timers ?? {
      setTimeout: (fn, ms) => setTimeout(fn, ms),
      clearTimeout: (timer) => clearTimeout(timer),
    };
    this.#now = o.now ?? (() => performance.now());
    this.#random = o.random ?? Math.random;
    /** Server time; see serverNow(). */
    this.clock = new ServerClock(this.#now);
    this.#frames = new Frames({msgpack: this.#options.msgpack, timers: this.#timers});
    this.#book = new GrabBook(o.storage);
    this.#grabber = new Grabber({
      book: this.#book,
      timers: this.#timers,
      canSend: () => this.#state === "ready" && this.#feed.joined,
      send: (body, onReply) => this.#frames.post(OP.GRAB, body, {onReply, many: true}),
      emit: (name, value) => this.#emit(name, value),
    });
    this.#refresh = new TokenRefresh({
      timers: this.#timers,
      leftMs: (expires) => expires - (this.clock.serverNow() ?? expires),
      fetch: o.onTokenExpiring ?? (typeof o.token === "function" ? o.token : undefined),
      send: (token) => this.request("REFRESH", {token}),
      done: (token, answer) => this.#refreshed(token, answer),
    });
    this.#feed = new RoomFeed({
      timers: this.#timers,
      join: (body) => this.request("JOIN", body),
      deliver: (bizCode, payload, meta) => this.#deliver(bizCode, payload, meta),
      joined: (reply) => this.#onJoined(reply),
      refused: (error) => this.#emit("refused", error),
    });
  }

  /** Connection state, see "state". */
  get state() {
    return this.#state;
  }

  /** HELLO's answer {user, name, role, may_send} of the present connection, or null. */
  get me() {
    return this.#user;
  }

  /** Name of the room joined or to be joined, or null. */
  get room() {
    return this.#feed.room;
  }

  /** Subscribes to an event. Returns a function that unsubscribes. */
  on(name, fn) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(fn));
    return () => set.delete(fn);
  }

  /** Server time in epoch ms; null until the clock is synchronised. */
  serverNow() {
    return this.clock.serverNow();
  }

  /**
   * Connects and says HELLO; from then on reconnects by itself. Resolves with HELLO's answer once
   * connected; rejects when the server closed for good (bad token, banned, …) or after close().
   */
  connect() {
    if (this.#connecting) return this.#connecting.promise;
    if (this.#state === "ready") return Promise.resolve(this.#user);
    this.#connecting = {};
    this.#connecting.promise = new Promise((resolve, reject) =>
      Object.assign(this.#connecting, {resolve, reject}));
    const {promise} = this.#connecting;
    this.#attempt = 0;
    this.#open();
    return promise;
  }

  /** Closes for good. Open grabs stay in storage and are asked again by the next client. */
  close() {
    this.#drop(1000);
    for (const end of [...this.#left]) end();
    this.#end("closed", RedrainError.local("DISCONNECTED"));
  }

  /** Enters a room (leaving the present one). Resolves with JOIN's answer. */
  join(room) {
    return this.#feed.enter(room, this.#state === "ready");
  }

  /** Leaves the room. */
  async leave() {
    this.#feed.exit();
    if (this.#state === "ready") await this.request("LEAVE", {});
  }

  /**
   * Sends one request, e.g. request("STATS", {code}). Resolves with the answer's body; throws
   * RedrainError for every result but OK, for a lost connection and after 8 s without answer.
   */
  request(opName, body = {}) {
    return new Promise((resolve, reject) => {
      if (this.#state !== "ready" && opName !== "HELLO") {
        reject(RedrainError.local("DISCONNECTED"));
        return;
      }
      const error = this.#frames.post(OP[opName], body, {
        timeoutMs: REQUEST_MS,
        onFail: reject,
        onReply: (reply) => {
          if (reply.result === RESULT.OK || reply.result === RESULT.PENDING) resolve(reply);
          else reject(RedrainError.fromReply(reply));
        },
      });
      if (error) reject(error);
    });
  }

  /**
   * Asks for the next packet of a rain. Resolves with the final answer
   * {name: "OK", code, seq, shard, no, amount, left} or {name: "SOLD_OUT" | "LIMIT" | "ENDED"}.
   * Throws RedrainError when nothing was granted and asking later may help (RATE_LIMITED, BUSY,
   * NOT_STARTED, DISCONNECTED). While a question of this rain is open, further calls share it.
   * @param {function} [onPending] called with {code, seq} if the win is still being confirmed
   */
  grab(code, onPending) {
    return this.#grabber.grab(code, onPending);
  }

  /** Index of the grant grab(code) would ask for: how many this user has. */
  nextSeq(code) {
    return this.#book.get(code).seq;
  }

  /**
   * This user's grants of one rain, or of all rains (newest first; `before` is the `at` of the last
   * one seen, for the next page). Resolves with the list.
   */
  async myGrants(code, {before} = {}) {
    const body = {};
    if (code !== undefined) body.code = code;
    if (before !== undefined) body.before = before;
    const {grants} = await this.request("MY_GRANTS", body);
    const next = {};
    for (const grant of grants) next[grant.code] = Math.max(next[grant.code] ?? 0, grant.seq + 1);
    this.#book.learn(next);
    return grants;
  }

  /**
   * What this user sent, newest first: {sent, balance, now}, at most 50; `before` is the code of the last one seen, for the next
   * page. At most one such question a second.
   */
  mySent({before} = {}) {
    return this.request("MY_SENT", before === undefined ? {} : {before});
  }

  /** The page was shown or hidden: hidden pages do not PING, shown ones catch up at once. */
  setVisible(visible) {
    if (visible === this.#visible) return;
    this.#visible = visible;
    if (!visible) {
      this.#hiddenSince = this.#now();
      this.#timers.clearTimeout(this.#pingTimer);
    } else if (this.#state === "ready") {
      this.#ping(0);
      if (this.#now() - this.#hiddenSince >= HIDDEN_LONG_MS) this.#feed.rejoin();
    } else if (this.#state === "waiting") {
      this.#open();
    }
  }

  /** The device lost or found its network: do not wait for time-outs. */
  setOnline(online) {
    if (this.#state === "closed" || this.#state === "stopped" || this.#state === "idle") return;
    if (!online) {
      this.#drop(1006);
      this.#setState("offline");
    } else if (this.#state !== "ready" && this.#state !== "connecting") {
      this.#attempt = 0;
      this.#open();
    }
  }

  // ---- connection ----

  #open() {
    this.#timers.clearTimeout(this.#reconnectTimer);
    this.#drop(1006);
    this.#setState("connecting");
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#options.url, SUBPROTOCOL);
    } catch (error) {
      this.#end("stopped", error);
      return;
    }
    this.#frames.attach(socket);
    socket.binaryType = "arraybuffer";
    this.#helloTimer = this.#timers.setTimeout(() => this.#lost(1006), HELLO_MS);
    socket.onopen = () => this.#hello();
    this.#listen(socket);
  }

  /** From here on this socket is the connection. */
  #listen(socket) {
    this.#socket = socket;
    socket.onmessage = (event) => this.#onFrame(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    socket.onerror = () => {}; // a close always follows
  }

  async #helloBody() {
    const {token} = this.#options;
    const given = typeof token === "function" ? await token() : token;
    return given === undefined ? {ver: PROTOCOL_VERSION} : {token: given, ver: PROTOCOL_VERSION};
  }

  /** From here on the newer token counts, also for the next connection. */
  #refreshed(token, {role, may_send: maySend, left}) {
    if (typeof this.#options.token !== "function") this.#options.token = token;
    this.#user = {...this.#user, role, may_send: maySend};
    this.#emit("refreshed", {role, may_send: maySend});
    if (left) this.#feed.rejoin(); // will be told that this room is closed to it
  }

  async #hello() {
    const socket = this.#socket;
    const t0 = this.#now();
    try {
      const me = await this.request("HELLO", await this.#helloBody());
      if (this.#socket !== socket) return;
      if (Number.isFinite(me.now)) this.clock.add(t0, me.now, me.now, this.#now());
      this.#timers.clearTimeout(this.#helloTimer);
      this.#user = me;
      this.#readySince = this.#now();
      this.#minRetryMs = 0;
      this.#setState("ready");
      this.#ping(PINGS_AT_START - 1);
      this.#refresh.start(me.expires);
      this.#connecting?.resolve(me);
      this.#connecting = null;
      this.#feed.rejoin();
    } catch (error) {
      if (this.#socket !== socket) return;
      this.#minRetryMs = error.retryAfterMs ?? 0;
      if (error.result === RESULT.UNAUTHORIZED) {
        this.#drop(1000);
        this.#end("stopped", error, 4501);
      } else if (error.result >= 0) {
        this.#lost(1006);
      }
    }
  }

  /** The socket is gone or given up: come back later, or never. */
  #lost(code) {
    this.#drop(code);
    const terminal = code >= 4500 && code < 5000;
    if (terminal || (CLOSE_INFO[code] && !CLOSE_INFO[code].reconnect)) {
      this.#end("stopped", RedrainError.fromClose(code), code);
      return;
    }
    const cap = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.#attempt);
    const retryInMs = Math.max(Math.round(this.#random() * cap), this.#minRetryMs);
    this.#attempt += 1;
    this.#setState("waiting", {code, retryInMs});
    this.#reconnectTimer = this.#timers.setTimeout(() => this.#open(), retryInMs);
  }

  /** Forgets the present socket and everything that waits on it. */
  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#refresh.stop();
    this.#handover?.cancel();
    this.#handover = null;
    for (const timer of [this.#helloTimer, this.#pingTimer, this.#goawayTimer,
      this.#reconnectTimer]) {
      this.#timers.clearTimeout(timer);
    }
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      if (socket.readyState < 2) socket.close(1000);
      if (this.#state === "ready" && this.#now() - this.#readySince >= STABLE_MS) {
        this.#attempt = 0;
      }
    }
    this.#user = null;
    if (this.#state === "ready") this.#state = "waiting"; // nothing may be sent from here on
    this.#feed.pause();
    this.#grabber.pause();
    this.#frames.detach(RedrainError.fromClose(code));
  }

  #end(state, error, code) {
    this.#grabber.abandon(error);
    this.#feed.abandon(error);
    this.#setState(state, {code});
    this.#connecting?.promise.catch(() => {});
    this.#connecting?.reject(error);
    this.#connecting = null;
  }

  #setState(state, more = {}) {
    this.#state = state;
    this.#emit("state", {state, ...more});
  }

  // ---- clock and liveness ----

  #ping(more) {
    this.#timers.clearTimeout(this.#pingTimer);
    const socket = this.#socket;
    const t0 = this.#now();
    const error = this.#frames.post(OP.PING, {t0: Math.round(t0)}, {
      timeoutMs: PONG_MS,
      onFail: () => {
        if (this.#socket === socket && socket) this.#lost(1006);
      },
      onReply: (reply) => {
        if (reply.result === RESULT.OK && Number.isFinite(reply.t1) && Number.isFinite(reply.t2)) {
          this.clock.add(t0, reply.t1, reply.t2, this.#now());
          this.#emit("clock", {offsetMs: this.clock.offsetMs, rttMs: this.clock.rttMs});
        }
        if (more > 0) this.#ping(more - 1);
        else if (this.#visible) {
          this.#pingTimer = this.#timers.setTimeout(() => this.#ping(0), PING_EVERY_MS);
        }
      },
    });
    if (error) this.#lost(1006);
  }

  // ---- frames ----

  #onFrame(data) {
    const frame = this.#frames.decode(data);
    if (!frame) {
      this.#lost(1006); // not our protocol: a fresh connection is the only repair
      return;
    }
    const [op, id, body] = frame;
    if (op === OP.REPLY) this.#frames.answer(id, body);
    else if (op === OP.PUSH) this.#feed.onPush(body);
    else if (op === OP.GOAWAY) this.#onGoaway(body);
  }

  // ---- leaving a server that drains ----

  /** The time it chose for us; until then, and while the other connection is being made, this one goes on. */
  #onGoaway(body) {
    this.#moveLater(Number.isFinite(body.delay_ms) ? Math.max(0, body.delay_ms) : 0);
  }

  #moveLater(ms) {
    this.#timers.clearTimeout(this.#goawayTimer);
    this.#goawayTimer = this.#timers.setTimeout(() => this.#move(), ms);
  }

  #move() {
    this.#handover?.cancel();
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#options.url, SUBPROTOCOL);
    } catch {
      return; // the server will close this connection, and the usual way follows
    }
    this.#handover = new Handover({
      socket,
      frames: new Frames({msgpack: this.#options.msgpack, timers: this.#timers}),
      timers: this.#timers,
      hello: () => this.#helloBody(),
      join: () => this.#feed.wanted,
      onPush: (body) => this.#feed.onPush(body),
      done: (made) => this.#moved(made),
      failed: () => this.#moveLater(MOVE_AGAIN_MS * (1 + this.#random())),
    });
  }

  #moved({socket, frames, me, reply}) {
    this.#handover = null;
    this.#timers.clearTimeout(this.#pingTimer);
    this.#timers.clearTimeout(this.#goawayTimer);
    this.#grabber.pause();
    this.#leave(this.#socket, this.#frames);
    this.#frames = frames;
    this.#listen(socket);
    this.#user = me;
    this.#readySince = this.#now();
    this.#refresh.start(me.expires);
    if (reply === null || reply.room !== this.#feed.room) this.#feed.rejoin(); // it wants another room by now
    else this.#feed.moved(reply);
    this.#ping(PINGS_AT_START - 1);
  }

  /** Closes a connection once the answers it still owes are there. */
  #leave(socket, frames) {
    let timer;
    const end = () => {
      this.#left.delete(end);
      this.#timers.clearTimeout(timer);
      socket.onmessage = socket.onclose = null;
      if (socket.readyState < 2) socket.close(1000);
      frames.detach(RedrainError.local("DISCONNECTED"));
    };
    this.#left.add(end);
    timer = this.#timers.setTimeout(end, LINGER_MS);
    socket.onclose = end;
    socket.onmessage = (event) => {
      const frame = frames.decode(event.data);
      if (frame?.[0] === OP.REPLY) frames.answer(frame[1], frame[2]);
      if (frames.waiting === 0) end();
    };
    if (frames.waiting === 0) end();
  }

  // ---- room ----

  #onJoined(reply) {
    this.#book.open(this.#user.user, reply.room);
    this.#emit("snapshot", reply);
    for (const {biz_code: bizCode, payload} of reply.rains ?? []) {
      this.#deliver(bizCode, payload, {room: reply.room, snapshot: true});
    }
    this.#grabber.resume(reply.next);
  }

  #deliver(bizCode, payload, meta) {
    if (bizCode === BIZ.GRAB_RESULT) this.#grabber.onPush(payload);
    this.#emit(bizCode, payload, meta);
  }

  #emit(name, ...args) {
    for (const fn of [...(this.#listeners.get(name) ?? [])]) {
      try {
        fn(...args);
      } catch (error) {
        // A listener's bug must not stop the state machine, and must not be silent either.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

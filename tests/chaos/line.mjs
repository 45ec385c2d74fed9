// One socket of a viewer or an anchor: HELLO, JOIN, requests; what it says is told to its owner, who keeps the log.
import WebSocket from "ws";
import {decode, encode} from "@msgpack/msgpack";
import {OP, RESULT, SUBPROTOCOL} from "../../web-demo/constants.js";

const NAMES = Object.fromEntries(Object.entries(RESULT).map(([name, n]) => [n, name]));
const CONNECT_MS = 2500;
const SILENT_MS = 3000;

export class Line {
  #ws;
  #id = 0;
  #asked = new Map(); // id -> callback(name, body)
  isOpen = false;

  /** owner: {onPush(body), onClose(code)}; resolves when joined, rejects when that does not work in time. */
  static async open(url, {origin, token, room, owner, position}) {
    const line = new Line();
    line.owner = owner;
    line.#ws = new WebSocket(url, [SUBPROTOCOL], {origin, perMessageDeflate: false, handshakeTimeout: CONNECT_MS});
    try {
      await line.#connected();
      const hello = await line.request(OP.HELLO, {token, ver: 1});
      if (hello.name !== "OK") throw new Error(`HELLO: ${hello.name}`);
      line.joined = await line.request(OP.JOIN, {room, ...position});
      if (line.joined.name !== "OK") throw new Error(`JOIN: ${line.joined.name}`);
      return line;
    } catch (error) {
      line.cut();
      throw error;
    }
  }

  #connected() {
    const ws = this.#ws;
    ws.on("message", (data, isBinary) => { if (isBinary) this.#onFrame(decode(data)); });
    ws.on("close", (code) => this.#onClosed(code));
    return new Promise((resolve, reject) => {
      ws.once("open", () => {
        this.isOpen = true;
        resolve();
      });
      ws.on("error", reject);
    });
  }

  #onFrame([op, id, body]) {
    if (op === OP.PUSH) this.owner.onPush(body);
    if (op !== OP.REPLY) return;
    const name = NAMES[body.result] ?? `?${body.result}`;
    const answer = this.#asked.get(id);
    if (!answer) return;
    if (name !== "PENDING") this.#asked.delete(id);
    answer(name, body);
  }

  #onClosed(code) {
    if (this.closed) return;
    this.closed = true;
    this.isOpen = false;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const answer of asked) answer("CLOSED", {code});
    this.owner.onClose(this, code);
  }

  /** Sends; answer(name, body) for each REPLY, with "CLOSED" when there will be none. Returns the request's id. */
  ask(op, body, answer) {
    this.#id += 1;
    if (!this.isOpen) {
      answer("CLOSED", {});
      return this.#id;
    }
    this.#asked.set(this.#id, answer);
    this.#ws.send(encode([op, this.#id, body]));
    return this.#id;
  }

  /** The first reply, {name, ...body}; fails after ms. */
  request(op, body, ms = SILENT_MS) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("silent")), ms);
      this.ask(op, body, (name, reply) => {
        clearTimeout(timer);
        if (name === "CLOSED") reject(new Error("closed"));
        else resolve({...reply, nick: reply.name, name});
      });
    });
  }

  /** As when the network goes. */
  cut() {
    this.#ws.terminate();
    this.#onClosed(1006);
  }
}

// The pages without a server: web-demo's files and a WebSocket that says what a test wants, in the product's own protocol. For what a
// page shows: each state of a rain at once and exactly, also those that are rare on the real thing. What the real server does is
// tested on the real server.

import {readFile} from "node:fs/promises";
import {createServer} from "node:http";
import {extname, join, normalize} from "node:path";
import {fileURLToPath} from "node:url";
import {decode, encode} from "@msgpack/msgpack";
import {WebSocketServer} from "ws";
import {OP, RESULT} from "../../web-demo/constants.js";

const web = fileURLToPath(new URL("../../web-demo", import.meta.url));
const TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"};
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri "
  + "'none'; form-action 'none'; frame-ancestors 'none'";
const EPOCH = "00000000000000aa";

async function serve(request, response) {
  const path = normalize(new URL(request.url, "http://x").pathname);
  try {
    const body = await readFile(join(web, path === "/" ? "index.html" : path));
    response.writeHead(200, {"content-type": TYPES[extname(path === "/" ? ".html" : path)] ?? "text/html", "content-security-policy": POLICY});
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

/**
 * @returns {Promise<object>} {url, answers, state, push(biz, payload, {ordered, toUser, lost}), drop(code), asked, now(), stop()}.
 *   answers: op name → (body, {user, reply}) => body of the REPLY, or null for none; reply(body) answers (again) later.
 *   state: what JOIN tells: {rains, next, online}; aheadMs: how far the server's clock is ahead of this machine's. asked: every request
 *   that came in, [op name, body]. push with `lost`: in the room's log, but on no connection.
 */
export async function startStage() {
  const http = createServer(serve);
  const wss = new WebSocketServer({server: http, path: "/ws", handleProtocols: () => "redrain.v1"});
  const names = Object.fromEntries(Object.entries(OP).map(([name, op]) => [op, name]));
  const state = {rains: [], next: {}, online: 1, maySend: true, seq: 0, aheadMs: 0};
  const now = () => Date.now() + state.aheadMs;
  const log = []; // ordered pushes
  const asked = [];
  const frame = (push) => encode([OP.PUSH, 0, push]);
  const all = () => [...wss.clients].filter((socket) => socket.readyState === 1);
  const answers = {
    HELLO: ({token}) => ({result: RESULT.OK, user: token.split(".")[0], name: "小红", role: "viewer", may_send: state.maySend, now: now()}),
    JOIN: ({room, epoch, seq}) => {
      const recovered = epoch === EPOCH;
      const missed = recovered ? log.filter((push) => push.seq > seq).map((push) => [OP.PUSH, 0, push]) : undefined;
      return {result: RESULT.OK, room, epoch: EPOCH, seq: state.seq, recovered, online: state.online, rains: state.rains, next: state.next, missed};
    },
    PING: ({t0}) => ({result: RESULT.OK, t0, t1: now(), t2: now()}),
    MY_GRANTS: () => ({result: RESULT.OK, grants: []}),
    MY_SENT: () => ({result: RESULT.OK, balance: 100_000, now: now(), sent: []}),
    GRAB: () => ({result: RESULT.SOLD_OUT}),
    SAY: ({text}, {user}) => {
      push("SAY", {user, name: "小红", text, at: now()});
      return {result: RESULT.OK};
    },
    LEAVE: () => ({result: RESULT.OK}),
  };

  function push(bizCode, payload, {ordered = false, toUser = false, lost = false} = {}) {
    const body = {biz_code: bizCode, payload};
    if (!toUser) body.room = "stage";
    if (ordered) {
      state.seq += 1;
      Object.assign(body, {epoch: EPOCH, seq: state.seq});
      log.push(body);
    }
    if (!lost) for (const socket of all()) socket.send(frame(body));
  }

  wss.on("connection", (socket) => {
    let user = null;
    socket.on("message", async (bytes) => {
      const [op, id, body] = decode(bytes);
      const name = names[op];
      const reply = (answer) => socket.readyState === 1 && socket.send(encode([OP.REPLY, id, answer]));
      asked.push([name, body]);
      const answer = await answers[name]?.(body, {user, reply});
      if (name === "HELLO") user = answer.user;
      if (answer) reply(answer);
    });
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    answers, state, asked, push, now,
    /** Closes every connection. */
    drop: (code = 1011) => all().forEach((socket) => socket.close(code)),
    async stop() {
      for (const socket of wss.clients) socket.terminate();
      wss.close();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

// A room on npm's ws, as its README and issues advise for crowds: no permessage-deflate, no client tracking, no UTF-8 check, the
// masking addon, binary messages, one Buffer for everybody. Publishers say "pub:" and the payload.
import {WebSocketServer} from "ws";

const rooms = new Map();
const server = new WebSocketServer({
  host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false, clientTracking: false, skipUTF8Validation: true, backlog: 4096,
});
const binary = {binary: true, compress: false};

server.on("connection", (socket) => {
  let room = null;
  socket.on("message", (data) => {
    const text = data.toString();
    if (text.startsWith("join:")) {
      room = text.slice(5);
      if (!rooms.has(room)) rooms.set(room, new Set());
      rooms.get(room).add(socket);
      socket.send("joined", binary);
    } else if (text.startsWith("pub:")) {
      const payload = data.subarray(4);
      for (const member of rooms.get("bench") ?? []) if (member.readyState === 1) member.send(payload, binary);
    }
  });
  socket.on("close", () => rooms.get(room)?.delete(socket));
  socket.on("error", () => {});
});
// Heartbeat as its README shows it, at the product's interval.
setInterval(() => { for (const set of rooms.values()) for (const s of set) s.ping(); }, 30_000);
server.on("listening", () => process.stdout.write("ready\n"));

// A room on Socket.IO with the in-memory adapter, as its performance page advises: WebSocket only, no compression, the upgrade request
// thrown away.
import {createServer} from "node:http";
import {Server} from "socket.io";

const http = createServer();
const io = new Server(http, {transports: ["websocket"], perMessageDeflate: false, httpCompression: false, serveClient: false});

io.engine.on("connection", (raw) => { raw.request = null; });
io.on("connection", (socket) => {
  socket.on("join", (room, done) => { socket.join(room); done(); });
  socket.on("pub", (payload) => io.to("bench").emit("m", payload));
});
http.listen({host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096}, () => process.stdout.write("ready\n"));

// The same room, payload and crowd on the product and on what others use: how many deliveries a core makes. CPU is that of all threads
// of the server's processes while broadcasts come at a steady rate; what a machine could do at most follows from it.
import {execFile} from "node:child_process";
import {existsSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {promisify} from "node:util";
import {bars} from "./bars.mjs";
import {cpuUs, freePort, median, monoUs, ms, note, ROOM, round, rssKib, pssKib, sleep, stamped, startLab, startServer, startSwarm, tokensFile} from "./lab.mjs";
import {root} from "../lib/services.mjs";

const run = promisify(execFile);
const FOLDER = join(root, "bench", "peers");
/** Deliveries a second that every one of them can make, and broadcasts a second that a room may see. */
const OFFERED = 50_000;
const BROADCASTS_MAX = 50;
const SHOWN = {
  redrain: "1 worker, direct send, Redis as the bus; its PushToRoom, published through the admin API",
  ws: "ws 8.18.2 with bufferutil, perMessageDeflate off, clientTracking off, skipUTF8Validation, binary, one Buffer for all",
  "socket.io": "socket.io 4.8.1, WebSocket transport only, perMessageDeflate off, in-memory adapter, request dropped",
  centrifugo: "centrifuge v0.40.1 (Centrifugo's engine), memory broker, JSON, write buffer pool, GOMAXPROCS as is",
};

/** npm and Go, into the folder of the peers and the run folder; only this command needs them. */
async function install() {
  if (!existsSync(join(FOLDER, "node_modules", "ws"))) {
    note("installing ws and Socket.IO from npm");
    await run("npm", ["ci", "--no-audit", "--no-fund"], {cwd: FOLDER});
  }
  const binary = join(process.env.REDRAIN_RUN ?? join(root, ".run", "bench"), "centrifugo-room");
  note("building the Centrifugo engine");
  await run("go", ["build", "-o", binary, "."], {cwd: join(FOLDER, "centrifugo"), maxBuffer: 1 << 26});
  return binary;
}

/** A publisher over WebSocket. */
async function socketPublisher(url, frame, open = []) {
  const WebSocket = createRequire(join(FOLDER, "package.json"))("ws");
  const socket = new WebSocket(url, {perMessageDeflate: false});
  await new Promise((resolve, reject) => { socket.once("open", resolve); socket.once("error", reject); });
  socket.on("message", (data) => { if (data.toString() === "2") socket.send("3"); });
  for (const line of open) {
    await sleep(100);
    socket.send(line);
  }
  await sleep(100);
  return {publish: (payload) => socket.send(frame(payload)), close: () => socket.terminate()};
}

const contestants = {
  async redrain() {
    const stack = await startLab({workers: 1, settler: false, ready: false, conf: {"server.max_connections": 20000}});
    return {
      url: stack.wsUrl, pids: stack.serverPids, stack, stop: () => stack.stop(),
      publisher: async () => ({
        publish: (payload) => stack.must("POST", `/api/v1/rooms/${ROOM}/push`, {biz_code: "BENCH", payload}), close: () => {},
      }),
    };
  },
  async ws() {
    const port = await freePort();
    const server = await startServer(process.execPath, [join(FOLDER, "ws_room.mjs"), port]);
    const url = `ws://127.0.0.1:${port}/`;
    return {url, pids: server.pids, stop: server.stop, publisher: () => socketPublisher(url, (payload) => Buffer.from(`pub:${payload}`))};
  },
  async "socket.io"() {
    const port = await freePort();
    const server = await startServer(process.execPath, [join(FOLDER, "socketio_room.mjs"), port]);
    const url = `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`;
    return {url, pids: server.pids, stop: server.stop, publisher: () => socketPublisher(url, (payload) => `42["pub","${payload}"]`, ["40"])};
  },
  async centrifugo(binary) {
    const port = await freePort();
    const server = await startServer(binary, [port]);
    return {
      url: `ws://127.0.0.1:${port}/ws`, pids: server.pids, stop: server.stop,
      publisher: async () => ({
        publish: async (payload) => { await (await fetch(`http://127.0.0.1:${port}/publish`, {method: "POST", body: JSON.stringify(payload)})).text(); },
        close: () => {},
      }),
    };
  },
};

/** Broadcasts at a steady rate for a while; when each was due is in it. */
async function publishing(publisher, perS, secs) {
  const begun = monoUs();
  const n = Math.max(2, Math.round(perS * secs));
  for (let i = 0; i < n; i += 1) {
    const due = Math.round(begun + (i * 1e6) / perS);
    const wait = (due - monoUs()) / 1000;
    if (wait > 1) await sleep(wait);
    // Not awaited: who answers late is still asked in time.
    Promise.resolve(publisher.publish(stamped(due))).catch((error) => note(error.message));
  }
  return n;
}

async function measure(name, members, o, binary, tokens) {
  const server = await contestants[name](binary);
  const mine = server.stack ? tokensFile(server.stack, members) : tokens;
  const swarm = await startSwarm({url: server.url, tokens: mine, conns: members, dialect: name, entering: 100});
  const publisher = await server.publisher();
  try {
    const perS = Math.min(BROADCASTS_MAX, OFFERED / members);
    const passes = [];
    const memory = pssKib(server.pids());
    for (let i = 0; i <= o.runs; i += 1) {
      swarm.reset();
      const before = cpuUs(server.pids());
      const sent = await publishing(publisher, perS, o.secs);
      let seen = await swarm.seen();
      for (let k = 0; k < 100 && seen.deliveries < sent * members; k += 1) {
        await sleep(50);
        seen = await swarm.seen();
      }
      const cpu = cpuUs(server.pids()) - before;
      const last = seen.each.filter((b) => b[1] === members).map((b) => b[3]);
      // The first one warms up: compilers, buffers.
      if (i > 0) {
        passes.push({per_core: seen.deliveries * 1e6 / cpu, whole: seen.deliveries === sent * members, seen: `${seen.deliveries} of ${sent * members}`, delay: seen.delay, last: median(last), bytes: seen.bytes / seen.deliveries,
          first: median(seen.each.map((b) => b[2]))});
      }
    }
    const found = {
      name, members, per_core: Math.round(median(passes.map((p) => p.per_core))), whole: passes.every((p) => p.whole),
      p50_ms: ms(median(passes.map((p) => p.delay.p50_us))), p99_ms: ms(median(passes.map((p) => p.delay.p99_us))),
      last_ms: ms(median(passes.map((p) => p.last))), skew_ms: ms(median(passes.map((p) => p.last - p.first))),
      pss_kib_per_member: round(memory / members, 1), bytes_per_delivery: round(median(passes.map((p) => p.bytes)), 1), configuration: SHOWN[name],
    };
    note(`${name}, ${members}: ${found.per_core} deliveries per core and second, last ${found.last_ms} ms, skew ${found.skew_ms} ms, `
      + `${found.pss_kib_per_member} KiB each${found.whole ? "" : `; NOT EVERY ONE ONCE: ${passes.map((p) => p.seen).join(", ")}`}\n    ${SHOWN[name]}`);
    return found;
  } finally {
    publisher.close();
    await swarm.end();
    await server.stop();
  }
}

export async function peers(o) {
  const sizes = o.quick ? [20] : o.members ?? [1000, 10_000];
  const binary = await install();
  const lab = await startLab({server: false, settler: false, migrate: false});
  const rows = [];
  try {
    const tokens = tokensFile(lab, sizes.at(-1));
    for (const members of sizes) {
      for (const name of Object.keys(contestants)) rows.push(await measure(name, members, o, binary, tokens));
    }
  } finally {
    await lab.stop();
  }
  const of = (name, members) => rows.find((r) => r.name === name && r.members === members);
  const most = sizes.at(-1);
  const ours = of("redrain", most);
  const over = Object.fromEntries(Object.keys(contestants).filter((n) => n !== "redrain").map((n) => [n, round(ours.per_core / of(n, most).per_core, 2)]));
  return {
    line: {
      bench: "peers", params: {members: most, payload_bytes: 200, offered_deliveries_per_s: OFFERED, rounds: o.runs, pass_s: o.secs}, value: ours.per_core,
      unit: "deliveries/core/s", p50_ms: ours.p50_ms, p99_ms: ours.p99_ms, last_ms: ours.last_ms, peers: over,
    },
    detail: {rows},
    bars: [
      bars.least("deliveries per core over ws", over.ws, 1.3), bars.least("over Socket.IO", over["socket.io"], 2.5),
      bars.least("over Centrifugo", over.centrifugo, 3),
      ...rows.filter((r) => !r.whole).map((r) => ({text: `${r.name} with ${r.members}: every delivery`, value: 0, met: false})),
    ],
  };
}

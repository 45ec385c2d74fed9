// ./dev bench SUITE: the product beside a reference, in turns. docs/BENCHMARKS.md says what is measured.
// tools/dev/bench.sh has started the services in REDRAIN_RUN; a test hands in its own.
import {appendFileSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {barLines} from "./bars.mjs";
import {machine} from "./machine.mjs";

export const HELP = `./dev bench SUITE [options]    the product beside a reference; the last line is JSON
  fanout     one frame to everybody in a room, beside bare send() and lws_write() over the same sockets
  grab       grabs won and told, beside a bare WebSocket echo
  lose       grabs of a sold-out rain, beside the same
  storm      CPU per connect + HELLO + JOIN, beside a bare handshake with two echoes
  idle       memory per joined viewer
  stalled    delay of those who read, with 5 % sockets that take nothing any more, beside without
  growth     fan-out over the size of the room, wins over the size of the pool, CPU per grab over the workers
  overload   twice the measured peak; and 80-15-5
  peers      deliveries per core beside ws, Socket.IO and Centrifugo
  settle     grants from Kafka into the books, beside plain SQL
  pool       wins of the script, beside LPOP
  all        every one of them, one after the other
options
  --out FILE       appends what was found, one JSON line per suite; tools/dev/performance.mjs makes docs/PERFORMANCE.md of it
  --provisional    notes in FILE that the machine was not quiet
  --quick          tiny: shows that it works, measures nothing
  --runs N         alternating rounds; medians count (default 5; settle and pool 3, the best counts)
  --secs N         seconds per pass (4)
  --members A,B    fanout, peers: members of the room (1000,10000); stalled: the last (1000)
  --conns N        grab, lose, overload: sockets that ask (1000); storm: half way at once (200); idle: viewers (15000)
  --workers N      grab, lose, storm, idle, overload: workers of the server, processes of the echo (1)
  --count N        settle: grants (100000); pool: packets (400000)
  --shards N       settle, pool: shards of the rain (8)
  --settlers N     settle: settler processes (1)
  --connections N  settle: connections of each settler (1); the reference has as many as all settlers together
  --batch N        pool: grabs per script call (500, the server's)
  --json           nothing but the last line on stdout
`;

/** Suite: its module. */
const SUITES = {
  fanout: () => import("./fanout.mjs"), grab: () => import("./grab.mjs"), lose: () => import("./grab.mjs"),
  storm: () => import("./storm.mjs"), idle: () => import("./idle.mjs"), stalled: () => import("./stalled.mjs"), growth: () => import("./growth.mjs"),
  overload: () => import("./overload.mjs"), peers: () => import("./peers.mjs"), settle: () => import("./settle.mjs"),
  pool: () => import("./pool.mjs"),
};
const NUMBERS = ["runs", "secs", "count", "shards", "settlers", "connections", "batch", "conns", "workers"];
const FLAGS = ["json", "quick", "provisional"];

function options(argv) {
  const o = {bench: argv[0], shards: 8, settlers: 1, connections: 1, batch: 500, workers: 1};
  if (o.bench !== "all" && !SUITES[o.bench]) throw new Error(`what is ${o.bench}?\n${HELP}`);
  for (let i = 1; i < argv.length; i += 1) {
    const [name, inline] = argv[i].replace(/^--/, "").split("=");
    if (FLAGS.includes(name)) {
      o[name] = true;
      continue;
    }
    const text = inline ?? argv[i += 1];
    if (name === "out") o.out = text;
    else if (name === "members") o.members = text.split(",").map(Number).sort((a, b) => a - b);
    else if (!NUMBERS.includes(name)) throw new Error(`what is ${argv[i]}?\n${HELP}`);
    else {
      const value = Number(text);
      if (!(value > 0) || (name !== "secs" && !Number.isSafeInteger(value))) throw new Error(`${name}: a number above 0`);
      o[name] = value;
    }
  }
  return o;
}

/** What is not given: by the suite, and small with --quick. */
function defaults(o, bench) {
  const money = bench === "settle" || bench === "pool";
  const count = bench === "pool" ? 400_000 : 100_000;
  return {...o, bench, runs: o.runs ?? (o.quick ? 1 : money ? 3 : 5), secs: o.secs ?? (o.quick ? 0.2 : 4), count: o.count ?? (o.quick ? 2000 : count)};
}

/** What services.sh chose: ports and passwords of this run folder. */
function places(run) {
  const ports = Object.fromEntries(readFileSync(join(run, "ports"), "utf8").trim().split("\n").map((line) => line.split("=")));
  const secret = (name) => { try { return readFileSync(join(run, "secrets", name), "utf8"); } catch { return ""; } };
  return {run, ports, redisPassword: secret("redis"), mysqlPassword: secret("mysql"), bin: process.env.REDRAIN_BIN_DIR};
}

async function one(o) {
  const suite = await SUITES[o.bench]();
  if (o.bench !== "settle" && o.bench !== "pool") return suite[o.bench](o);
  return {line: await suite[o.bench](o, places(process.env.REDRAIN_RUN)), detail: {}, bars: []};
}

async function tell(o, found) {
  if (!o.json) {
    for (const [name, value] of Object.entries(found.line)) process.stdout.write(`${name.padEnd(18)} ${typeof value === "object" ? JSON.stringify(value) : value}\n`);
    for (const text of barLines(found.bars)) process.stdout.write(`${text}\n`);
  }
  if (o.out) {
    const row = {at: new Date().toISOString(), machine: machine(), provisional: Boolean(o.provisional), quick: Boolean(o.quick), ...found};
    appendFileSync(o.out, `${JSON.stringify(row)}\n`);
  }
  process.stdout.write(`${JSON.stringify(found.line)}\n`);
}

const argv = process.argv.slice(2);
if (argv.includes("--help") || argv.includes("-h")) {
  process.stdout.write(HELP);
} else {
  const o = options(argv);
  const failed = [];
  for (const bench of o.bench === "all" ? Object.keys(SUITES) : [o.bench]) {
    try {
      const mine = defaults(o, bench);
      await tell(mine, await one(mine));
    } catch (error) {
      if (o.bench !== "all") throw error;
      failed.push(bench);
      process.stderr.write(`${bench}: ${error.stack}\n`);
    }
  }
  if (failed.length) {
    process.stderr.write(`failed: ${failed.join(", ")}\n`);
    process.exitCode = 1;
  }
  // A pooled connection of a suite that failed must not keep this alive.
  process.exit();
}

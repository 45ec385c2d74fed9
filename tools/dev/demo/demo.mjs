// Plays one rain on a running stack and judges it. Started by demo.sh, which brings the stack up and down.
//
// The anchor uses the browser's client module; the crowd is redrain-bench; the verdict comes from the viewers' own
// log and from SQL (verdict.mjs), never from the server's counters.
import {execFile} from "node:child_process";
import {existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";
import {RedrainClient} from "../../../web-demo/redrain-client.js";
import {minter} from "../tokens.mjs";
import {Books} from "./books.mjs";
import {Crowd} from "./crowd.mjs";
import {parse} from "./options.mjs";
import {LiveLine, table} from "./show.mjs";
import {judge} from "./verdict.mjs";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const require = createRequire(join(root, "tests", "package.json"));
const msgpack = require("@msgpack/msgpack");
const {WebSocket} = require("ws");

const runDir = process.env.REDRAIN_RUN;
const port = process.env.REDRAIN_PORT;
const origin = `http://127.0.0.1:${port}`;
const wsUrl = `ws://127.0.0.1:${port}/ws`;

const COUNTDOWN_MS = 3000;
const JOIN_TIMEOUT_MS = 60000;
const STEP_TIMEOUT_MS = 30000;
const SETTLE_TIMEOUT_MS = 60000;
const POLL_MS = 200;
const WINS_LOGS_KEPT = 20;
const CONSOLE_USER = 9001;
const FU_POOL_FEN = 8888;
const FU_MINUTES = 30;
const WHAT_TO_TRY = `Try: open both. Console: fill in, Next, confirm, Prepare, Start; then the viewer page counts down and it rains.
     集五福 is the 福 on the viewer page (a card for coming, for the day, for each rain) and a button in the console's head.
     EN / 中 switches the language; after a rain its card has "prove this rain".
`;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text) => process.stderr.write(`${text}\n`);

function program(name) {
  const walk = (dir) => {
    for (const entry of readdirSync(dir, {withFileTypes: true})) {
      const path = join(dir, entry.name);
      if (entry.isDirectory() && entry.name !== "CMakeFiles") {
        const found = walk(path);
        if (found) return found;
      } else if (entry.isFile() && entry.name === name) {
        return path;
      }
    }
    return null;
  };
  const found = walk(process.env.REDRAIN_BIN_DIR);
  if (!found) throw new Error(`${name} is not built`);
  return found;
}

const ctl = (...args) => run(program("redrainctl"), ["--config", join(runDir, "redrain.conf"), ...args],
  {maxBuffer: 64 << 20});

/** Asks until `check` gives something truthy; throws after the deadline. */
async function until(what, timeoutMs, check) {
  for (const deadline = Date.now() + timeoutMs; ;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(POLL_MS);
  }
}

/** ws asks for the Origin as an option; browsers send their own. */
class OriginSocket extends WebSocket {
  constructor(url, subprotocol) {
    super(url, subprotocol, {origin});
  }
}

async function anchorConnect(mint, user, room) {
  const client = new RedrainClient({
    url: wsUrl, token: () => mint({user, role: "anchor", rooms: [room], name: "主播"}), WebSocket: OriginSocket, msgpack,
  });
  await client.connect();
  await client.join(room);
  return client;
}

/** Create, prepare, start, as the console does; resolves with CREATE's answer and the times. */
async function playRain(anchor, options, runId) {
  const created = await anchor.request("CREATE", {
    biz_id: `demo-${runId}`, total: options.total, count: options.packets, split: options.split, limit: options.limit,
    duration_ms: options.seconds * 1000, text: "恭喜发财",
    ...(options.shards === undefined ? {} : {shards: options.shards}),
  });
  const {code} = created;
  await anchor.request("PREPARE", {code});
  await until("PREPARED", STEP_TIMEOUT_MS, async () => {
    const {rains} = await anchor.request("STATS", {code});
    return rains.some((r) => r.code === code && r.status === "PREPARED");
  });
  return {code, created};
}

/** Stops the broker's process for a while once a third of the rain (of its packets or its time) is over. */
function pauseBroker(anchor, options, openInMs) {
  const services = join(root, "tools", "dev", "services.sh");
  let done = false;
  let resolveDone;
  const finished = new Promise((resolve) => {
    resolveDone = resolve;
  });
  const pause = async () => {
    if (done) return;
    done = true;
    await run(services, ["pause", "kafka"]);
    const from = Date.now();
    await sleep(options.pauseBrokerMs);
    await run(services, ["resume", "kafka"]);
    say(`\nthe broker stood still for ${Date.now() - from} ms`);
    resolveDone();
  };
  anchor.on("RED_PACKET_TICK", (tick) => {
    if (tick.granted * 3 >= options.packets) pause();
  });
  setTimeout(pause, openInMs + options.seconds * 1000 / 3);
  return finished;
}

const jsonLines = (file) => (existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)) : []);

function makeWinsLog(runId) {
  const dir = join(runDir, "wins");
  mkdirSync(dir, {recursive: true});
  const old = readdirSync(dir).map((name) => join(dir, name)).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const file of old.slice(2 * WINS_LOGS_KEPT)) rmSync(file);
  return join(dir, `${runId}.jsonl`);
}

/** Ids and names of this run alone, so that no earlier run disturbs. */
function identity(viewers) {
  const startedMs = Date.now();
  const first = startedMs * 1000; // the anchor; the viewers follow
  return {
    runId: startedMs.toString(36), room: `demo-${startedMs.toString(36)}`, anchorUser: first,
    firstViewer: first + 1, lastViewer: first + viewers,
  };
}

function writeTokens(mint, id) {
  const file = join(runDir, `tokens-${id.runId}`);
  const lines = [];
  for (let user = id.firstViewer; user <= id.lastViewer; user += 1) {
    lines.push(`${user} ${mint({user, rooms: [id.room], name: `v${user - id.firstViewer + 1}`})}`);
  }
  writeFileSync(file, `${lines.join("\n")}\n`, {mode: 0o600});
  return file;
}

/** The rain from the first connection to SETTLED; resolves with everything the verdict needs. */
async function play(options, id, mint, books, live) {
  const tokensFile = writeTokens(mint, id);
  const winsLog = makeWinsLog(id.runId);
  let code;
  let phase = "joining";
  let settled = 0;
  let crowd;
  let anchor;
  let stopped = false;
  const ticker = (async () => {
    while (!stopped) {
      if (code !== undefined) settled = (await books.escrow(code)).settled_cnt;
      if (crowd) live.show(phase, crowd.latest, settled);
      await sleep(1000);
    }
  })();
  ticker.catch(() => {});
  try {
    crowd = new Crowd({
      program: program("redrain-bench"), url: wsUrl, origin, tokensFile, room: id.room, viewers: options.viewers, winsLog,
      durationMaxMs: JOIN_TIMEOUT_MS + STEP_TIMEOUT_MS + COUNTDOWN_MS + options.seconds * 1000 +
        options.pauseBrokerMs + SETTLE_TIMEOUT_MS,
    });
    process.once("exit", () => crowd.kill());
    anchor = await anchorConnect(mint, id.anchorUser, id.room);
    const joined = await crowd.joined(options.viewers, JOIN_TIMEOUT_MS);
    if (joined < options.viewers) say(`only ${joined} of ${options.viewers} viewers joined in time`);
    phase = "preparing";
    const rain = await playRain(anchor, options, id.runId);
    code = rain.code;
    const result = new Promise((resolve) => anchor.on("RED_PACKET_RESULT", (r) => r.config_code === code && resolve(r)));
    const started = await anchor.request("START", {code, countdown_ms: COUNTDOWN_MS});
    const openInMs = Math.max(0, started.open_at - anchor.serverNow());
    const paused = options.pauseBrokerMs > 0 ? pauseBroker(anchor, options, openInMs) : null;
    phase = "countdown";
    setTimeout(() => {
      phase = "raining";
    }, openInMs);
    setTimeout(() => {
      phase = "settling";
    }, openInMs + options.seconds * 1000);
    await Promise.race([result, sleep(openInMs + options.seconds * 1000 + options.pauseBrokerMs + SETTLE_TIMEOUT_MS)]);
    await paused;
    const summary = await crowd.result;
    await until("SETTLED", SETTLE_TIMEOUT_MS, async () => (await books.escrow(code)).remain === 0);
    live.show("settled", crowd.latest, (await books.escrow(code)).settled_cnt);
    return {code, summary, winsLog, shards: rain.created.shards};
  } finally {
    stopped = true;
    await ticker.catch(() => {});
    live.end();
    anchor?.close();
    crowd?.kill();
    rmSync(tokensFile, {force: true});
  }
}

/** The checker's own opinion, one more witness: {ok, text}. */
async function verifyBooks(code) {
  try {
    await ctl("verify", code, "--json");
    return null;
  } catch (error) {
    return `redrainctl verify: ${(error.stderr || error.stdout || error.message).trim().split("\n").pop()}`;
  }
}

function figures(options, played, summary, escrow, verdict, broker) {
  return {
    viewers: options.viewers, joined: summary.joined, push_received: summary.push_received, packets: options.packets,
    shards: escrow.shards, total_fen: options.total, grabs: summary.grabs, told: verdict.told,
    told_fen: verdict.told_fen, losers: summary.losers, pending: summary.pending, settled: verdict.settled,
    settled_fen: verdict.settled_fen, refunded_fen: escrow.refunded, unaccounted_fen: verdict.unaccounted_fen,
    lost_wins: verdict.lost_wins, doubled: verdict.doubled, grabs_per_s: summary.grabs_per_s,
    told_p50_ms: summary.told_p50_ms, told_p99_ms: summary.told_p99_ms, push_last_ms: summary.push_last_ms,
    broker, wins_log: played.winsLog,
    verdict: verdict.problems.length === 0 ? "ok" : verdict.problems.join("; "),
  };
}

async function demo(options) {
  const broker = process.env.REDRAIN_BROKER === "memory" ? "memory" : "kafka";
  const mint = minter(join(runDir, "keys.json"));
  const id = identity(options.viewers);
  const books = await Books.open(process.env.MYSQL_URL);
  const live = new LiveLine();
  try {
    await ctl("wallet", "deposit", String(id.anchorUser), String(options.total), "--biz-id", `demo-${id.runId}`);
    const anchorBefore = (await books.wallets(id.anchorUser, id.anchorUser)).get(String(id.anchorUser)) ?? 0;
    const before = await books.wallets(id.firstViewer, id.lastViewer);
    const position = await books.logPosition();
    const played = await play(options, id, mint, books, live);
    const {code, summary} = played;
    const after = await books.wallets(id.firstViewer, id.lastViewer);
    const anchorAfter = (await books.wallets(id.anchorUser, id.anchorUser)).get(String(id.anchorUser)) ?? 0;
    const escrow = await books.escrow(code);
    const told = jsonLines(played.winsLog);
    const verdict = judge({
      code, total: options.total, senderReturned: anchorAfter - (anchorBefore - options.total), told,
      pending: jsonLines(`${played.winsLog}.pending`).filter((p) => p.code === code),
      grants: await books.grants(code), credits: await books.credits(id.firstViewer, id.lastViewer, position),
      increases: new Map([...after].map(([user, fen]) => [user, fen - (before.get(user) ?? 0)])),
    });
    if (summary.joined === 0) verdict.problems.unshift("nobody joined");
    else if (summary.joined < options.viewers) verdict.problems.push(`only ${summary.joined} of ${options.viewers} viewers joined`);
    const finding = await verifyBooks(code);
    if (finding) verdict.problems.push(finding);
    return {id, code, figures: figures(options, played, summary, escrow, verdict, broker)};
  } finally {
    await books.close();
  }
}

/** 集五福 in the room, so that both pages have something to show; by the console's anchor, from his own wallet. */
async function beginFu(mint, room) {
  const anchor = await anchorConnect(mint, CONSOLE_USER, room);
  await anchor.request("FU_CREATE", {
    biz_id: `demo-fu-${room}`, pool: FU_POOL_FEN, share_at: Math.round(anchor.serverNow()) + FU_MINUTES * 60_000, split: "double-mean",
    day_draws: 50, text: "集五福，迎新春",
  });
  anchor.close();
}

async function printUrls(room) {
  await ctl("wallet", "deposit", String(CONSOLE_USER), "1000000", "--biz-id", `demo-console-${room}`).catch(() => {});
  await beginFu(minter(join(runDir, "keys.json")), room).catch((error) => say(`no five cards: ${error.message}`));
  const {stdout} = await run(join(root, "tools", "dev", "stack.sh"), ["urls", room]);
  process.stdout.write(`\nOpen in a browser (tokens are good for a day):\n${stdout}\n${WHAT_TO_TRY}`);
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.pauseBrokerMs > 0 && process.env.REDRAIN_BROKER === "external") {
    throw new Error("--pause-broker: the broker is not ours to pause");
  }
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) process.on(signal, () => process.exit(code));
  const {id, code, figures: f} = await demo(options);
  process.stdout.write(`\nrain ${code}\n${table({...f, split: options.split, limit: options.limit})}\n`);
  process.stdout.write(f.verdict === "ok"
    ? "verdict: ok - every win told is in its viewer's wallet, once, and every fen is accounted for\n"
    : `verdict: ${f.verdict}\n`);
  process.exitCode = f.verdict === "ok" ? 0 : 1;
  if (!options.once || options.keep) await printUrls(id.room);
  if (options.json) process.stdout.write(`${JSON.stringify(f)}\n`);
  if (options.once) {
    // Deadlines that were not needed still tick: leave once everything is written.
    await new Promise((resolve) => process.stdout.write("", resolve));
    process.exit();
  }
  process.stdout.write("\nserving; Ctrl-C stops everything\n");
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.removeAllListeners(signal);
    process.on(signal, () => process.exit(process.exitCode));
  }
  setInterval(() => {}, 1 << 30);
}

main().catch((error) => {
  say(`error: ${error.stack ?? error}`);
  if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({verdict: `error: ${error.message}`})}\n`);
  process.exit(1);
});

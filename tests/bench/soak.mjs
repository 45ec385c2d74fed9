// ./dev soak: hours in minutes. A room of viewers who grab in one rain after another while 1 in 20 of them reads nothing for a while, all
// others lose their connections now and then, and a worker dies each minute. At the end every client has every push, by its own log; memory
// is what it was; what was told is in the books, and the books are clean.
import {spawn} from "node:child_process";
import {appendFileSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {createInterface} from "node:readline";
import {Client, until} from "../lib/ws.mjs";
import {metrics, note, program, ROOM, round, rssKib, SENDER, sleep, startLab, stamped, monoUs, tokensFile} from "./lab.mjs";
import {machine} from "./machine.mjs";

export const HELP = `./dev soak [options]   a crowded room for a long time, with everything that goes wrong; the last line is JSON
  --minutes N      30
  --viewers N      5000
  --out FILE       appends the line for tools/dev/performance.mjs; --provisional: the machine was not quiet
  --json           nothing but the last line on stdout
`;

const PUSH_MS = 500; // must-arrive pushes beside the rains'
const FILL = ".".repeat(1500); // so that whoever reads nothing is found out before he reads again
const PROBE_MS = 500;
const PROBE_LIMIT_MS = 2000;
const STORM_MS = 45_000;
const KILL_MS = 60_000;
const RAIN_S = 10;
const CATCH_UP_MS = 60_000;

/** redrain-bench crowd until it is told to stop: its progress, and its summary. */
function startCrowd(stack, viewers, winsLog) {
  const child = spawn(program("redrain-bench"), ["crowd", "--url", stack.wsUrl, "--tokens-file", tokensFile(stack, viewers), "--room", ROOM,
    "--viewers", String(viewers), "--rate", "1", "--connect-rate", "1000", "--wins-log", winsLog, "--stall-pct", "5", "--endless", "--progress", "--json"],
  {stdio: ["ignore", "pipe", "pipe"]});
  const crowd = {child, latest: {joined: 0}, said: []};
  process.once("exit", () => child.kill("SIGKILL"));
  createInterface({input: child.stderr}).on("line", (line) => {
    try { crowd.latest = JSON.parse(line); } catch { crowd.said.push(line); }
  });
  let summary = null;
  createInterface({input: child.stdout}).on("line", (line) => { if (line.startsWith("{")) summary = JSON.parse(line); });
  crowd.ended = new Promise((resolve) => { child.once("close", () => resolve(summary)); });
  return crowd;
}

/** Rains one after another; what was played. */
async function playRains(stack, viewers, state) {
  while (!state.over) {
    const count = Math.max(10, Math.round(viewers * 0.6));
    const total = count * 50;
    try {
      await stack.deposit(SENDER, total);
      const {code} = await stack.must("POST", "/api/v1/rains", {sender: SENDER, room: ROOM, count, total, limit: 2, biz_id: `soak-${state.codes.length}-${process.pid}`});
      await stack.must("POST", `/api/v1/rains/${code}/prepare`, {});
      await until("PREPARED", async () => (await stack.must("GET", `/api/v1/rains/${code}`)).status === "PREPARED", {timeoutMs: 30_000});
      await stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms: 2000, duration_ms: RAIN_S * 1000});
      state.codes.push(code);
      await until("SETTLED", async () => (await stack.must("GET", `/api/v1/rains/${code}`)).status === "SETTLED", {timeoutMs: 120_000, everyMs: 500});
    } catch (error) {
      state.problems.push(`a rain: ${error.message}`);
      await sleep(1000);
    }
  }
}

async function pushAlways(stack, state) {
  while (!state.over) {
    const due = monoUs();
    try {
      await stack.must("POST", `/api/v1/rooms/${ROOM}/push`, {biz_code: "SOAK", payload: `${FILL}${stamped(due)}`});
      state.pushes += 1;
    } catch (error) {
      state.problems.push(`a push: ${error.message}`);
    }
    await sleep(Math.max(0, PUSH_MS - (monoUs() - due) / 1000));
  }
}

/** Somebody new who comes, enters and asks the time: was he served in time? */
async function probeAlways(stack, state) {
  for (let n = 0; !state.over; n += 1) {
    const begun = performance.now();
    state.probes += 1;
    let client = null;
    try {
      client = await Client.open(stack.wsUrl, {localAddress: `127.0.9.${1 + (n % 200)}`});
      const one = (promise) => Promise.race([promise, sleep(PROBE_LIMIT_MS).then(() => { throw new Error("late"); })]);
      await one(client.request(1, {token: stack.mint(String(900_000 + (n % 1000))), ver: 1}));
      if (performance.now() - begun <= PROBE_LIMIT_MS) state.served += 1;
    } catch (error) {
      state.probeError = error.message;
    }
    client?.close?.();
    await sleep(Math.max(0, PROBE_MS - (performance.now() - begun)));
  }
}

/** Storms and deaths, by the clock. */
async function hurt(stack, crowd, state) {
  const begun = Date.now();
  let storm = begun + STORM_MS;
  let kill = begun + Math.min(KILL_MS, state.endAt - begun - 40_000 > KILL_MS ? KILL_MS : 30_000);
  while (!state.over && Date.now() < state.endAt - 15_000) {
    await sleep(200);
    if (Date.now() >= storm) {
      storm += STORM_MS;
      state.storms += 1;
      crowd.child.kill("SIGUSR1");
    }
    if (Date.now() >= kill) {
      kill += KILL_MS;
      const pids = stack.workerPids();
      if (pids.length) {
        process.kill(pids[Math.floor(Math.random() * pids.length)], "SIGKILL");
        state.kills += 1;
      }
    }
  }
}

/** Every win that a viewer was told is a grant in the books, of that user and amount. */
async function toldButNotBooked(stack, winsLog) {
  const wins = readFileSync(winsLog, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const rows = await stack.sql("SELECT code, user_id, seq, amount FROM rp_grant");
  const booked = new Map(rows.map((r) => [`${r.code}:${r.user_id}:${r.seq}`, Number(r.amount)]));
  return wins.filter((w) => booked.get(`${w.code}:${w.user}:${w.seq}`) !== Number(w.amount)).length;
}

const serverPids = (stack) => [...stack.serverPids(), stack.settler.pid];
const gained = (after, before, name) => (after[name] ?? 0) - (before[name] ?? 0);

export async function soak({minutes, viewers}) {
  const stack = await startLab({workers: 2, conf: {"server.max_connections": 20000, "limits.queue_bytes": 16384, "limits.sndbuf_bytes": 8192}});
  const state = {over: false, codes: [], problems: [], pushes: 0, probes: 0, served: 0, storms: 0, kills: 0, endAt: Date.now() + minutes * 60_000};
  const winsLog = join(stack.dir, "wins.jsonl");
  const crowd = startCrowd(stack, viewers, winsLog);
  try {
    await until(() => `${crowd.latest.joined} of ${viewers} viewers; ${crowd.said.slice(-3).join("; ")}`, () => crowd.latest.joined >= viewers, {timeoutMs: 120_000});
    const before = await metrics(stack);
    const jobs = [playRains(stack, viewers, state), pushAlways(stack, state), probeAlways(stack, state), hurt(stack, crowd, state)];
    let rssStart = 0;
    let shown = 0;
    // Memory counts from when everything was used once: a quarter of the time, at most two minutes.
    const warmAt = Date.now() + Math.min(120_000, (minutes * 60_000) / 4);
    while (Date.now() < state.endAt) {
      await sleep(1000);
      if (!rssStart && Date.now() >= warmAt) rssStart = rssKib(serverPids(stack));
      if (Date.now() - shown > 10_000) {
        shown = Date.now();
        note(`${Math.round((state.endAt - Date.now()) / 1000)} s left: ${crowd.latest.joined} joined, ${state.codes.length} rains, ${crowd.latest.told} wins told, `
          + `${state.pushes} pushes, ${state.kills} workers killed, ${state.storms} storms, ${state.served} of ${state.probes} probes served`);
      }
    }
    state.over = true;
    await Promise.all(jobs);
    // Who stalls reads again; everybody comes back and catches up. A reader whose window was shut for long waits for TCP's next
    // probe, which may take as long as he stalled.
    crowd.child.kill("SIGUSR2");
    await until(() => `${crowd.latest.joined} of ${viewers} are back`, () => crowd.latest.joined >= viewers, {timeoutMs: 60_000});
    const {position} = crowd.latest;
    const lastAt = Date.now();
    await stack.must("POST", `/api/v1/rooms/${ROOM}/push`, {biz_code: "SOAK", payload: "last"});
    await until("", () => crowd.latest.position > position && crowd.latest.behind === 0, {timeoutMs: CATCH_UP_MS}).catch(() => {
      state.problems.push(`${crowd.latest.behind} viewers have not caught up after ${CATCH_UP_MS} ms`);
    });
    note(`everybody has the last push ${Date.now() - lastAt} ms after it was sent`);
    const after = await metrics(stack);
    const rssEnd = rssKib(serverPids(stack));
    crowd.child.kill("SIGTERM");
    const summary = await crowd.ended;
    if (!summary) throw new Error(`the crowd left no summary: ${crowd.said.slice(-5).join("; ")}`);
    const verify = await stack.ctl(["verify", "--all", "--json"]);
    const unbooked = await toldButNotBooked(stack, winsLog);
    const availability = round(state.served / Math.max(1, state.probes), 5);
    const problems = [...new Set(state.problems)].slice(0, 5);
    for (const line of crowd.said.slice(0, 100)) note(line);
    if (summary.seq_missing) problems.push(`${summary.seq_missing} pushes are missing in clients' logs`);
    if (summary.told_conflicts) problems.push(`${summary.told_conflicts} wins told twice, differently`);
    if (unbooked) problems.push(`${unbooked} told wins are not in the books`);
    if (verify.code !== 0 || !verify.json?.ok) problems.push(`verify: ${verify.stdout.slice(0, 300)}`);
    if (rssEnd > rssStart * 1.2 + 8192) problems.push(`memory grew from ${rssStart} to ${rssEnd} KiB`);
    if (availability < 0.99) problems.push(`availability ${availability} (${state.probeError})`);
    note(`${state.kills} workers killed, ${state.storms} storms, ${summary.stalls} stalls, ${summary.reconnects} reconnects, ${summary.told} wins told`);
    return {
      line: {
        minutes, viewers, rains: state.codes.length, delivered: summary.seq_delivered,
        dropped: gained(after, before, "frames_dropped_total"), closed: gained(after, before, "slow_consumers_closed_total"),
        expected: summary.seq_expected, missing: summary.seq_missing, rss_start_kib: rssStart, rss_end_kib: rssEnd, availability,
        unaccounted_fen: Number(verify.json?.unaccounted_fen ?? 0), verdict: problems.length ? `FAILED: ${problems.join("; ")}` : "clean",
      },
    };
  } finally {
    state.over = true;
    crowd.child.kill("SIGTERM");
    await stack.stop();
  }
}

const argv = process.argv.slice(2);
if (argv.includes("--help") || argv.includes("-h")) {
  process.stdout.write(HELP);
} else {
  const option = (name, fallback) => {
    const i = argv.indexOf(`--${name}`);
    const value = i < 0 ? fallback : Number(argv[i + 1]);
    if (!(value > 0)) throw new Error(HELP);
    return value;
  };
  const out = argv.includes("--out") ? argv[argv.indexOf("--out") + 1] : null;
  const {line} = await soak({minutes: option("minutes", 30), viewers: option("viewers", 5000)});
  if (!argv.includes("--json")) for (const [name, value] of Object.entries(line)) process.stdout.write(`${name.padEnd(18)} ${value}\n`);
  if (out) {
    const row = {at: new Date().toISOString(), machine: machine(), provisional: argv.includes("--provisional"), line: {bench: "soak", ...line}, detail: {}, bars: []};
    appendFileSync(out, `${JSON.stringify(row)}\n`);
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
  process.exit(line.verdict === "clean" ? 0 : 1);
}

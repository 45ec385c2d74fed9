// ./dev chaos: plays rains, kills what plays them, heals, and judges from the viewers' logs and SQL.
import {mkdirSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {Anchor} from "./anchor.mjs";
import {Crowd} from "./crowd.mjs";
import {collect, quiet, wallets} from "./evidence.mjs";
import {Faults, PACE_MS} from "./faults.mjs";
import {judge} from "./judge.mjs";
import {rngOf} from "./rng.mjs";
import {SABOTAGES, sabotageBooks, sabotageEvidence} from "./sabotage.mjs";
import {World, sleep} from "./world.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const ANCHOR = 90_001;
const PURSE_FEN = 1_000_000_000;
const HEAL_MS = 150_000;
const RAINS_END_MS = 40_000;

export const HELP = `./dev chaos [options]    rains under kill -9, pauses, cuts, wiped and rolled back Redis; then heals and verifies
  --kills N              kills to count (default 50)
  --seed S               the schedule's seed (default: random, printed)
  --seconds T            at most so long before healing (default: 6 per kill and 60)
  --sabotage HOW         lose, double, invent or hide something afterwards: the verdict must fail
  --preset NAME          build to run (default release)
  --rooms N, --viewers N rooms (3) and viewers in each (14)
  --pace MS              mean pause between two kills (1100)
  --without A,B          targets that are left alone
  --json                 the last line as JSON
`;

function options(argv) {
  const o = {kills: 50, seed: null, seconds: null, sabotage: null, json: false, rooms: 3, viewers: 14, without: [], preset: "release", pace: PACE_MS};
  for (let i = 0; i < argv.length; i += 1) {
    const [name, inline] = argv[i].split("=");
    const key = name.slice(2);
    if (name === "--json") o.json = true;
    else if (!name.startsWith("--") || !(key in o)) throw new Error(`what is ${argv[i]}?\n${HELP}`);
    else {
      const value = inline ?? argv[i += 1];
      if (value === undefined) throw new Error(`${name} needs a value`);
      if (["kills", "seed", "seconds", "rooms", "viewers", "pace"].includes(key)) {
        o[key] = Number(value);
        if (!Number.isSafeInteger(o[key]) || o[key] < 0) throw new Error(`${name} ${value}: not a number`);
      } else {
        o[key] = key === "without" ? value.split(",").filter(Boolean) : value;
      }
    }
  }
  if (o.sabotage && !SABOTAGES.includes(o.sabotage)) throw new Error(`--sabotage ${SABOTAGES.join("|")}`);
  o.seed ??= Math.floor(Math.random() * 1e9);
  o.seconds ??= o.kills * 6 + 60;
  return o;
}

/** One line that is rewritten on a terminal; every 5 s a line elsewhere. */
function progressLine() {
  let shown = 0;
  return (text) => {
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 120) - 1)}`);
    } else if (Date.now() - shown > 5000) {
      shown = Date.now();
      process.stderr.write(`${text}\n`);
    }
  };
}

async function deposit(world, user) {
  const answer = await world.api("POST", `/api/v1/wallets/${user}/deposit`, {amount: PURSE_FEN, biz_id: `chaos-${user}`});
  if (answer.status >= 300) throw new Error(`deposit of ${user}: HTTP ${answer.status} ${JSON.stringify(answer.body)}`);
}

class Run {
  constructor(o) {
    this.o = o;
    this.began = Date.now();
    this.progress = progressLine();
    this.notes = [];
    const bin = process.env.REDRAIN_BIN_DIR ?? join(root, "build", o.preset);
    const dir = process.env.REDRAIN_RUN ?? join(root, ".run", "chaos");
    // Both policies of a lost pool have their seeds.
    const policy = rngOf(o.seed, "policy").chance(0.3) ? "close" : "recover";
    this.world = new World({root, dir, bin, policy, note: (text) => this.note(text)});
    this.rains = [];
  }

  note(text) {
    this.notes.push(`${new Date().toISOString()} ${text}`);
    this.progress(text);
  }

  async begin() {
    const {o, world} = this;
    await world.begin();
    const rooms = Array.from({length: o.rooms}, (_, i) => `chaos-${i}`);
    this.crowd = new Crowd({world, rooms, perRoom: o.viewers, seed: o.seed});
    this.anchors = rooms.map((room, i) => new Anchor({world, crowd: this.crowd, room, user: ANCHOR + i, rng: rngOf(o.seed, `anchor ${i}`),
      rains: this.rains, note: (text) => this.note(text)}));
    this.before = await wallets(world);
    for (const anchor of this.anchors) await deposit(world, anchor.user);
    this.deposits = Object.fromEntries(this.anchors.map((a) => [String(a.user), PURSE_FEN]));
    await this.crowd.connect();
    this.faults = new Faults({world, crowd: this.crowd, seed: o.seed, without: o.without, paceMs: o.pace, note: (text) => this.note(text)});
  }

  async hurt() {
    const {o, faults, crowd} = this;
    this.playing = Promise.all(this.anchors.map((a) => a.run()));
    this.playing.catch((error) => this.note(`anchor: ${error.stack}`));
    const began = Date.now();
    const ticker = setInterval(() => {
      const s = Math.round((Date.now() - began) / 1000);
      this.progress(`${s} s: ${faults.kills}/${o.kills} kills, ${this.rains.length} rains, ${crowd.exposed()} grabs open, `
        + `last: ${faults.done.at(-1) ? `${faults.done.at(-1).how ?? faults.done.at(-1).kind} ${faults.done.at(-1).target}` : "-"}`);
    }, 500);
    const late = setTimeout(() => faults.stop(), o.seconds * 1000);
    try {
      await faults.run(o.kills);
    } finally {
      clearTimeout(late);
      clearInterval(ticker);
    }
    this.hurtS = Math.round((Date.now() - began) / 1000);
  }

  async heal() {
    for (const anchor of this.anchors) anchor.stopped = true;
    if (!await this.world.heal()) this.note("the servers did not become ready again");
    await Promise.race([this.playing, sleep(RAINS_END_MS)]);
    for (const anchor of this.anchors) anchor.end();
    const left = await quiet(this.world, this.crowd, HEAL_MS, (text) => this.progress(`healing: ${text || "quiet"}`));
    if (left) this.note(`not quiet after ${HEAL_MS / 1000} s: ${left}`);
  }

  async verdict() {
    const {o, world, crowd} = this;
    if (o.sabotage) await sabotageBooks(world, o.sabotage, o.seed);
    const evidence = await collect({world, crowd, rains: this.rains, deposits: this.deposits, before: this.before, faults: this.faults,
      wanted: o.kills, seed: o.seed});
    if (o.sabotage) sabotageEvidence(evidence, o.sabotage, o.seed);
    mkdirSync(world.logs, {recursive: true});
    writeFileSync(join(world.dir, "evidence.json"), JSON.stringify(evidence));
    writeFileSync(join(world.dir, "notes"), this.notes.join("\n"));
    return judge(evidence);
  }

  async end() {
    this.faults?.stop();
    for (const anchor of this.anchors ?? []) anchor.end();
    this.crowd?.end();
    await this.world.end();
  }
}

const human = (line) => Object.entries(line).map(([k, v]) => `${k.padEnd(18)}${typeof v === "object" ? JSON.stringify(v) : v}`).join("\n");

async function main() {
  const o = options(process.argv.slice(2));
  const run = new Run(o);
  process.stderr.write(`seed ${o.seed}\n`);
  let ending = null;
  const end = () => (ending ??= run.end());
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, () => end().finally(() => process.exit(130)));
  let result;
  try {
    await run.begin();
    await run.hurt();
    await run.heal();
    result = await run.verdict();
  } finally {
    if (process.stderr.isTTY) process.stderr.write("\n");
    await end();
  }
  const {line, findings} = result;
  for (const text of [...run.notes.slice(-20), ...findings.slice(0, 40)]) process.stderr.write(`${text}\n`);
  if (findings.length > 40) process.stderr.write(`and ${findings.length - 40} findings more\n`);
  process.stderr.write(`besides the kills: ${JSON.stringify(run.faults.others)}; ${run.hurtS} s of faults, ${Math.round((Date.now() - run.began) / 1000)} s in all; fence.policy ${run.world.policy}; ${run.world.dir}\n`);
  process.stdout.write(`${o.json ? JSON.stringify(line) : human(line)}\n`);
  process.exit(line.verdict === "ok" ? 0 : 1);
}

if (process.argv.includes("--help") || process.argv.includes("-h")) process.stdout.write(HELP);
else await main().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exit(2);
});

// ./dev bench settle|pool: the product beside a reference, alternating, best of N. docs/BENCHMARKS.md says what is measured.
// tools/dev/bench.sh has started the services in REDRAIN_RUN.
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {pool} from "./pool.mjs";
import {settle} from "./settle.mjs";

export const HELP = `./dev bench settle|pool [options]    the product beside a reference; the last line is JSON
  --runs N         alternating runs, the best of each side counts (default 3)
  --count N        settle: grants (100000); pool: packets (400000)
  --shards N       shards of the rain (default 8)
  --settlers N     settle: settler processes (default 1)
  --connections N  settle: connections of each settler (default 1); the reference has as many as all settlers together
  --batch N        pool: grabs per script call (default 128, the server's)
  --json           nothing but the last line on stdout
`;

const NUMBERS = ["runs", "count", "shards", "settlers", "connections", "batch"];

function options(argv) {
  const o = {bench: argv[0], runs: 3, count: argv[0] === "pool" ? 400_000 : 100_000, shards: 8, settlers: 1, connections: 1, batch: 128, json: false};
  for (let i = 1; i < argv.length; i += 1) {
    const [name, inline] = argv[i].split("=");
    if (name === "--json") o.json = true;
    else if (!name.startsWith("--") || !NUMBERS.includes(name.slice(2))) throw new Error(`what is ${argv[i]}?\n${HELP}`);
    else {
      const value = Number(inline ?? argv[i += 1]);
      if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name}: a number from 1 on`);
      o[name.slice(2)] = value;
    }
  }
  return o;
}

/** What services.sh chose: ports and passwords of this run folder. */
function places(run) {
  const ports = Object.fromEntries(readFileSync(join(run, "ports"), "utf8").trim().split("\n").map((line) => line.split("=")));
  const secret = (name) => { try { return readFileSync(join(run, "secrets", name), "utf8"); } catch { return ""; } };
  return {run, ports, redisPassword: secret("redis"), mysqlPassword: secret("mysql"), bin: process.env.REDRAIN_BIN_DIR};
}

const argv = process.argv.slice(2);
if (argv.includes("--help") || argv.includes("-h")) {
  process.stdout.write(HELP);
} else {
  const o = options(argv);
  const line = await (o.bench === "pool" ? pool : settle)(o, places(process.env.REDRAIN_RUN));
  if (!o.json) {
    for (const [name, value] of Object.entries(line)) process.stdout.write(`${name.padEnd(18)} ${typeof value === "object" ? JSON.stringify(value) : value}\n`);
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

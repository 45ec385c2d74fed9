// Grants settled per second from a filled topic, beside the same rows inserted by hand; and how long after its close a rain whose
// grants are still on their way is SETTLED.
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {setTimeout as sleep} from "node:timers/promises";
import mysql from "mysql2/promise";
import {best, round, runProgram, startProgram, writeConfig} from "./programs.mjs";

const POLL_MS = 5;
const DEADLINE_MS = 300_000;

async function migrated(at, o, namespace) {
  const conf = writeConfig(at, namespace, `[settler]\nverify_interval_s = 0\nconnections = ${o.connections}\n`);
  await runProgram(at, "redrainctl", ["--config", conf, "--json", "migrate"]);
  return conf;
}

function startSettlers(at, o, conf) {
  return Array.from({length: o.settlers}, (_, i) => startProgram(at, "redrain-settler", ["--config", conf], `settler${i}.log`));
}

const stopAll = (settlers) => Promise.all(settlers.map((s) => s.stop()));

/** From the first commit that is seen to the last one. Waiting for the consumer group is not settling. */
async function drain(db, base, settlers, count) {
  const started = performance.now();
  let first = null;
  for (;;) {
    const [[row]] = await db.query(`SELECT SUM(settled_cnt) AS n FROM ${base}.rp_escrow`);
    const now = performance.now();
    const n = Number(row.n ?? 0);
    if (n > 0 && !first) first = {n, at: now};
    if (n >= count) return {grants_per_s: Math.round((count - first.n) * 1000 / Math.max(now - first.at, 1)), seen: count - first.n};
    if (now - started > DEADLINE_MS) throw new Error(`${n} of ${count} grants settled after ${DEADLINE_MS} ms`);
    if (settlers.every((s) => s.child.exitCode !== null)) throw new Error("the settlers ended");
    await sleep(POLL_MS);
  }
}

async function oneRun(at, o, db, i) {
  const namespace = `b${i}_`;
  const base = `${namespace}redrain`;
  const conf = await migrated(at, o, namespace);
  const rain = await runProgram(at, "redrain-bench-money", ["--config", conf, "rain", "--count", o.count, "--shards", o.shards].map(String));
  const settlers = startSettlers(at, o, conf);
  let product;
  try {
    product = await drain(db, base, settlers, o.count);
  } finally {
    await stopAll(settlers);
  }
  const reference = await runProgram(at, "redrain-ref-settle-sql", [at.ports.mysql, "redrain", base, rain.code, o.settlers * o.connections].map(String),
    {MYSQL_PWD: at.mysqlPassword});
  if (reference.rows !== o.count) throw new Error(`the reference inserted ${reference.rows} of ${o.count} rows`);
  await db.query(`DROP DATABASE ${base}_ref`);
  await db.query(`DROP DATABASE ${base}`);
  return {product, reference};
}

/** The settlers run while it is grabbed; the close comes with the last answer, when most of the grants wait in Kafka. */
async function closeRun(at, o, db, i) {
  const namespace = `c${i}_`;
  const conf = await migrated(at, o, namespace);
  const settlers = startSettlers(at, o, conf);
  try {
    const rain = await runProgram(at, "redrain-bench-money",
      ["--config", conf, "rain", "--close", "--count", o.count, "--shards", o.shards].map(String));
    return rain;
  } finally {
    await stopAll(settlers);
    await db.query(`DROP DATABASE ${namespace}redrain`);
  }
}

export async function settle(o, places) {
  const env = Object.fromEntries(readFileSync(join(places.run, "env"), "utf8").trim().split("\n").map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1).replace(/\\(.)/g, "$1")];
  }));
  const at = {...places, bootstrap: env.KAFKA_BOOTSTRAP};
  const db = await mysql.createConnection({host: "127.0.0.1", port: Number(at.ports.mysql), user: "redrain", password: at.mysqlPassword});
  const runs = [];
  const closes = [];
  try {
    for (let i = 0; i < o.runs; i += 1) {
      runs.push(await oneRun(at, o, db, i));
      closes.push(await closeRun(at, o, db, i));
      process.stderr.write(`run ${i + 1}: ${runs.at(-1).product.grants_per_s} grants/s, by hand ${runs.at(-1).reference.grants_per_s}/s; `
        + `SETTLED ${closes.at(-1).settled_ms} ms after close\n`);
    }
  } finally {
    await db.end();
  }
  const value = best(runs.map((r) => r.product), "grants_per_s").grants_per_s;
  const reference = best(runs.map((r) => r.reference), "grants_per_s").grants_per_s;
  return {
    bench: "settle", params: {grants: o.count, shards: o.shards, settlers: o.settlers, connections: o.connections, runs: o.runs, broker: env.REDRAIN_BROKER, binlog: true},
    value, unit: "grants/s", reference: "settle_sql", reference_value: reference, ratio: round(value / reference),
    settled_ms: Math.min(...closes.map((c) => c.settled_ms)), settled_ms_all: closes.map((c) => c.settled_ms),
  };
}

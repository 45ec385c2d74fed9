// Running what is measured: a program that prints one JSON line, a settler that runs until it is told to stop.
import {spawn} from "node:child_process";
import {openSync, closeSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const PATHS = {
  "redrain-bench-money": "bench/money", "redrain-ref-pool-lpop": "bench/ref", "redrain-ref-settle-sql": "bench/ref",
  "redrain-settler": "settle/settler", redrainctl: "tools/ctl",
};
const running = new Set();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    for (const child of running) child.kill("SIGKILL");
    process.exit(130);
  });
}

function start(at, name, args, stdio, env = {}) {
  const child = spawn(join(at.bin, PATHS[name], name), args, {stdio, env: {...process.env, ...env}});
  running.add(child);
  const gone = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve(code ?? signal);
    });
  });
  return {child, gone};
}

/** Runs a program to its end; its last line as an object. */
export async function runProgram(at, name, args, env) {
  const {child, gone} = start(at, name, args, ["ignore", "pipe", "inherit"], env);
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text) => { out += text; });
  const code = await gone;
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${out}`);
  return JSON.parse(out.trim().split("\n").at(-1));
}

/** A program that stays; stop() ends it. */
export function startProgram(at, name, args, log) {
  const fd = openSync(join(at.run, "logs", log), "a");
  const {child, gone} = start(at, name, args, ["ignore", fd, fd]);
  closeSync(fd);
  return {
    child,
    async stop() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

/** The configuration of one run: everything in Redis, Kafka and MariaDB has its prefix, so that each run starts empty. */
export function writeConfig(at, namespace, more = "") {
  const file = join(at.run, `${namespace}.conf`);
  const mysql = at.ports.mysql ? `[mysql]\nurl = mysql://redrain:${at.mysqlPassword}@127.0.0.1:${at.ports.mysql}/redrain\n` : "";
  const kafka = at.bootstrap ? `[kafka]\nbootstrap = ${at.bootstrap}\nqueue_max = 1000000\n` : "";
  writeFileSync(file, `[server]\nnamespace = ${namespace}\n[redis]\nurl = redis://:${at.redisPassword}@127.0.0.1:${at.ports.redis}/0\n`
    + `${mysql}${kafka}${more}`, {mode: 0o600});
  return file;
}

export const best = (runs, name) => runs.reduce((a, b) => (b[name] > a[name] ? b : a));
export const round = (value, digits = 2) => Number(value.toFixed(digits));

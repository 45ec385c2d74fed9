// This version and the next one (tests/next: another pair in the record, other revisions of the scripts, a schema that grew) serve
// one rain together: each settles what the other granted, and there is a way back in the middle of it.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile, spawn} from "node:child_process";
import {createHash} from "node:crypto";
import {chmodSync, existsSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {promisify} from "node:util";
import {Balancer, Follower} from "../lib/follower.mjs";
import {until} from "../lib/ws.mjs";
import {program, startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const TOTAL = 40_000;
const run = promisify(execFile);

let stack;
const script = () => join(stack.dir, "bin-redrain-server");

/** What the next upgrade starts. */
function install(name) {
  // argv[0] stays this file's name: that is what an upgrade executes.
  writeFileSync(script(), `#!/bin/bash\nexec -a "$0" ${program(name)} "$@"\n`);
  chmodSync(script(), 0o755);
}

before(async () => {
  stack = await startStack({workers: 2, server: false, conf: {
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "limits.exempt": "127.0.0.0/8",
    "drain.spread_ms": 500, "drain.ready_wait_ms": 3000, "drain.timeout_ms": 20_000, "drain.wait_rain_ms": 0,
  }});
  stack.conf["server.pid_file"] = join(stack.dir, "server.pid");
  stack.writeConfig();
  install("redrain-server");
  await stack.startServer({file: script()});
  await stack.waitReady();
});
after(() => stack?.stop());

/** A settler of the next version; stop() resolves when it is gone. */
function nextSettler(t) {
  const child = spawn(program("redrain-settler-next"), ["--config", stack.settlerConfigFile], {stdio: "ignore"});
  const exited = new Promise((resolve) => { child.once("exit", resolve); });
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
  };
  t.after(() => { child.kill("SIGKILL"); });
  return {stop};
}

const revision = () => {
  const text = readFileSync(new URL("../../store/scripts/pool_grab.lua", import.meta.url), "utf8");
  return createHash("sha1").update(`${text}-- the next revision\n`).digest("hex");
};

test("both versions serve one rain, settle each other's records, and there is a way back", async (t) => {
  const room = newRoom("versions");
  const balancer = new Balancer(stack);
  const players = await Promise.all(Array.from({length: 6}, (_, i) => Follower.enter(balancer, 8900 + i, room)));
  t.after(() => players.forEach((f) => f.close()));
  const {code} = await startRain(stack, {room, count: 4000, total: TOTAL, limit: 600, duration_ms: 120_000});
  const wins = [];
  let over = false;
  const playing = Promise.all(players.map(async (f) => {
    while (!over) {
      const answer = await f.client.grab(code).catch((error) => ({name: error.name}));
      if (answer.name === "ENDED" || answer.name === "LIMIT") return;
      if (answer.name === "OK") wins.push({user: f.user, code, seq: answer.seq, shard: answer.shard, no: answer.no, amount: answer.amount});
      await new Promise((resolve) => { setTimeout(resolve, 100); }); // so that the packets last over all of it
    }
  }));
  const inBooks = async () => Number((await stack.sql("SELECT COUNT(*) n FROM rp_grant WHERE code = ?", [code]))[0].n);
  /** Packets are won from now on, and come into the books. */
  const settles = async (what) => {
    const from = wins.length;
    await until(`${what}: grabs go on`, () => wins.length > from + 15);
    const n = wins.length;
    await until(`${what}: they are settled`, async () => await inBooks() >= n, {timeoutMs: 20_000});
  };
  const upgrade = async (name) => {
    const old = stack.server.pid;
    install(name);
    assert.ok(await stack.server.upgrade());
    await until("the old one is gone", () => !existsSync(`/proc/${old}`), {timeoutMs: 30_000});
  };

  await settles("this version alone");
  assert.deepEqual(await stack.redis.script("EXISTS", revision()), [0]);
  const {stdout} = await run(program("redrainctl-next"), ["--config", stack.configFile, "migrate"]);
  assert.match(stdout, /./);
  assert.equal((await stack.sql("SELECT COUNT(*) n FROM rp_schema WHERE version = 999"))[0].n, 1);
  await settles("this version on the schema that grew");
  await upgrade("redrain-server-next");
  assert.deepEqual(await stack.redis.script("EXISTS", revision()), [1], "its own revision of the scripts, beside ours");
  await settles("granted by the next version, settled by this one");
  const next = nextSettler(t);
  await stack.settler.stop();
  await upgrade("redrain-server");
  await settles("granted by this version, settled by the next one");
  await next.stop();
  stack.settler.start();
  await settles("back at this version");
  await closeRain(stack, code);
  over = true;
  await playing;
  await settled(stack, code);
  await assertBooks(stack, code, wins, {total: TOTAL});
  assert.equal((await stack.sql("SELECT COUNT(*) n FROM rp_dead"))[0].n, 0);
  assert.equal((await stack.sql("SELECT COUNT(*) n FROM rp_conflict"))[0].n, 0);
  await stack.verify();
});

test("a schema that was contracted for newer programs is refused by its name", async () => {
  await stack.sql("INSERT INTO rp_schema (version, name, compatible_from) VALUES (1000, 'contracted', 999)");
  const doctor = await stack.ctl(["doctor"]);
  assert.notEqual(doctor.code, 0);
  assert.match(doctor.stdout + doctor.stderr, /the schema is too new: it needs a program of version 999, this one knows \d+/);
  await stack.sql("DELETE FROM rp_schema WHERE version = 1000");
});

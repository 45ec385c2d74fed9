// Another generation on the same sockets, in the middle of everything: nobody is refused, nobody is reset, no push is missed.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {chmodSync, existsSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {Balancer, Follower} from "../lib/follower.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {mysqlUrl} from "../lib/services.mjs";
import {program, startStack} from "../lib/stack.mjs";
import {assertBooks, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

const FOLLOWERS = 12;

let stack;
let env = ""; // of the program the next upgrade starts
const script = () => join(stack.dir, "bin-redrain-server");

/** What an upgrade replaces: the file that was started. */
function install(more = "") {
  env = more;
  // argv[0] stays this file's name: that is what an upgrade executes.
  writeFileSync(script(), `#!/bin/bash\nexport REDRAIN_TEST_GENERATION=1 ${env}\nexec -a "$0" ${program("redrain-server")} "$@"\n`);
  chmodSync(script(), 0o755);
}

before(async () => {
  stack = await startStack({workers: 2, server: false, conf: {
    // One address here is a whole crowd that comes and goes as fast as it can.
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "limits.exempt": "127.0.0.0/8",
    "drain.spread_ms": 800, "drain.ready_wait_ms": 5000, "drain.timeout_ms": 20_000,
  }});
  stack.conf["server.pid_file"] = join(stack.dir, "server.pid");
  stack.writeConfig();
  install();
  await stack.startServer({file: script()});
  await stack.waitReady();
});
after(() => stack?.stop());

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const upTo = (n) => Array.from({length: n}, (_, i) => i + 1);

/** Connects, says HELLO, joins, asks, closes, again and again: nothing of it may ever fail. */
function comers(room, n) {
  let on = true;
  const out = {rounds: 0, errors: []};
  const done = Promise.all(upTo(n).map(async (i) => {
    while (on) {
      try {
        const c = await enter(stack, String(7500 + i), {room});
        const pong = await c.request(OP.PING, {t0: 1});
        assert.equal(pong.name, "OK");
        await c.close();
        out.rounds += 1;
      } catch (error) {
        out.errors.push(error.cause?.code ?? error.message);
      }
    }
  }));
  out.stop = async () => {
    on = false;
    await done;
  };
  return out;
}

/** Follows /readyz and pushes into the room while fn runs; resolves with the last n and the statuses seen. */
async function busy(room, fn) {
  let on = true;
  let n = 0;
  const statuses = new Set();
  const pushing = (async () => {
    while (on) {
      n += 1;
      await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "SEEN", payload: {n}});
      await pause(10);
    }
  })();
  const watching = (async () => {
    while (on) {
      statuses.add(await fetch(`${stack.adminUrl}/readyz?verbose`, {headers: {connection: "close"}}).then(async (a) => (a.status === 200 ? 200 : `${a.status} ${await a.text()}`), (e) => e.cause?.code ?? e.message));
      await pause(10);
    }
  })();
  try {
    await fn();
  } finally {
    on = false;
    await Promise.all([pushing, watching]);
  }
  return {last: n, statuses: [...statuses]};
}

test("SIGUSR2: a crowd that connects all the time sees nothing of it, those inside keep their room and miss no push", async (t) => {
  const room = newRoom("upgrade");
  const balancer = new Balancer(stack);
  const followers = await Promise.all(upTo(FOLLOWERS).map((i) => Follower.enter(balancer, 7400 + i, room)));
  t.after(() => followers.forEach((f) => f.close()));
  const oldPid = stack.server.pid;
  const oldWorkers = stack.workerPids();
  const crowd = comers(room, 6);
  const {last, statuses} = await busy(room, async () => {
    await until("pushes flow and people come", () => followers.every((f) => f.seen.length > 2) && crowd.rounds > 6);
    assert.ok(await stack.server.upgrade());
    await until("the old ones are gone", () => [oldPid, ...oldWorkers].every((pid) => !existsSync(`/proc/${pid}`)), {timeoutMs: 20_000});
    const rounds = crowd.rounds;
    await until("people still come", () => crowd.rounds > rounds + 12);
  });
  await crowd.stop();
  assert.deepEqual(crowd.errors, [], "nobody was refused or reset");
  assert.deepEqual(statuses, [200], "a balancer saw nothing");
  await until("all pushes are there", () => followers.every((f) => f.seen.at(-1) === last));
  for (const f of followers) {
    assert.deepEqual(f.seen, upTo(last).slice(f.seen[0] - 1), "each push once, in order");
    assert.deepEqual(f.states, [], "he was ready all the time");
    assert.equal(f.moves.length, 1);
  }
  assert.equal(Number(readFileSync(stack.conf["server.pid_file"], "utf8")), stack.server.pid);
  assert.notEqual(stack.server.pid, oldPid);
  assert.equal(stack.workerPids().length, 2);
});

test("a new program that does not come up changes nothing", async () => {
  const room = newRoom("upgrade");
  const client = await enter(stack, "7471", {room});
  const {pid} = stack.server;
  const workers = stack.workerPids();
  const crowd = comers(room, 3);
  await until("people come", () => crowd.rounds > 3);

  stack.conf["redis.timeout_ms"] = "soon";
  stack.writeConfig();
  assert.equal(await stack.server.upgrade(), false, "a configuration that is wrong");

  stack.conf["redis.timeout_ms"] = 2000;
  stack.writeConfig();
  writeFileSync(script(), "#!/bin/sh\nexit 3\n");
  assert.equal(await stack.server.upgrade(), false, "a program that ends at once");

  stack.conf["mysql.url"] = "mysql://nobody@127.0.0.1:1/none";
  stack.writeConfig();
  install();
  const started = stack.server.lines.length;
  process.kill(stack.server.pid, "SIGUSR2"); // its books cannot be reached
  const next = await until("it starts", () => {
    const event = stack.server.events(started).find((e) => e.event === "upgrade");
    return event && Number(/pid (\d+)/.exec(event.msg)[1]);
  });
  await until("its children run, and are not ready", () =>
    stack.server.events(started).filter((e) => e.event === "worker_started").length === 2);
  const rounds = crowd.rounds;
  await until("people come", () => crowd.rounds > rounds + 6);
  const stay = await Promise.all(Array.from({length: 12}, (_, i) => enter(stack, String(7480 + i), {room})));
  process.kill(next, "SIGKILL"); // a crash before it is ready
  await until("the log says so", () => stack.server.events(started).some((e) => e.event === "upgrade_failed"));

  await crowd.stop();
  assert.deepEqual(crowd.errors, []);
  assert.equal((await client.request(OP.PING, {t0: 1})).name, "OK", "the same socket as before");
  assert.equal(client.goaway, null);
  for (const one of stay) assert.equal((await one.request(OP.PING, {t0: 1})).name, "OK", "none of them was let in by the new program");
  assert.equal(stack.server.pid, pid);
  assert.deepEqual(stack.workerPids(), workers);
  for (const one of [client, ...stay]) await one.close();
});

test("upgraded and rolled back in the middle of a rain, on a schema that grew: the books are clean", async (t) => {
  const room = newRoom("upgrade");
  const balancer = new Balancer(stack);
  stack.conf["mysql.url"] = mysqlUrl;
  stack.conf["drain.wait_rain_ms"] = 0; // in the middle of it, not after it
  stack.writeConfig();
  install();
  stack.settler.start();
  const players = await Promise.all(upTo(8).map((i) => Follower.enter(balancer, 7430 + i, room)));
  t.after(() => players.forEach((f) => f.close()));
  const {code} = await startRain(stack, {room, count: 4000, total: 40_000, limit: 400, duration_ms: 60_000});
  const wins = [];
  const playing = Promise.all(players.map(async (f) => {
    for (;;) {
      const answer = await f.client.grab(code).catch((error) => ({name: error.name}));
      if (answer.name === "ENDED" || answer.name === "LIMIT") return;
      if (answer.name === "OK") wins.push({user: f.user, code, seq: answer.seq, shard: answer.shard, no: answer.no, amount: answer.amount});
      await pause(100); // so that the packets last over both upgrades
    }
  }));
  const more = async () => {
    const n = wins.length;
    await until("grabs go on", () => wins.length > n + 20, {everyMs: 5});
  };
  await more();
  // What the next version's migrate does: it only adds.
  await stack.sql("ALTER TABLE rp_grant ADD COLUMN next_note VARCHAR(16) NULL");
  await stack.sql("INSERT INTO rp_schema (version, name) VALUES (999, 'next')");
  for (const generation of ["2", "1"]) {
    const old = stack.server.pid;
    install(`REDRAIN_TEST_GENERATION=${generation}`);
    assert.ok(await stack.server.upgrade());
    await more();
    await until("the old one is gone", () => !existsSync(`/proc/${old}`), {timeoutMs: 20_000});
    await more();
  }
  await closeRain(stack, code);
  await playing;
  await settled(stack, code);
  for (const f of players) assert.equal(f.moves.length, 2, "each generation asked him once");
  await assertBooks(stack, code, wins, {total: 40_000});
  await stack.verify();
});

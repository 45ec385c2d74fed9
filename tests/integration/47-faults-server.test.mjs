// The server itself is hurt in the middle of a rain: killed, drained, frozen, out of descriptors, its clock jumps, and the
// viewers' network with it. The rows are those of docs/FAULTS.md.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {promisify} from "node:util";
import {pause, rainUnder, startBehindProxies, toldMore, untilSettled} from "../lib/faults.mjs";
import {History, assertOracle, playViewer} from "../lib/oracle.mjs";
import {Proxy} from "../lib/proxy.mjs";
import {root} from "../lib/services.mjs";
import {OP, enter, until, within} from "../lib/ws.mjs";
import {newRoom, startRain} from "./helpers.mjs";

const run = promisify(execFile);
const SENT = 3;
const SETTLED = 5;

let stack;
before(async () => { stack = await startBehindProxies({workers: 2}); });
after(() => stack?.end());

test("SIGTERM: sockets are closed with 4001, the server ends with 0, its successor goes on", async () => {
  const watcher = await enter(stack, "8290", {room: newRoom("drain")});
  await rainUnder(stack, async ({history}) => {
    await stack.stopServer(); // fails unless it ends with 0
    await stack.startServer();
    await toldMore(history, "OK", 10, 20_000);
  });
  assert.equal((await watcher.waitClosed()).code, 4001);
});

test("kill -9 of the supervisor: its children end, another server goes on", async () => {
  await rainUnder(stack, async ({history}) => {
    const children = [...stack.workerPids(), ...stack.childPids("admin")];
    assert.equal((await stack.server.signal("SIGKILL")).signal, "SIGKILL");
    await until("no child is left", () => children.every((pid) => !existsSync(`/proc/${pid}`)), {timeoutMs: 20_000});
    await stack.startServer();
    await toldMore(history, "OK", 10, 20_000);
  });
  await stack.waitReady();
});

/** Both workers stand still while fn runs. */
async function frozen(fn) {
  const pids = stack.workerPids();
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    await fn();
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

test("SIGSTOP of the workers for 5 s in the middle of a rain", async () => {
  await rainUnder(stack, async ({history}) => {
    await frozen(() => pause(5000));
    await toldMore(history, "OK", 10, 20_000);
  });
});

test("SIGSTOP over the end of a rain: grabs that waited are not executed late", async () => {
  const room = newRoom("frozen");
  const history = new History();
  const {code} = await startRain(stack, {room, count: 400, total: 4000, limit: 100, shards: 2, duration_ms: 2500});
  const playing = Promise.all(Array.from({length: 6}, (_, i) =>
    playViewer({stack, history, user: String(8250 + i), room, code, paceMs: 20})));
  await until("some have won", () => history.told > 10, {everyMs: 5});
  await frozen(() => until("the rain has ended without them", async () =>
    (await stack.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]))[0].status === SETTLED, {timeoutMs: 30_000, everyMs: 100}));
  await playing;
  assert.ok(history.names(code).has("ENDED"), "those that waited are told ENDED");
  await untilSettled(stack, code);
  await assertOracle(stack, history, code, {total: 4000});
  await stack.verify();
});

test("out of descriptors: new sockets are refused, those in place are unharmed", async () => {
  const room = newRoom("fds");
  const inPlace = await enter(stack, "8260", {room});
  const pids = stack.workerPids();
  const limits = new Map();
  for (const pid of pids) limits.set(pid, /Max open files\s+(\d+)\s+(\d+)/.exec(stack.proc(pid, "limits")).slice(1));
  const extra = [];
  await rainUnder(stack, async ({history}) => {
    try {
      for (const pid of pids) {
        const soft = readdirSync(`/proc/${pid}/fd`).length + 2;
        await run("prlimit", ["--pid", String(pid), `--nofile=${soft}:${limits.get(pid)[1]}`]);
      }
      let refused = 0;
      for (let i = 0; i < 20 && refused < 3; i += 1) {
        const entering = enter(stack, String(8900 + i), {room});
        extra.push(entering);
        await within(entering, 500, "a new socket").catch(() => { refused += 1; });
      }
      assert.ok(refused >= 3, "new sockets find nobody");
      assert.equal((await inPlace.request(OP.PING, {t0: 1})).name, "OK", "a socket in place answers");
      await toldMore(history, "OK", 10);
    } finally {
      for (const pid of pids) await run("prlimit", ["--pid", String(pid), `--nofile=${limits.get(pid).join(":")}`]);
    }
    const late = await until("new sockets are welcome again", () => enter(stack, "8999", {room}), {timeoutMs: 20_000, everyMs: 100});
    await late.close();
  }, {limit: 40, paceMs: 100});
  assert.deepEqual(stack.workerPids(), pids, "nobody died of it");
  await inPlace.close();
  await Promise.all(extra.map((entering) => entering.then((c) => c.close(), () => {})));
});

/** Viewers come through a proxy while fn runs. */
async function viewersThrough(fn) {
  const {wsUrl} = stack;
  const proxy = await Proxy.to(wsUrl, 80);
  stack.wsUrl = proxy.url(wsUrl);
  try {
    return await rainUnder(stack, (o) => fn(proxy, o));
  } finally {
    stack.wsUrl = wsUrl;
    await proxy.close();
  }
}

test("a storm of resets between viewers and server: they come back and have what they won", async () => {
  await viewersThrough(async (proxy, {history}) => {
    for (let i = 0; i < 8; i += 1) {
      proxy.reset();
      await toldMore(history, "OK", 2, 20_000);
    }
  });
});

test("viewers behind 600 ms and in pieces of 7 bytes", async () => {
  await viewersThrough(async (proxy, {history}) => {
    proxy.slice(7);
    proxy.latency({up: 300, down: 300});
    await toldMore(history, "OK", 12, 20_000);
    await proxy.heal();
  });
});

test("answers that never reach the viewer: he asks again and gets the same", async () => {
  await viewersThrough(async (proxy, {history}) => {
    const rule = proxy.on({to: "client", times: 10, then: "cut-before", match: (chunk) => chunk.includes("amount")});
    await rule.waitHit(10);
    await toldMore(history, "OK", 5);
  });
});

// ---- clocks ----

const DAY_S = 86_400;

/** The wall clock of a stack's programs, to be moved while they run. */
async function movableClock() {
  const dir = mkdtempSync(join(tmpdir(), "redrain-clock-"));
  const file = join(dir, "offset");
  const jumpTo = (seconds) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeFileSync(file, bytes, {flag: existsSync(file) ? "r+" : "w"}); // in place: the programs have it mapped
  };
  jumpTo(0);
  await run("cc", ["-shared", "-fPIC", "-O1", "-o", join(dir, "clock-jump.so"), join(root, "tests", "lib", "clock-jump.c")]);
  return {jumpTo, remove: () => rmSync(dir, {recursive: true, force: true}), env: {
    LD_PRELOAD: join(dir, "clock-jump.so"), CLOCK_JUMP_FILE: file, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:verify_asan_link_order=0`,
  }};
}

for (const [jump, seconds] of [["an hour ahead", 3600], ["an hour back", -3600]]) {
  test(`the clocks of server and settler jump ${jump} in the middle of a rain`, async () => {
    const clock = await movableClock();
    const other = await startBehindProxies({workers: 2, env: clock.env});
    // Tokens are good for both times: whose are not is another test's matter.
    const {mint} = other;
    other.mint = (user, o) => mint.call(other, user, {...o, ttl: DAY_S, claims: {iat: Math.floor(Date.now() / 1000) - DAY_S}});
    try {
      await rainUnder(other, async ({history, code}) => {
        clock.jumpTo(seconds);
        await toldMore(history, "OK", 20, 20_000);
        const [{status}] = await other.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]);
        assert.equal(status, SENT, "the rain goes on: its time is Redis', not this machine's");
      });
      // The next rain is created, opens and ends while the clock is wrong.
      const room = newRoom("clock");
      const history = new History();
      const begin = Date.now();
      const {code} = await startRain(other, {room, count: 10, total: 100, limit: 2, shards: 1, countdown_ms: 500, duration_ms: 2000});
      await Promise.all(["8271", "8272"].map((user) => playViewer({stack: other, history, user, room, code, max: 2})));
      await until("it ends at its time", async () =>
        (await other.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [code]))[0].status === SETTLED, {timeoutMs: 20_000, everyMs: 50});
      assert.ok(Date.now() - begin > 2400, "not before its end");
      const [times] = await other.sql("SELECT (SELECT created_at FROM t_red_packet_config WHERE config_code = ?) AS server, "
        + "(SELECT MAX(settled_at) FROM rp_grant WHERE code = ?) AS settler", [code, code]);
      for (const [who, at] of Object.entries(times)) {
        assert.ok(Math.abs((Number(at) - Date.now()) / 1000 - seconds) < 60, `the ${who}'s clock was wrong indeed: ${at}`);
      }
      await assertOracle(other, history, code, {total: 100});
      // A step that was armed by the right time is due at the right time.
      clock.jumpTo(0);
      const {code: third} = await startRain(other, {room, count: 2, total: 20, limit: 2, shards: 1, duration_ms: 1500});
      clock.jumpTo(seconds);
      await until("the close that was armed before the jump comes at its time", async () =>
        (await other.sql("SELECT status FROM t_red_packet_config WHERE config_code = ?", [third]))[0].status === SETTLED, {timeoutMs: 12_000, everyMs: 50});
      await other.verify();
    } finally {
      await other.end();
      clock.remove();
    }
  });
}

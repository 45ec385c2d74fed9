// What an operator does to a running server: one worker leaves and another takes its place; what a service manager hears.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {startStack} from "../lib/stack.mjs";
import {enter, pooled, until} from "../lib/ws.mjs";
import {newRoom} from "./helpers.mjs";

// A datagram socket that prints what it gets, a message a line.
const SINK = `use Socket; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un($ARGV[0])) or die "$!"; $| = 1; print "bound\n";
while (defined recv(S, $b, 4096, 0)) { $b =~ s/\n/ /g; print "$b\n"; }`;
const SPREAD_MS = 1000;

let stack;
let dir;
let sink;
const heard = [];

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "redrain-notify-"));
  sink = spawn("perl", ["-e", SINK, join(dir, "s")], {stdio: ["ignore", "pipe", "inherit"]});
  let rest = "";
  sink.stdout.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    heard.push(...lines);
  });
  await until("the sink listens", () => heard.includes("bound"));
  stack = await startStack({workers: 2, conf: {"drain.spread_ms": SPREAD_MS},
    env: {server: {NOTIFY_SOCKET: join(dir, "s"), WATCHDOG_USEC: "400000"}}});
});
after(async () => {
  try {
    await stack?.stop();
  } finally {
    sink?.kill();
    rmSync(dir, {recursive: true, force: true});
  }
});

const count = (what) => heard.filter((line) => line.includes(what)).length;
const workers = async () => (await stack.must("GET", "/api/v1/workers")).workers;

test("a service manager hears ready, reloading and the watchdog", async () => {
  await until("ready", () => count("READY=1 STATUS=ready") === 1);
  await until("the watchdog is fed", () => count("WATCHDOG=1") >= 3);
  stack.server.child.kill("SIGHUP");
  await until("reloading", () => count("RELOADING=1 MONOTONIC_USEC=") === 1);
  await until("and ready again", () => heard.slice(heard.findIndex((l) => l.startsWith("RELOADING"))).some((l) => l.startsWith("READY=1")));
});

test("one worker leaves: its clients alone get GOAWAY, the others notice nothing, another worker takes its place", async (t) => {
  const room = newRoom("one");
  const clients = await pooled(Array.from({length: 40}, (_, i) => String(10 + i)), 10, (user) => enter(stack, user, {room}));
  t.after(() => Promise.all(clients.map((c) => c.close())));
  await until("all are counted", async () => (await workers()).reduce((n, w) => n + w.members, 0) === clients.length);
  const [first, second] = await workers();
  assert.ok(first.members > 0 && second.members > 0, "both have some");
  const said = await stack.ctl(["drain", "0"]);
  assert.equal(said.code, 0, said.stderr);
  await until("it leaves", async () => (await workers())[0].draining);
  assert.equal((await stack.ctl(["drain", "1"])).code, 1, "not both");
  await until("its clients are told", () => clients.filter((c) => c.goaway).length === first.members);
  const told = clients.filter((c) => c.goaway);
  assert.ok(told.every((c) => c.goaway.delay_ms >= 0 && c.goaway.delay_ms <= SPREAD_MS));
  // As the client module does: a new connection first, then the old one ends.
  const moved = await pooled(told, 10, async (c) => {
    const next = await enter(stack, c.user, {room});
    await c.close();
    return next;
  });
  t.after(() => Promise.all(moved.map((c) => c.close())));
  await until("another one serves", async () => {
    const [w] = await workers();
    return w.pid && w.pid !== first.pid && !w.draining;
  });
  assert.equal((await workers())[1].pid, second.pid);
  await stack.waitReady();
  const stayed = clients.filter((c) => !c.goaway);
  assert.equal(stayed.filter((c) => c.isClosed).length, 0);
  await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "TEST", payload: {}});
  await Promise.all([...stayed, ...moved].map((c) => c.push("TEST")));
  await until("connections reach it", async () => {
    const c = await enter(stack, "99", {room});
    const [w] = await workers();
    await c.close();
    return w.connections > 0;
  });
});

test("nobody leaves who is not there or must stay", async () => {
  for (const [slot, status] of [["2", 404], ["-1", 404], ["x", 404], ["9999", 404]]) {
    assert.equal((await stack.api("POST", `/api/v1/workers/${slot}/drain`, {})).status, status, slot);
  }
  assert.equal((await stack.api("GET", "/api/v1/workers/0/drain")).status, 404);
  assert.equal((await stack.api("POST", "/api/v1/workers/0/drain", {}, "wrong")).status, 401);
});

test("an upgrade tells who is the server now; the end is told by that one", async () => {
  const old = stack.server.pid;
  assert.ok(await stack.server.upgrade());
  await until("the manager knows", () => count(`MAINPID=${stack.server.pid}`) === 1);
  assert.notEqual(stack.server.pid, old);
  assert.equal(count("STOPPING=1"), 0);
  const fed = count("WATCHDOG=1");
  await until("the watchdog is fed", () => count("WATCHDOG=1") > fed + 2);
  await stack.server.signal("SIGTERM");
  await until("stopping", () => count("STOPPING=1") === 1);
});

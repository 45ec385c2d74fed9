// A server that is told to end, or whose supervisor died, leaves no process behind: whatever it talks to stands still, and
// whatever waits for ever in its clean-up.
import {test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {Failpoints, failMap, gone} from "../lib/failpoints.mjs";
import {startBehindProxies} from "../lib/faults.mjs";
import {startStack} from "../lib/stack.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {newRoom, startRain} from "./helpers.mjs";

const CLEAN_UP_MS = 10_000; // server/child_end.c
const ORPHAN_MS = 12_000;
const LATE_MS = 8_000; // of a busy machine

const SERVICES = {redis: true, mysql: true, kafka: true, settler: false, workers: 2};

/** Nothing of the server outlives the test, also where it fails. To be asked for first: what lives keeps the pipe open. */
function killAfter(t) {
  const pids = [];
  t.after(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch { /* gone, as it should be */ }
    }
  });
  return pids;
}

const children = (stack) => [...stack.workerPids(), ...stack.childPids("admin")];

/** The failpoints that are about a process: each is met here. */
const met = new Set();
async function reached(points, name) {
  met.add(name);
  return points.waitHit(name);
}

async function allStandStill(t) {
  const kept = killAfter(t);
  const points = new Failpoints();
  // Beyond this timeout the supervisor kills; no child may need it.
  const stack = await startBehindProxies({...SERVICES, env: points.env, conf: {"drain.timeout_ms": 60_000}});
  t.after(async () => {
    await stack.end();
    points.remove();
  });
  const pids = children(stack);
  kept.push(...pids);
  assert.equal(pids.length, 3);
  for (const proxy of Object.values(stack.proxies)) proxy.blackhole();
  points.arm("worker.ends", "hang");
  await stack.stopServer(); // fails unless it ends with 0, in time
  assert.ok(pids.includes(await reached(points, "worker.ends")));
  for (const pid of pids) await gone(pid, 0);
}

async function allWaitForEver(t) {
  const kept = killAfter(t);
  const points = new Failpoints();
  const stack = await startBehindProxies({...SERVICES, env: points.env});
  t.after(async () => {
    await stack.end();
    points.remove();
  });
  const pids = children(stack);
  const supervisor = stack.server.pid;
  kept.push(...pids, supervisor);
  const room = newRoom("ends");
  const {code} = await startRain(stack, {room, count: 10, total: 1000, limit: 5});
  const viewer = await enter(stack, "7901", {room});
  t.after(() => viewer.cut());
  points.arm("grab.before_script", "hang"); // in the loop of one worker
  points.arm("worker.ends", "hang"); // in the clean-up of the other
  points.arm("admin.ends", "hang");
  viewer.send(OP.GRAB, 77, {code, seq: 0});
  await points.waitHit("grab.before_script");
  for (const proxy of Object.values(stack.proxies)) proxy.blackhole();
  process.kill(supervisor, "SIGKILL");
  const hung = [await reached(points, "worker.ends"), await reached(points, "admin.ends"), points.hit("grab.before_script")];
  assert.deepEqual(hung.sort(), pids.sort(), "each child stands still at a place of its own");
  for (const pid of pids) await gone(pid, ORPHAN_MS + CLEAN_UP_MS + LATE_MS);
  await stack.server.exited;
  assert.equal(stack.server.lines.filter((line) => line.includes("did not end in time and was ended")).length, 3);
}

async function supervisorDiesFirst(t) {
  const kept = killAfter(t);
  const points = new Failpoints();
  const stack = await startStack({workers: 1, settler: false, env: points.env});
  t.after(async () => {
    await stack.stop();
    points.remove();
  });
  const supervisor = stack.server.pid;
  const others = stack.childPids("admin");
  kept.push(supervisor, ...others);
  points.arm("child.forked", "stop");
  process.kill(stack.workerPids()[0], "SIGKILL");
  const child = await reached(points, "child.forked");
  kept.push(child);
  await until("it stands still", () => /^State:\s+T/m.test(readFileSync(`/proc/${child}/status`, "utf8")));
  process.kill(supervisor, "SIGKILL");
  await gone(supervisor);
  for (const pid of others) await gone(pid, CLEAN_UP_MS + LATE_MS);
  process.kill(child, "SIGCONT");
  await gone(child, LATE_MS);
}

test("whatever happens, a server's processes end", {concurrency: true}, async (t) => {
  await Promise.all([
    t.test("SIGTERM while Redis, MySQL and Kafka stand still and a worker waits for ever in its clean-up: everybody ends in time", allStandStill),
    t.test("kill -9 of the supervisor while its children wait for ever, in a loop or in a clean-up: they end in time", allWaitForEver),
    t.test("kill -9 of the supervisor between a child's fork and its tie to it: the child ends", supervisorDiesFirst),
  ]);
});

test("every failpoint of a process was met", () => {
  assert.deepEqual(failMap().filter((p) => p.row === "process").map((p) => p.name).sort(), [...met].sort());
});

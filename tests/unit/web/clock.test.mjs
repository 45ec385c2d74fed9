import {test} from "node:test";
import assert from "node:assert/strict";
import {ServerClock} from "../../../web-demo/clock.js";

const EPOCH = 1_700_000_000_000;

/** A clock whose true offset is `offset`, and a function that plays one exchange. */
function setup(offset = EPOCH) {
  const world = {local: 0, offset};
  const clock = new ServerClock(() => world.local);
  const exchange = (up, down, hold = 0) => {
    const t0 = world.local;
    const t1 = t0 + up + world.offset;
    world.local = t0 + up + hold + down;
    clock.add(t0, t1, t1 + hold, world.local);
  };
  return {world, clock, exchange};
}

test("before the first sample there is no server time", () => {
  const {clock} = setup();
  assert.equal(clock.serverNow(), null);
  assert.equal(clock.synced, false);
});

test("a symmetric exchange is exact, whatever the server's hold", () => {
  const {clock, world, exchange} = setup();
  exchange(20, 20, 13);
  assert.ok(Math.abs(clock.serverNow() - (world.local + EPOCH)) < 1e-3);
  assert.equal(Math.round(clock.rttMs), 40);
});

test("the sample with the smallest round trip wins over lopsided ones", () => {
  const {clock, world, exchange} = setup();
  exchange(300, 10);
  exchange(5, 5);
  exchange(10, 400);
  assert.ok(Math.abs(clock.offsetMs - EPOCH) < 1e-3);
  assert.ok(Math.abs(clock.serverNow() - (world.local + EPOCH)) < 1e-3);
});

test("the error stays within half the best round trip", () => {
  const {clock, exchange} = setup();
  for (const [up, down] of [[90, 20], [70, 45], [61, 12], [200, 200]]) exchange(up, down);
  assert.ok(Math.abs(clock.offsetMs - EPOCH) <= 73 / 2 + 1e-3);
});

test("a local clock that stood still (sleep) replaces the old samples at once", () => {
  const {clock, world, exchange} = setup();
  exchange(5, 5);
  world.offset += 60_000;
  exchange(50, 50);
  assert.ok(Math.abs(clock.offsetMs - (EPOCH + 60_000)) < 1e-3);
  assert.equal(clock.sampleCount, 1);
});

test("drift within bounds keeps the window; it holds at most 16 samples", () => {
  const {clock, world, exchange} = setup();
  for (let i = 0; i < 40; i++) {
    exchange(10 + i % 3, 10);
    world.local += 25_000;
    world.offset += 1; // 40 ppm
  }
  assert.equal(clock.sampleCount, 16);
  assert.ok(Math.abs(clock.offsetMs - world.offset) < 20);
});

test("impossible samples are ignored", () => {
  const {clock} = setup();
  clock.add(0, NaN, 5, 10);
  clock.add(0, 5, 50, 10);
  assert.equal(clock.synced, false);
});

// The falling packets as numbers: how many, how they fall, what a finger meets.

import {test} from "node:test";
import assert from "node:assert/strict";
import {HIT_MIN_PX, LEVELS, MAX_ITEMS, PACKET, RainField} from "../../../web-demo/rain-field.js";

/** A repeatable stand-in for Math.random. */
function dice(seed = 1) {
  let x = seed;
  return () => (x = (x * 48271) % 2147483647) / 2147483647;
}

function field(w = 375, h = 667) {
  const f = new RainField(dice());
  f.resize(w, h);
  return f;
}

const alone = (f, more) => {
  f.packets = [{id: 1, x: 100, drawnX: 100, y: 300, scale: LEVELS[0].scale, level: 0, sprite: 0, vy: 0, rot: 0, vr: 0, sway: 0, phase: 0, ...more}];
};

test("the sky is full from the first frame on, and never fuller than it may be", () => {
  for (const [w, h] of [[375, 667], [1280, 800], [3840, 2160]]) {
    const f = field(w, h);
    f.start();
    assert.ok(f.packets.some((p) => p.y > 0), "some are to be seen at once");
    for (let i = 0; i < 60 * 20; i++) {
      f.step(1 / 60, (i * 1000) / 60);
      if (i % 8 === 0) f.hitNext();
      assert.ok(f.count <= MAX_ITEMS, `${f.count} at frame ${i}`);
    }
    assert.ok(f.packets.length > 5, "it goes on raining");
  }
});

test("a slow device gets half of the packets", () => {
  const counts = [false, true].map((low) => {
    const f = field();
    f.low = low;
    f.start();
    let sum = 0;
    for (let i = 0; i < 600; i++) {
      f.step(1 / 60, (i * 1000) / 60);
      sum += f.packets.length;
    }
    return sum / 600;
  });
  assert.ok(counts[1] < counts[0] * 0.75 && counts[1] > counts[0] * 0.3, String(counts));
});

test("a hit box is at least 44 px, around the smallest packet too", () => {
  const f = field();
  for (const scale of [0.1, LEVELS[0].scale]) {
    const reach = Math.max(HIT_MIN_PX / 2, (PACKET.w * scale) / 2);
    for (const [dx, dy] of [[reach, 0], [-reach, 0], [0, reach], [0, -reach]]) {
      alone(f, {scale});
      assert.deepEqual(f.hit(100 + dx, 300 + dy), {x: 100, y: 300});
      assert.equal(f.packets.length, 0, "it is gone");
    }
  }
  alone(f, {});
  assert.equal(f.hit(100, 100), null);
  assert.equal(f.packets.length, 1);
});

test("of two the nearer one is opened; an opened one bursts into coins", () => {
  const f = field();
  alone(f, {});
  f.packets.push({...f.packets[0], id: 2, drawnX: 130});
  f.hit(128, 300);
  assert.deepEqual(f.packets.map((p) => p.id), [1]);
  assert.ok(f.sparks.length > 0 && f.rings.length === 1);
  for (let i = 0; i < 120; i++) f.step(1 / 60, i);
  assert.ok(f.sparks.length === 0 && f.rings.length === 0, "and they go");
});

test("the keyboard opens the packet nearest to the middle, or the middle itself", () => {
  const f = field();
  assert.deepEqual(f.hitNext(), {x: 187.5, y: 333.5});
  alone(f, {y: 20});
  f.packets.push({...f.packets[0], id: 2, y: 340}, {...f.packets[0], id: 3, y: 660});
  assert.equal(f.hitNext().y, 340);
});

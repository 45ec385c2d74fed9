// What a viewer switched, and the sounds of the page.

import {test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {Settings} from "../../../web-demo/settings.js";
import {SOUNDS, Sound} from "../../../web-demo/sound.js";

function storage(values = {}) {
  return {values, getItem: (key) => values[key] ?? null, setItem: (key, value) => (values[key] = value)};
}

test("a choice is remembered; nonsense and a forbidden storage are not", () => {
  const store = storage();
  const settings = new Settings(store);
  assert.deepEqual(["sound", "haptic", "motion"].map((name) => settings.get(name)), [true, true, null]);
  settings.set("sound", false);
  assert.equal(new Settings(store).get("sound"), false);
  for (const bad of ["{", "7", '{"sound":"no","x":true}', "null"]) {
    assert.equal(new Settings(storage({"redrain.settings": bad})).get("sound"), true, bad);
  }
  const forbidden = {getItem() { throw new Error("no"); }, setItem() { throw new Error("no"); }};
  const held = new Settings(forbidden);
  held.set("haptic", false);
  assert.equal(held.get("haptic"), false, "for this visit");
  assert.equal(new Settings(null).get("sound"), true);
});

/** Counts voices; each ends when told to. */
function context() {
  const made = [];
  const param = {setValueAtTime() {}, exponentialRampToValueAtTime() {}};
  return class {
    static made = made;
    state = "running";
    currentTime = 0;
    createOscillator() {
      const node = {frequency: param, connect: (next) => next, start() {}, stop() {}};
      made.push(node);
      return node;
    }
    createGain() {
      return {gain: param, connect() {}};
    }
  };
}

test("no sound before a gesture, none when switched off, never more than a dozen voices", () => {
  const Context = context();
  const sound = new Sound(Context);
  sound.play("win");
  assert.equal(Context.made.length, 0);
  sound.unlock();
  sound.play("win");
  assert.equal(Context.made.length, SOUNDS.win.length);
  for (let i = 0; i < 50; i++) sound.play("tap");
  assert.equal(Context.made.length, 12);
  for (const node of Context.made.splice(0)) node.onended();
  sound.play("tap");
  assert.equal(Context.made.length, 1);
  sound.setOn(false);
  sound.play("tap");
  assert.equal(Context.made.length, 1);
  const silent = new Sound(undefined);
  silent.unlock();
  silent.play("tap"); // a browser without sound: nothing breaks
});

test("nothing flashes: what is repeated for ever takes a second or more", () => {
  const css = readFileSync(new URL("../../../web-demo/style.css", import.meta.url), "utf8");
  const endless = [...css.matchAll(/animation:[^;]*?([\d.]+)(m?s)[^;]*infinite/g)];
  assert.ok(endless.length > 0);
  for (const [whole, n, unit] of endless) assert.ok(Number(n) * (unit === "s" ? 1000 : 1) >= 1000, whole);
});

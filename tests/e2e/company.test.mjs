// The console and the five cards in bad company: a clock that is wrong, a tab that was hidden, a connection that was lost, no motion,
// no mouse, hostile texts. On scripted servers (tests/lib); the viewer's page has its own in states.test.mjs.

import {after, afterEach, before, test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {DESKTOP, PHONE, connected, launchBrowser, openPage, picture, until} from "../lib/browser.mjs";
import {rainRow, startConsoleStage} from "../lib/console-stage.mjs";
import {startStage} from "../lib/stage.mjs";
import {RESULT} from "../../web-demo/constants.js";

const HOSTILE = '</bdi><img src=x onerror="alert(1)">\u202e' + "W".repeat(30);
const SIZES = [["phone", PHONE], ["desktop", DESKTOP]];
const axeSource = () => readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
let browser;
let stage;
let open = [];

before(async () => { browser = await launchBrowser(); });
after(async () => { await browser?.close(); });
afterEach(async () => {
  for (const v of open) await v.context.close();
  open = [];
  await stage?.stop();
  stage = null;
});

const text = (v, id) => v.byTest(id).innerText();
const clean = () => { for (const v of open) assert.deepEqual(v.problems, []); };
const wrongClock = () => {
  const real = Date.now;
  Date.now = () => real() + 600_000;
};
const hideable = () => {
  globalThis.hide = (hidden) => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    Object.defineProperty(document, "visibilityState", {value: hidden ? "hidden" : "visible", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
  };
};
/** Counts what begins to move, however short; moved() is how much did. */
const countMotion = () => {
  globalThis.moved = 0;
  for (const type of ["transitionrun", "animationstart"]) document.addEventListener(type, () => { globalThis.moved += 1; }, true);
};
const moved = (v) => v.page.evaluate(() => globalThis.moved);

async function load(path, user, more = {}) {
  const v = await openPage(browser, {base: stage.url, path, room: "stage", token: `${user}.x.y`, context: DESKTOP, ...more});
  open.push(v);
  await connected(v);
  return v;
}

async function serious(v) {
  if (!await v.page.evaluate(() => Boolean(globalThis.axe))) {
    const cdp = await v.context.newCDPSession(v.page); // as a debugger would: the page's policy stays as strict as it is
    await cdp.send("Runtime.evaluate", {expression: `${axeSource()};0`});
    await cdp.detach();
  }
  const {violations} = await v.page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
  return violations.filter(({impact}) => ["serious", "critical"].includes(impact)).map(({id, nodes}) => `${id}: ${nodes.map((n) => n.target).join(" ")}`);
}

// ---- the console ----

const live = (room, now) => {
  room.rains = [rainRow(1, now, {status: "SENT", open_at: now - 1000, end_at: now + 100_000, granted: 7, granted_fen: 700})];
};

test("console: a clock ten minutes off and a tab hidden for 60 s change no countdown", async () => {
  let room;
  ({stage, room} = await startConsoleStage());
  live(room, stage.now());
  const c = await load("/console.html", "9", {clock: true, init: `(${wrongClock})(); (${hideable})();`});
  await c.page.clock.runFor(2000);
  const left = async () => Number((await text(c, "clock")).split(":").reduce((sum, part) => sum * 60 + Number(part), 0));
  await until("it counts by the server's clock", async () => (await c.page.clock.runFor(200), Math.abs(await left() - (room.rains[0].end_at - stage.now()) / 1000) <= 3));
  await c.page.evaluate(() => globalThis.hide(true));
  stage.state.aheadMs += 60_000; // a minute goes by for the server …
  Object.assign(room.rains[0], {granted: 99, granted_fen: 9900});
  await c.page.clock.fastForward(60_000); // … and for the page
  await c.page.evaluate(() => globalThis.hide(false));
  await until("the figures of now", async () => (await c.page.clock.runFor(200), await text(c, "granted") === "99"));
  await until("the seconds of now", async () => (await c.page.clock.runFor(200), Math.abs(await left() - (room.rains[0].end_at - stage.now()) / 1000) <= 3));
  clean();
});

test("console: reduced motion: nothing moves while it rains", async () => {
  let room;
  ({stage, room} = await startConsoleStage());
  live(room, stage.now());
  const c = await load("/console.html", "9", {context: {...PHONE, reducedMotion: "reduce"}, init: countMotion});
  await until("figures", async () => await text(c, "granted") === "7");
  room.rains[0].granted = 60;
  await until("newer figures", async () => await text(c, "granted") === "60");
  assert.equal(await moved(c), 0);
  clean();
});

// ---- five cards ----

function campaign(more = {}) {
  const row = {
    code: "FU1", room: "stage", state: "OPEN", text: "新春快乐", sender: "9", pool: 888_800, split: "double-mean", winners: 0, winners_max: 5000,
    day_draws: 5, day_gifts: 20, share_at: stage.now() + 3_600_000, rain: null, weights: [3000, 2500, 2500, 1500, 500], created_at: stage.now() - 1000, ...more,
  };
  const held = [1, 0, 2, 1, 0];
  const mine = {...row, held, day: 20_453, draws: 0, gifts: 0, joined: false, drawn: []};
  let next = 0;
  Object.assign(stage.answers, {
    FU_MINE: () => ({result: RESULT.OK, ...mine, now: stage.now()}),
    FU_DRAW: ({code, event}) => {
      const card = [2, 5][next++ % 2];
      held[card - 1] += 1;
      mine.draws += 1;
      mine.drawn.push({event: `${event}:${mine.day}`, card, at: stage.now()});
      return {result: RESULT.OK, code, card, again: false, draws: mine.draws, gifts: 0, held};
    },
    FU_JOIN: ({code}) => {
      mine.joined = true;
      mine.winners += 1;
      held.forEach((n, i) => { held[i] = n - 1; });
      return {result: RESULT.OK, code, winners: mine.winners, held};
    },
  });
  return {row, mine};
}

async function cards(more = {}, viewerMore = {}) {
  stage = await startStage();
  const fu = campaign(more);
  const v = await load("/", "101", viewerMore);
  await until("joined", async () => (await text(v, "room")) === "stage");
  stage.push("FU_CAMPAIGN", fu.row, {ordered: true});
  await v.byTest("fu-open").waitFor({state: "visible"});
  return {v, ...fu};
}

test("five cards: keyboard only and no motion: open, draw two, hand in, close; the focus comes back", async () => {
  const {v} = await cards({}, {context: {...DESKTOP, reducedMotion: "reduce"}, init: countMotion});
  const press = (key) => v.page.keyboard.press(key);
  const focused = () => v.page.evaluate(() => document.activeElement?.dataset.testid ?? "");
  const tabTo = (id) => until(`focus on ${id}`, async () => (await focused()) === id || (await press("Tab"), false));
  await tabTo("fu-open");
  await press("Enter");
  await until("what there is", () => v.byTest("fu-draw-join").isEnabled());
  for (const event of ["join", "signin"]) {
    await tabTo(`fu-draw-${event}`);
    await press("Space");
    await until("drawn", () => v.byTest(`fu-draw-${event}`).isDisabled());
  }
  assert.equal(await moved(v), 0);
  await until("all five", () => v.byTest("fu-join").isEnabled());
  await tabTo("fu-join");
  await press("Enter");
  await until("in", async () => /等待开奖/.test(await text(v, "fu-end")));
  assert.deepEqual(await v.page.$$eval("[data-card]", (nodes) => nodes.map((n) => n.dataset.held)), ["in", "in", "in", "in", "in"], "handed in, they stay to be seen");
  await press("Escape");
  assert.equal(await v.byTest("fu-sheet").isVisible(), false);
  assert.equal(await focused(), "fu-open");
  clean();
});

test("five cards: a clock ten minutes off, a lost connection and a hidden minute change neither countdown nor cards", async () => {
  const {v, row, mine} = await cards({}, {clock: true, init: `(${wrongClock})(); (${hideable})();`});
  await v.byTest("fu-open").click();
  const left = async () => (await text(v, "fu-share")).split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const right = (what) => until(what, async () => (await v.page.clock.runFor(300), Math.abs(await left() - (row.share_at - stage.now()) / 1000) <= 3));
  await right("the server's time");
  mine.held[4] = 3; // a gift that came while the connection was away
  stage.drop();
  await until("asked again", async () => (await v.page.clock.runFor(500), (await v.page.locator('[data-card="5"] .count').textContent()) === "3"));
  await v.page.evaluate(() => globalThis.hide(true));
  stage.state.aheadMs += 60_000;
  await v.page.clock.fastForward(60_000);
  await v.page.evaluate(() => globalThis.hide(false));
  await right("a minute later");
});

for (const [size, context] of SIZES) {
  test(`five cards: every state on a ${size}, hostile text, zh and en, axe`, async () => {
    const {v, row, mine} = await cards({text: HOSTILE}, {context});
    const fits = async (what) => {
      const wide = await v.page.evaluate(() => [document.documentElement, document.querySelector("#fu-sheet")].map((n) => n.scrollWidth - innerWidth));
      assert.ok(wide.every((px) => px <= 0), `${what}: ${wide}`);
      assert.equal(await v.page.locator("#fu-sheet img, #fu-sheet script").count(), 0);
    };
    await picture(v, `state-fu-button-${size}`);
    for (const language of ["zh", "en"]) {
      if (language === "en") await v.byTest("lang").click();
      await v.byTest("fu-open").click();
      await until("cards", () => v.byTest("fu-draw-join").isEnabled());
      await v.byTest("fu-give-title").click();
      await fits(`draw ${language}`);
      await picture(v, `state-fu-draw-${language}-${size}`);
      assert.deepEqual(await serious(v), [], language);
      await v.byTest("fu-give-title").click();
      await v.byTest("fu-close").click();
    }
    Object.assign(mine, {joined: true, state: "SHARED", winners: 12_345, rain: "R1"});
    await v.byTest("fu-open").click();
    stage.push("FU_CAMPAIGN", {...row, state: "SHARED", winners: 12_345, rain: "R1"}, {ordered: true});
    await v.byTest("fu-packet").waitFor({state: "visible"});
    await fits("shared");
    assert.equal(await text(v, "fu-winners"), "12,345");
    const lines = await v.byTest("fu-pool").evaluate((n) => n.getClientRects().length && Math.round(n.offsetHeight / parseFloat(getComputedStyle(n).lineHeight)));
    assert.equal(lines, 1, "an amount stays in one line");
    await picture(v, `state-fu-shared-${size}`);
    assert.deepEqual(await serious(v), [], "shared");
    await v.byTest("fu-packet").click();
    assert.equal(await v.byTest("fu-sheet").isVisible(), false);
    clean();
  });
}

// ---- the page that proves ----

for (const [size, context] of SIZES) {
  test(`the proof page on a ${size}: keyboard only, zh and en, axe, no motion`, async () => {
    const [one] = JSON.parse(readFileSync(new URL("../vectors/split.json", import.meta.url), "utf8")).vectors.filter((c) => c.split === "double-mean" && c.amounts?.length > 3);
    const numbers = {code: one.code, split: one.split, ver: 1, total: one.total, count: one.count, lo: one.lo, hi: one.hi, shards: 1, seed: one.seed, hash: one.seed_hash};
    stage = await startStage();
    const p = await openPage(browser, {base: stage.url, path: `/prove.html#${new URLSearchParams(numbers)}`, context: {...context, reducedMotion: "reduce"}, init: countMotion});
    open.push(p);
    await p.page.waitForSelector('[data-testid="verdict"][data-ok="yes"]');
    const focused = () => p.page.evaluate(() => document.activeElement?.id ?? "");
    await until("focus on the language", async () => (await focused()) === "lang" || (await p.page.keyboard.press("Tab"), false));
    await p.page.keyboard.press("Enter");
    assert.match(await text(p, "verdict-text"), /Proven/);
    assert.ok(await p.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.equal(await moved(p), 0);
    assert.deepEqual(await serious(p), []);
    await picture(p, `state-prove-en-${size}`);
    clean();
  });
}

// The pages in bad company: lost network, no motion wanted, wrong tokens, wrong clocks, English.

import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {DESKTOP, PHONE, connected, launchBrowser, openPage, picture, until}
  from "../lib/browser.mjs";
import {kafkaPause, kafkaResume, skipWithoutKafka} from "../lib/services.mjs";
import {startStack} from "../lib/stack.mjs";
import {adminApi} from "./admin.mjs";

const ANCHOR = "9101";
let stack;
let browser;
let admin;
let roomNo = 0;

before(async () => {
  stack = await startStack({workers: 2});
  admin = adminApi(stack);
  browser = await launchBrowser();
  await admin.deposit(ANCHOR, 1_000_000, "pages");
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

function newRoom() {
  roomNo += 1;
  return `pages-${roomNo}`;
}

async function viewer(room, user, more = {}) {
  return openPage(browser, {
    base: stack.url, room, context: DESKTOP, token: await stack.mint(user, "viewer", [room]), ...more,
  });
}

function rain(room, more = {}) {
  return admin.rain({
    room, sender: ANCHOR, total: 10_000, count: 100, split: "double-mean", limit: 2,
    biz_id: `rain-${room}`, ...more,
  });
}

const startNow = (code, durationMs = 60_000) =>
  admin.start(code, {countdown_ms: 1500, duration_ms: durationMs});

async function sqlGrants(code, user) {
  const rows = await stack.sql(
    "SELECT seq, amount FROM rp_grant WHERE code = ? AND user_id = ? ORDER BY seq", [code, user]);
  return rows.map(({seq, amount}) => ({seq: Number(seq), amount: Number(amount)}));
}

async function shownGrants({page}) {
  const rows = await page.$$eval('[data-testid="grant"]', (nodes) => nodes.map((n) =>
    ({seq: Number(n.dataset.seq), amount: Number(n.dataset.amount)})));
  return rows.sort((a, b) => a.seq - b.seq);
}

test("offline and back: says so, catches up with what was missed, wins stay", async () => {
  const room = newRoom();
  const v = await viewer(room, "201");
  await connected(v);
  const code = await rain(room);
  await startNow(code);
  await v.page.waitForSelector('[data-phase="open"]');
  await until("a first win", async () => {
    await v.page.keyboard.press("Space");
    return (await v.byTest("grant").count()) === 1;
  });
  await v.context.setOffline(true);
  await v.page.waitForSelector('[data-testid="connection"][data-state="offline"]');
  await v.page.keyboard.press("Space"); // nothing can be asked, nothing may break
  await admin.push(room, "ANNOUNCE", {text: "在你离线时", at: Date.now()});
  assert.equal(await v.page.locator('[data-phase="open"]').count(), 1, "the page does not freeze");
  await v.context.setOffline(false);
  await connected(v);
  await v.byTest("announcement").waitFor({state: "visible"});
  assert.equal(await v.byTest("announcement").innerText(), "在你离线时");
  await until("a second win", async () => {
    await v.page.keyboard.press("Space");
    return (await v.byTest("grant").count()) === 2;
  });
  await admin.close(code);
  await until("SQL has what the page shows", async () =>
    JSON.stringify(await sqlGrants(code, "201")) === JSON.stringify(await shownGrants(v)));
  const odd = v.problems.filter((p) => !/ERR_INTERNET_DISCONNECTED/.test(p));
  assert.deepEqual(odd, []);
  await v.context.close();
});

test("broker paused: 确认中 and no amount, then the amount by itself", {skip: skipWithoutKafka}, async () => {
  const room = newRoom();
  const v = await viewer(room, "210");
  await connected(v);
  const code = await rain(room, {limit: 1});
  await startNow(code);
  await v.page.waitForSelector('[data-phase="open"]');
  await kafkaPause();
  try {
    await until("confirming", async () => {
      await v.page.keyboard.press("Space");
      return v.byTest("hud-wait").isVisible();
    });
    assert.equal(await v.byTest("float").count(), 0, "no amount before the server's OK");
    assert.equal(await v.byTest("hud-sum").innerText(), "¥0.00");
  } finally {
    await kafkaResume();
  }
  await v.byTest("card").waitFor({state: "visible", timeout: 30000});
  assert.equal(await v.byTest("card-title").innerText(), "恭喜发财");
  await admin.close(code);
  await until("SQL has what the page shows", async () => {
    const rows = await sqlGrants(code, "210");
    return rows.length === 1 && JSON.stringify(rows) === JSON.stringify(await shownGrants(v));
  }, 30000);
  assert.deepEqual(v.problems, []);
  await v.context.close();
});

test("reduced motion: a still grid of buttons, by pointer and by keyboard", async () => {
  const room = newRoom();
  const v = await viewer(room, "202", {context: {...PHONE, reducedMotion: "reduce"}});
  await connected(v);
  const code = await rain(room);
  await startNow(code);
  await v.byTest("packet-grid").waitFor({state: "visible"});
  const packets = v.byTest("grid-packet");
  assert.ok(await packets.count() >= 6);
  const box = await packets.first().boundingBox();
  assert.ok(box.width >= 44 && box.height >= 44, "large enough to hit");
  assert.equal(await v.page.evaluate(() => document.getAnimations().length), 0);
  await packets.first().tap();
  await until("one by touch", async () => (await v.byTest("grant").count()) === 1);
  await picture(v, "viewer-still-phone");
  await packets.nth(4).focus();
  await until("one by keyboard", async () => {
    await v.page.keyboard.press("Enter");
    return (await v.byTest("grant").count()) === 2;
  });
  await v.byTest("card").waitFor({state: "visible"});
  await admin.close(code);
  assert.deepEqual(v.problems, []);
  await v.context.close();
});

test("packets can be stopped and started by hand", async () => {
  const room = newRoom();
  const v = await viewer(room, "203");
  await connected(v);
  await startNow(await rain(room));
  await v.page.waitForSelector('[data-phase="open"]');
  assert.equal(await v.byTest("packet-grid").isVisible(), false);
  await v.byTest("motion").click();
  assert.equal(await v.byTest("packet-grid").isVisible(), true);
  await v.byTest("motion").click();
  assert.equal(await v.byTest("packet-grid").isVisible(), false);
  await v.context.close();
});

test("a computer whose clock is ten minutes off counts down right", async () => {
  const room = newRoom();
  const wrong = await viewer(room, "204", {init: () => {
    const real = Date.now;
    Date.now = () => real() + 600_000;
  }});
  const right = await viewer(room, "205");
  await connected(wrong);
  await connected(right);
  const code = await rain(room);
  await admin.start(code, {countdown_ms: 20_000, duration_ms: 5000});
  for (const v of [wrong, right]) await v.byTest("hero-count").waitFor({state: "visible"});
  const [a, b] = await Promise.all([wrong, right].map((v) => v.byTest("countdown").innerText()));
  assert.ok(Math.abs(a - b) <= 1 && a <= 20, `${a} and ${b}`);
  await wrong.context.close();
  await right.context.close();
});

test("no token, bad token, wrong room: said plainly, no retries", async () => {
  const base = stack.url;
  const none = await openPage(browser, {base, room: "r"});
  await none.byTest("gate").waitFor({state: "visible"});
  const noRoom = await openPage(browser, {base, token: "x.y.z"});
  await noRoom.byTest("gate").waitFor({state: "visible"});
  const bad = await openPage(browser, {base, room: "r", token: "x.y.z"});
  await bad.page.waitForSelector('[data-testid="connection"][data-state="stopped"]');
  await bad.byTest("gate").waitFor({state: "visible"});
  const other = await openPage(browser,
    {base, room: "not-mine", token: await stack.mint("206", "viewer", ["mine"])});
  await other.byTest("gate").waitFor({state: "visible"});
  for (const where of [none, noRoom, bad, other]) await where.context.close();
});

test("English: remembered, complete, and the page says its language", async () => {
  const room = newRoom();
  const v = await viewer(room, "207");
  await connected(v);
  assert.equal(await v.page.evaluate(() => document.documentElement.lang), "zh-CN");
  await v.byTest("lang").click();
  assert.equal(await v.page.evaluate(() => document.documentElement.lang), "en");
  await v.page.reload();
  await connected(v);
  assert.equal(await v.byTest("idle-text").innerText(), "A rain is about to come, stay here");
  const chinese = await v.page.evaluate(() =>
    (document.querySelector("#app").innerText.match(/[\u4e00-\u9fff]+/g) ?? []));
  assert.deepEqual(chinese.filter((word) => word !== "中"), []);
  assert.deepEqual(v.problems, []);
  await v.context.close();
});

test("headers: strict policy on every page, nothing loads from elsewhere", async () => {
  for (const path of ["/", "/console.html", "/viewer.js", "/vendor/msgpack.min.js"]) {
    const response = await fetch(stack.url + path);
    assert.equal(response.status, 200, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/, path);
    assert.ok(!/unsafe-/.test(policy), path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", path);
  }
});

test("nothing overflows: phone, small phone on its side, desktop", async () => {
  const room = newRoom();
  const code = await rain(room);
  await admin.start(code, {countdown_ms: 60_000, duration_ms: 5000});
  for (const viewport of [{width: 375, height: 667}, {width: 667, height: 375},
    {width: 1280, height: 800}]) {
    const v = await viewer(room, "208", {context: {viewport}});
    await connected(v);
    await v.byTest("hero-count").waitFor({state: "visible"});
    const wide = await v.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= viewport.width, `${wide} > ${viewport.width}`);
    const dial = await v.byTest("countdown").boundingBox();
    assert.ok(dial.y >= 0 && dial.y + dial.height <= viewport.height, JSON.stringify(dial));
    await picture(v, `viewer-countdown-${viewport.width}x${viewport.height}`);
    await v.context.close();
  }
});

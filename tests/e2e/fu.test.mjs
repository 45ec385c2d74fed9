// 集五福 in browsers: a viewer draws, a friend gives, five cards are handed in, the pool is shared and opened.

import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {readFile} from "node:fs/promises";
import {createRequire} from "node:module";
import {DESKTOP, PHONE, connected, launchBrowser, openPage, picture, until} from "../lib/browser.mjs";
import {startStack} from "../lib/stack.mjs";
import {adminApi} from "./admin.mjs";

const ROOM = "fu";
const ANCHOR = "9001";
const ANN = "9601";
const BEN = "9602";
const POOL = 8800;
let stack;
let browser;
let code;

before(async () => {
  stack = await startStack({workers: 2, conf: {"settler.task_interval_ms": 50}});
  browser = await launchBrowser();
  await adminApi(stack).deposit(ANCHOR, 20_000, "fu");
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

const open = async (user, context) => openPage(browser, {
  base: stack.url, room: ROOM, context, token: await stack.mint(user, "viewer", [ROOM]),
});

/** So that luck decides nothing here: the cards as drawn, by the books. */
async function plant(user, cards) {
  for (const [i, card] of cards.entries()) {
    await stack.sql("INSERT INTO fu_draw VALUES (?, ?, ?, ?, 1)", [code, user, `rain:planted-${i}`, card]);
    await stack.sql("UPDATE fu_stock SET left_n = left_n - 1, issued = issued + 1 WHERE code = ? AND card = ?", [code, card]);
    await stack.sql(`INSERT INTO fu_user (code, user_id, c${card}) VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE c${card} = c${card} + 1`, [code, user]);
  }
}

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
async function serious({page}) {
  await page.evaluate(await readFile(axe, "utf8"));
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
  return violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(" ")}`);
}

const heldOf = (view) => view.page.$$eval("[data-card]", (nodes) => nodes.map((n) => Number(n.querySelector(".count").textContent)));
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

test("console: begun after a look at the sum, once; given up while nobody is in the pool", async () => {
  const anchor = await openPage(browser, {
    base: stack.url, path: "/console.html", room: "fu-console", context: DESKTOP, token: await stack.mint(ANCHOR, "anchor", ["fu-console"]),
  });
  await connected(anchor);
  await anchor.byTest("fuc-open").click();
  await anchor.byTest("fuc-pool").fill("0");
  await anchor.byTest("fuc-go").click();
  assert.notEqual(await anchor.byTest("fuc-error").innerText(), "");
  assert.equal(await anchor.byTest("fuc-pool").getAttribute("aria-invalid"), "true");
  await anchor.byTest("fuc-pool").fill("66.60");
  await anchor.byTest("fuc-text").fill("<i>新春</i>");
  await anchor.byTest("fuc-go").click();
  assert.match(await anchor.byTest("fuc-go").innerText(), /66\.60/);
  await picture(anchor, "fu-console-form");
  assert.deepEqual(await serious(anchor), []);
  await anchor.byTest("fuc-go").dblclick();
  await until("it runs", async () => await anchor.byTest("fuc-stock-now").locator("tr").count() === 5 && await anchor.byTest("fuc-cancel").isVisible());
  const [{n}] = await stack.sql("SELECT COUNT(*) AS n FROM fu_campaign");
  assert.equal(Number(n), 1, "a double click begins one");
  await picture(anchor, "fu-console-running");
  await anchor.byTest("fuc-cancel").click();
  await anchor.byTest("fuc-cancel").click();
  await until("the pool is back", async () => {
    const [row] = await stack.sql("SELECT balance FROM wallet WHERE user_id = ?", [ANCHOR]);
    return Number(row.balance) === 20_000;
  });
  await until("the form is there again", () => anchor.byTest("fuc-form").isVisible());
  assert.deepEqual(anchor.problems, []);
});

test("draw, give, hand in, open the share: two viewers, phone and desktop, zh and en", async () => {
  const ann = await open(ANN, PHONE);
  const ben = await open(BEN, DESKTOP);
  await connected(ann);
  await connected(ben);
  assert.equal(await ann.byTest("fu-open").isVisible(), false, "no campaign, no button");
  code = (await stack.must("POST", "/api/v1/fu", {
    sender: ANCHOR, room: ROOM, biz_id: "fu-e2e", pool: POOL, share_at: Date.now() + 3_600_000, text: "<b>新春</b>集福", split: "equal",
  })).code;

  await ann.byTest("fu-open").click();
  await until("what there is", async () => (await ann.byTest("fu-draw-signin").isEnabled()));
  assert.match(await ann.byTest("fu-pool").innerText(), /88\.00/);
  assert.equal(await ann.page.locator("#fu-text b").count(), 0, "a text stays text");
  assert.equal(await ann.byTest("fu-join").isDisabled(), true);
  assert.equal(await ann.byTest("fu-draw-rain").isDisabled(), true, "no rain yet");
  await ann.byTest("fu-draw-join").click();
  await until("one card", async () => sum(await heldOf(ann)) === 1);
  assert.match(await ann.byTest("fu-said").innerText(), /抽到/);
  await ann.byTest("fu-draw-signin").press("Enter"); // the keyboard is enough
  await until("two cards", async () => sum(await heldOf(ann)) === 2);
  await until("both are done for today", async () => await ann.byTest("fu-draw-join").isDisabled() && await ann.byTest("fu-draw-signin").isDisabled());
  assert.deepEqual(await serious(ann), []);
  await picture(ann, "fu-phone");
  const wide = await ann.page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector("#fu-sheet").scrollWidth]);
  assert.ok(wide.every((px) => px <= PHONE.viewport.width), `nothing is wider than the phone: ${wide}`);
  const small = await ann.page.$$eval("#fu-sheet button, #fu-open, #fu-sheet summary", (nodes) => nodes.filter((n) => n.checkVisibility())
    .map((n) => n.getBoundingClientRect()).filter((r) => r.width < 44 || r.height < 43.5).length);
  assert.equal(small, 0, "targets of 44 px");

  // After a reload the page knows what was drawn.
  await ann.page.reload();
  await connected(ann);
  await ann.byTest("fu-open").click();
  await until("the same cards", async () => sum(await heldOf(ann)) === 2);
  assert.equal(await ann.byTest("fu-draw-join").isDisabled(), true);

  // Ben gives what is missing, in English.
  const lacking = (await heldOf(ann)).flatMap((n, i) => (n ? [] : [i + 1]));
  await plant(BEN, [...lacking, 1, 2, 3, 4, 5].slice(0, lacking.length + 5));
  await ben.byTest("lang").click();
  await ben.byTest("fu-open").click();
  await until("Ben's cards", async () => sum(await heldOf(ben)) === lacking.length + 5);
  await ben.byTest("fu-give-title").click();
  await ben.byTest("fu-give-to").fill("nobody");
  await ben.byTest("fu-give-go").click();
  assert.match(await ben.byTest("fu-error").innerText(), /number/);
  await ben.byTest("fu-give-to").fill(ANN);
  for (const card of lacking) {
    const before = sum(await heldOf(ben));
    await ben.byTest(`fu-card-${card}`).click();
    await ben.byTest("fu-give-go").click();
    await until("one less", async () => sum(await heldOf(ben)) === before - 1);
  }
  await picture(ben, "fu-give-desktop-en");
  assert.deepEqual(await serious(ben), []);
  await until("Ann has all five", async () => (await heldOf(ann)).every((n) => n > 0));
  await until("she is told", async () => /好友/.test(await ann.byTest("fu-said").innerText()));
  await until("she may join", () => ann.byTest("fu-join").isEnabled());
  await picture(ann, "fu-complete-phone");
  await ann.byTest("fu-join").click();
  await until("she is in", async () => /等待开奖/.test(await ann.byTest("fu-end").innerText()));
  await ben.byTest("fu-join").click();
  await until("both are in", async () => (await ben.byTest("fu-winners").innerText()) === "2");

  // The time has come.
  await stack.sql("UPDATE fu_campaign SET share_at = ? WHERE code = ?", [Date.now() - 1000, code]);
  await stack.sql("UPDATE rp_task SET next_at = 0 WHERE biz_id = ?", [`fu:${code}`]);
  await until("shared", async () => /已开奖/.test(await ann.byTest("fu-end").innerText()));
  await picture(ann, "fu-shared-phone");
  await ann.byTest("fu-close").click();
  await ben.byTest("fu-close").click();
  for (const view of [ann, ben]) {
    await until("the share is opened", async () => {
      if (await view.byTest("grant").count() === 1) return true;
      if (await view.byTest("card-close").isVisible()) await view.byTest("card-close").click();
      else await view.page.keyboard.press("Space");
      return false;
    }, 30_000);
  }
  await until("half of it each, in the wallet", async () => {
    const rows = await stack.sql("SELECT user_id, balance FROM wallet WHERE user_id IN (?, ?) ORDER BY user_id", [ANN, BEN]);
    return rows.length === 2 && rows.every((r) => Number(r.balance) === POOL / 2);
  }, 20_000);
  for (const where of [ann, ben]) assert.deepEqual(where.problems, []);
  await stack.verify();
});

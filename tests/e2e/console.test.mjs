// Each state of the anchor's console, shown exactly by a server that says what the test wants (tests/lib/console-stage.mjs): what it
// says, how it looks (pictures are kept), who can use it. A whole rain on the real server is in rain.test.mjs.

import {after, afterEach, before, test} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {DESKTOP, PHONE, connected, launchBrowser, openPage, picture, until} from "../lib/browser.mjs";
import {rainRow, resultOf, settledRow, startConsoleStage, winnerOf} from "../lib/console-stage.mjs";
import {RESULT} from "../../web-demo/constants.js";

const axeSource = () => readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const ME = "9";
const HOSTILE = '</bdi><img src=x onerror="alert(1)">\u202e=cmd()';
const VIEWPORTS = [["phone", PHONE], ["desktop", DESKTOP]];
let browser;
let stage;
let room;
let open = [];

before(async () => { browser = await launchBrowser(); });
after(async () => { await browser?.close(); });
afterEach(async () => {
  for (const c of open) await c.context.close();
  open = [];
  await stage?.stop();
  stage = null;
});

/** The console on a stage; prepare() sets what the room holds before the page is there. */
async function console_({context = DESKTOP, prepare = () => {}} = {}) {
  ({stage, room} = await startConsoleStage());
  prepare();
  const c = await openPage(browser, {base: stage.url, path: "/console.html", room: "stage", token: `${ME}.x.y`, context});
  open.push(c);
  await connected(c);
  await until("figures", async () => (await text(c, "balance")) !== "–");
  return c;
}

const text = (c, id) => c.byTest(id).innerText();
const clean = (c) => assert.deepEqual(c.problems, []);
const asks = (name) => stage.asked.filter(([op]) => op === name);
const state = (c, name) => c.page.waitForSelector(`[data-testid="rain-state"][data-state="${name}"]`);

async function axe(c, what) {
  const {page} = c;
  if (!await page.evaluate(() => Boolean(globalThis.axe))) {
    const cdp = await c.context.newCDPSession(page);
    await cdp.send("Runtime.evaluate", {expression: `${axeSource()};0`});
    await cdp.detach();
  }
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
  }));
  const bad = violations.filter(({impact}) => impact === "serious" || impact === "critical")
    .map(({id, nodes}) => `${what}: ${id}: ${nodes.map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`);
  assert.deepEqual(bad, []);
}

async function fits(c, what) {
  const wide = await c.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${what}: ${wide} px too wide`);
}

/** A rain in full swing. */
const running = () => {
  const now = stage.now();
  room.rains = [rainRow(1, now, {
    status: "SENT", open_at: now - 8000, end_at: now + 22_000, count: 2000, total: 888_800, granted: 764, granted_fen: 339_200, settled: 590,
    settled_fen: 262_300, remain_fen: 626_500, text: "新年快乐，万事如意",
  }), settledRow(2, now), settledRow(3, now, {status: "CANCELLED", granted: 0, granted_fen: 0, settled: 0, settled_fen: 0, refunded_fen: 10_000})];
};
const over = () => {
  room.rains = [settledRow(1, stage.now(), {text: "新年快乐，万事如意"}), settledRow(2, stage.now())];
  room.winners = Array.from({length: 120}, (_, i) => winnerOf(i, stage.now()));
};

for (const [size, context] of VIEWPORTS) {
  test(`console: every state on a ${size}, and its picture`, async () => {
    const c = await console_({context});
    const shot = async (name) => {
      await fits(c, name);
      await picture(c, `console-${name}-${size}`);
    };
    await until("a preview", async () => /¥1\.00/.test(await text(c, "preview")) && await c.page.locator("#preview-bars i").count() > 10);
    await shot("empty");
    await c.byTest("create-next").scrollIntoViewIfNeeded();
    await c.byTest("create-next").click();
    await c.byTest("create-confirm").waitFor({state: "visible"});
    assert.match(await text(c, "confirm-facts"), /¥5,000\.00[\s\S]*¥4,900\.00/);
    await shot("confirm");
    await c.byTest("create-back").click();
    running();
    await state(c, "OPEN");
    for (let i = 1; i <= 4; i += 1) {
      const granted = 764 + i * 61;
      stage.push("RED_PACKET_TICK", {config_code: room.rains[0].code, granted, granted_price: granted * 444, total_count: 2000, now: stage.now()});
      Object.assign(room.rains[0], {granted, granted_fen: granted * 444});
      stage.push("ROOM_COUNT", {online: 12_800 + i * 40});
      await until("a second of the chart", async () => Number(await text(c, "granted")) === granted);
      await c.page.waitForTimeout(700);
    }
    stage.push("SAY", {user: "1234567", name: "小明", text: "主播发红包啦！", at: stage.now()});
    stage.push("SAY", {user: "7654321", name: "大吉大利", text: "抢到 8.88，谢谢老板", at: stage.now()});
    await until("the rate", async () => Number(await text(c, "rate")) > 0);
    await c.page.evaluate(() => scrollTo(0, 0));
    await shot("live");
    over();
    await state(c, "SETTLED");
    stage.push("RED_PACKET_RESULT", resultOf(room.rains[0], stage.now()), {ordered: true});
    await c.byTest("books-tick").waitFor({state: "visible"});
    await c.byTest("best").waitFor({state: "visible"});
    await shot("settled");
    await c.byTest("tab-winners").click();
    await until("winners", async () => (await c.byTest("winner").count()) === 50);
    await c.byTest("tab-winners").scrollIntoViewIfNeeded();
    await shot("winners");
    await c.byTest("f-announce").fill("抢到的朋友扣 1");
    await c.byTest("announce").click();
    await c.byTest("tab-audit").click();
    await until("audit", async () => (await c.byTest("audit-row").count()) === 1);
    await shot("audit");
    clean(c);
  });
}

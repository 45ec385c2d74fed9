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

// ---- create ----

const fill = async (c, values) => {
  for (const [id, value] of Object.entries(values)) await c.byTest(`f-${id}`).fill(value);
};

test("console: each field says what is wrong with it, in place, and the first one gets the focus", async () => {
  const c = await console_();
  const wrong = async (id, value, pattern) => {
    const old = await c.byTest(`f-${id}`).inputValue();
    await c.byTest(`f-${id}`).fill(value);
    assert.match(await text(c, `e-${id}`), pattern, id);
    assert.equal(await c.byTest(`f-${id}`).getAttribute("aria-invalid"), "true");
    await c.byTest("create-next").click();
    assert.equal(await c.byTest("create-confirm").isVisible(), false);
    assert.equal(await c.page.evaluate(() => document.activeElement.id), `f-${id}`);
    await c.byTest(`f-${id}`).fill(old);
    assert.equal(await text(c, `e-${id}`), "");
  };
  await wrong("total", "12.345", /两位小数/);
  await wrong("total", "0.05", /至少 ¥1\.00/);
  await wrong("total", "5000.01", /余额不足，现有 ¥5,000\.00/);
  await wrong("count", "0", /1 到 1000000/);
  await wrong("limit", "101", /1 到 100/);
  await wrong("lo", "0", /¥0\.01/);
  await wrong("open", "90000", /86400/);
  await c.byTest("begin-after").check({force: true});
  await wrong("after", "4000", /3600/);
  await c.byTest("begin-at").check({force: true});
  await wrong("at", "2001-01-01T00:00:01", /15 s|15 秒/);
  await c.byTest("begin-manual").check({force: true});
  await c.byTest("f-kind").selectOption("personal");
  assert.equal(await c.byTest("f-count").isVisible(), false, "one packet for one user");
  await fill(c, {users: "77"});
  await wrong("users", "1,x", /用户编号/);
  await c.byTest("f-kind").selectOption("enterprise");
  await fill(c, {count: "3", users: "11,12"});
  assert.match(await text(c, "e-users"), /不能多于/);
  clean(c);
});

test("console: kinds, who may have one, blessing, start in a while: the confirmation says it all, a double click creates once", async () => {
  const c = await console_();
  await c.byTest("f-kind").selectOption("enterprise");
  await fill(c, {total: "90", count: "3", users: "11，12 13", text: "年会快乐", open: "600"});
  await c.byTest("begin-after").check({force: true});
  await fill(c, {after: "45"});
  await until("bars", async () => /¥30\.00/.test(await text(c, "preview")) && await c.page.locator("#preview-bars i").count() === 3);
  await c.byTest("create-next").click();
  const facts = await text(c, "confirm-facts");
  for (const said of ["企业红包", "3 位指定用户", "稍后 · 45 秒", "600", "年会快乐", "¥5,000.00", "¥4,910.00"]) assert.ok(facts.includes(said), said);
  assert.equal(await text(c, "confirm-sum"), "¥90.00");
  await c.byTest("create-ok").dblclick();
  await state(c, "COUNTDOWN");
  assert.equal(asks("CREATE").length, 1);
  const [[, body]] = asks("CREATE");
  assert.deepEqual([body.total, body.count, body.kind, body.users, body.text, body.duration_ms], [9000, 3, "enterprise", "11,12,13", "年会快乐", 600_000]);
  assert.deepEqual(asks("START").map(([, {countdown_ms: ms, duration_ms: open}]) => [ms, open]), [[45_000, 600_000]]);
  assert.match(await text(c, "eligible"), /3/);
  clean(c);
});

test("console: scheduled: start_at goes to the server, the page counts down to it, cancelling needs a yes", async () => {
  const c = await console_({context: PHONE});
  await c.byTest("begin-at").check({force: true});
  await c.byTest("create-next").click();
  await c.byTest("create-ok").click();
  await state(c, "SCHEDULED");
  const [[, body]] = asks("CREATE");
  assert.ok(Math.abs(body.start_at - stage.now() - 300_000) < 20_000);
  assert.equal(asks("START").length, 0, "the server starts it");
  assert.match(await text(c, "clock"), /^[45]:\d\d$/);
  await c.byTest("cancel").click();
  assert.match(await text(c, "ask-text"), /¥100\.00/);
  await c.page.keyboard.press("Escape");
  assert.equal(asks("CANCEL").length, 0);
  await c.byTest("cancel").click();
  await c.byTest("ask-yes").click();
  await state(c, "CANCELLED");
  clean(c);
});

test("console: templates: built in and one's own, kept on the server, deleted again", async () => {
  const c = await console_();
  await c.page.getByRole("button", {name: "用模板 红包大雨"}).click();
  assert.deepEqual([await c.byTest("f-total").inputValue(), await c.byTest("f-count").inputValue(), await c.byTest("f-limit").inputValue()], ["200.00", "500", "5"]);
  await fill(c, {total: "188.88", text: "周五见", template: "周五 <b>"});
  await c.byTest("template-save").click();
  await until("kept", async () => (await c.byTest("own-template").count()) === 1);
  await c.page.reload();
  await connected(c);
  await until("still there", async () => (await c.byTest("own-template").count()) === 1);
  await c.byTest("own-template").getByRole("button").first().click();
  assert.deepEqual([await c.byTest("f-total").inputValue(), await c.byTest("f-text").inputValue()], ["188.88", "周五见"]);
  await c.byTest("own-template").getByRole("button").last().click();
  await until("gone", async () => (await c.byTest("own-template").count()) === 0);
  clean(c);
});

test("console: no answer is not a no: the same create is asked again under the same biz_id", async () => {
  const c = await console_();
  const real = stage.answers.CREATE;
  stage.answers.CREATE = () => null;
  await c.byTest("create-next").click();
  await c.byTest("create-ok").click();
  await until("asked", () => asks("CREATE").length === 1);
  stage.drop();
  await c.byTest("banner").waitFor({state: "visible"});
  assert.match(await text(c, "banner"), /不会重复创建/);
  stage.answers.CREATE = real;
  await connected(c);
  await until("created", async () => {
    if (await c.byTest("create-ok").isVisible() && await c.byTest("create-ok").isEnabled()) await c.byTest("create-ok").click();
    return room.rains.length === 1;
  });
  const ids = asks("CREATE").map(([, body]) => body.biz_id);
  assert.ok(ids.length >= 2 && new Set(ids).size === 1);
});

// ---- live ----

test("console: every state has its word, its clock and only the actions that fit", async () => {
  const c = await console_({prepare: running});
  const [rain] = room.rains;
  const now = stage.now();
  const cases = [
    ["CREATED", {status: "CREATED"}, "待开始", ["prepare", "cancel"]],
    ["PREPARED", {status: "PREPARED"}, "已预热", ["start", "cancel"]],
    ["COUNTDOWN", {status: "SENT", open_at: now + 60_000, end_at: now + 90_000}, "倒计时", ["cancel"]],
    ["OPEN", {open_at: now - 1000, end_at: now + 60_000}, "进行中", ["extend", "close"]],
    ["ENDED", {end_at: now - 10}, "已结束", []],
    ["CLOSING", {status: "CLOSING"}, "结算中", []],
    ["SETTLED", {status: "SETTLED", settled_fen: rain.granted_fen, refunded_fen: rain.total - rain.granted_fen, remain_fen: 0}, "已结清", []],
  ];
  for (const [name, change, word, actions] of cases) {
    Object.assign(rain, change);
    await state(c, name);
    assert.equal(await text(c, "rain-state"), word);
    const shown = [];
    for (const id of ["prepare", "start", "extend", "close", "cancel"]) if (await c.byTest(id).isVisible()) shown.push(id);
    assert.deepEqual(shown, actions, name);
    if (name === "OPEN") {
      assert.match(await text(c, "clock"), /^\d+$|^1:00$/);
      stage.push("RED_PACKET_STATE", {config_code: rain.code, state: "RECOVERING", now});
      await state(c, "RECOVERING");
      assert.equal(await text(c, "rain-state"), "恢复中");
      stage.push("RED_PACKET_STATE", {config_code: rain.code, state: "OPEN", now});
      await state(c, "OPEN");
    }
  }
  clean(c);
});

test("console: figures and charts: granted of total, ¥ left, grabs a second, errors, delivery, lag, viewers", async () => {
  const c = await console_({prepare: running});
  await state(c, "OPEN");
  assert.deepEqual([await text(c, "granted"), await text(c, "count"), await text(c, "given"), await text(c, "left-money")],
    ["764", "2000", "¥3,392.00", "¥5,496.00"]);
  assert.equal(await text(c, "error-rate"), "0.12%");
  assert.equal(await text(c, "delivery"), "100%");
  assert.match(await c.byTest("delivery").getAttribute("title"), /1204331.*丢失 0/);
  assert.equal(await text(c, "lag"), "42 ms");
  room.lag = null;
  room.delivery = {...room.delivery, closed: 120_433};
  await until("an unknown lag is said", async () => (await text(c, "lag")) === "–" && (await text(c, "delivery")) === "90%");
  let granted = 764;
  await until("a rate", async () => {
    granted += 20;
    stage.push("RED_PACKET_TICK", {config_code: room.rains[0].code, granted, granted_price: granted * 444, total_count: 2000, now: stage.now()});
    return Number(await text(c, "rate")) > 0 && /最高 [1-9]/.test(await c.byTest("chart-rate").getAttribute("aria-label"));
  });
  assert.match(await c.byTest("chart-online").getAttribute("aria-label"), /12873/);
  for (const id of ["chart-online", "chart-rate"]) assert.equal(await c.page.locator(`#${id} canvas`).count(), 1);
  clean(c);
});

test("console: extend and close ask first, run once, and leave a receipt with the number of their row", async () => {
  const c = await console_({prepare: running});
  await state(c, "OPEN");
  await c.byTest("f-extend").selectOption("30");
  await c.byTest("extend").click();
  assert.match(await text(c, "ask-text"), /30/);
  await c.byTest("ask-yes").click();
  await until("extended", () => asks("EXTEND").length === 1);
  assert.equal(asks("EXTEND")[0][1].add_ms, 30_000);
  await until("a receipt", async () => /已延长 · 回执 #1001/.test(await text(c, "log")));
  await c.byTest("close").click();
  assert.match(await text(c, "ask-text"), /¥5,496\.00/);
  await c.byTest("ask-yes").dblclick();
  await state(c, "SETTLED");
  assert.equal(asks("CLOSE").length, 1);
  clean(c);
});

test("console: announce, mute and kick: from a line of the chat and by id; a kick asks first", async () => {
  const c = await console_({context: PHONE});
  stage.push("SAY", {user: "77", name: "小明", text: "广告广告", at: stage.now()});
  stage.push("SAY", {user: ME, name: "主播", text: "大家好", at: stage.now()});
  await until("both lines", async () => (await c.byTest("chat-line").count()) === 2);
  assert.equal(await c.byTest("chat-line").first().getByRole("button").count(), 0, "nobody mutes himself");
  await c.page.getByRole("button", {name: "禁言 77"}).click();
  await until("muted", () => asks("MUTE").length === 1);
  assert.deepEqual(asks("MUTE")[0][1], {user: "77", secs: 600});
  await c.page.getByRole("button", {name: "踢出 77"}).click();
  assert.match(await text(c, "ask-text"), /77.*10 分钟/);
  await c.byTest("ask-yes").click();
  await until("kicked", () => asks("KICK").length === 1);
  await c.byTest("f-user").fill("abc");
  await c.byTest("mute").click();
  assert.match(await text(c, "e-user"), /用户编号/);
  await c.byTest("f-user").fill("88");
  await c.byTest("f-secs").selectOption("3600");
  await c.byTest("mute").click();
  await until("by id", () => asks("MUTE").length === 2);
  await c.byTest("unmute").click();
  await until("lifted", () => asks("MUTE").length === 3);
  assert.deepEqual(asks("MUTE").slice(1).map(([, body]) => body), [{user: "88", secs: 3600}, {user: "88", secs: 0}]);
  await c.byTest("f-announce").fill("马上开始");
  await c.byTest("f-announce").press("Enter");
  await until("announced", () => asks("ANNOUNCE").length === 1);
  clean(c);
});

// ---- after ----

test("console: the tick is the checker's word: none while it is asked, a cross when it found something", async () => {
  const c = await console_({prepare: () => {
    over();
    stage.answers.CHECK = () => ({result: RESULT.BUSY, retry_after_ms: 50});
  }});
  await state(c, "SETTLED");
  await until("verifying", async () => /核对中/.test(await text(c, "books-verdict")));
  assert.equal(await c.byTest("books-tick").isVisible(), false);
  stage.answers.CHECK = ({code}) => ({result: RESULT.OK, code, status: "SETTLED", total: 10_000, settled_fen: 8000, refunded_fen: 2000, remain_fen: 0, findings: 2, unaccounted_fen: 1, at: stage.now()});
  await until("a cross", async () => /✗ 有 2 处/.test(await text(c, "books-verdict")));
  assert.equal(await c.byTest("books-tick").isVisible(), false);
  clean(c);
});

test("console: 手气最佳, top list, winners by page and by user, CSV that no spreadsheet runs", async () => {
  const c = await console_({prepare: () => {
    over();
    room.rains[0].text = "=cmd|' /C calc'!A0";
  }});
  stage.push("RED_PACKET_RESULT", resultOf(room.rains[0], stage.now()), {ordered: true});
  await c.byTest("best").waitFor({state: "visible"});
  assert.match(await text(c, "best"), /手气最佳 用户 777 ¥33\.33/);
  assert.equal(await c.page.locator("#top li").count(), 10);
  await c.byTest("tab-winners").click();
  const users = () => c.page.$$eval('[data-testid="winner"]', (rows) => rows.map((row) => row.dataset.user));
  const page = async (n, count) => until(`page ${n}`, async () => (await users()).length === count && (await text(c, "winners-page")).includes(String(n)));
  await page(1, 50);
  await c.byTest("winners-next").click();
  await page(2, 50);
  await c.byTest("winners-next").click();
  await page(3, 20);
  assert.equal(await c.byTest("winners-next").isEnabled(), false);
  assert.equal((await users()).at(-1), "10119");
  await c.byTest("winners-prev").click();
  await page(2, 50);
  await c.byTest("f-search").fill("10007");
  await c.byTest("f-search").press("Enter");
  await until("one user", async () => (await users()).join() === "10007");
  await c.byTest("f-search").fill("4711");
  await c.byTest("winners-search").click();
  await until("nobody", async () => (await users()).length === 0 && await c.byTest("winners-empty").isVisible());
  await c.byTest("winners-clear").click();
  await page(1, 50);
  const [download] = await Promise.all([c.page.waitForEvent("download"), c.byTest("winners-csv").click()]);
  assert.equal(download.suggestedFilename(), `winners-stage-${room.rains[0].code}.csv`);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert.equal(lines.length, 121);
  assert.ok(lines[1].startsWith('"10000","0.88","held"'), lines[1]);
  assert.ok(lines.every((line) => !/(^|,)"[=+\-@]/.test(line)), lines[1]);
  clean(c);
});

test("console: the audit trail says who did what and how it ended, older rows on request", async () => {
  const c = await console_({prepare: () => {
    for (let i = 0; i < 60; i += 1) room.audit.unshift({id: 100 + i, at: stage.now(), user: i % 2 ? null : ME, action: "START", code: "", detail: "countdown_ms=5000 duration_ms=1", result: i % 3 ? "OK" : "CONFLICT"});
    Object.assign(room.audit[1], {action: "FU_CREATE", detail: "pool=8888 share_at=1795414522000"});
  }});
  await c.byTest("tab-audit").click();
  await until("a page", async () => (await c.byTest("audit-row").count()) === 50);
  const first = await c.byTest("audit-row").first().innerText();
  assert.match(first, /#159\s+[\d:]+\s+平台\s+开始\s+倒计时 5 秒/);
  assert.match(await c.byTest("audit-row").nth(1).innerText(), /发起集五福\s+奖池 ¥88\.88/);
  await c.byTest("audit-older").click();
  await until("all", async () => (await c.byTest("audit-row").count()) === 60);
  await c.byTest("create-next").click();
  await c.byTest("create-ok").click();
  await until("the new one on top", async () => /创建[\s\S]*¥100\.00 · 100 个/.test(await c.byTest("audit-row").first().innerText()));
  clean(c);
});

// ---- trust ----

test("console: connection and its delay are shown, a lost one comes back, errors say what to do in both languages", async () => {
  const c = await console_({prepare: running});
  await until("a delay", async () => /\d+ ms/.test(await text(c, "rtt")));
  stage.drop();
  await c.page.waitForSelector('[data-testid="connection"][data-state="waiting"]');
  await connected(c);
  stage.answers.EXTEND = () => ({result: RESULT.CONFLICT, reason: "it is over"});
  const extendSays = async (error) => {
    await c.byTest("extend").click();
    await c.byTest("ask-yes").click();
    await until(`the error ${error}`, async () => error.test(await text(c, "action-error")));
  };
  await state(c, "OPEN");
  await extendSays(/冲突.*it is over.*看看上面的最新状态/);
  await c.byTest("lang").click();
  stage.answers.EXTEND = () => ({result: RESULT.UNAVAILABLE});
  await extendSays(/unavailable.*press again: nothing happens twice/i);
});

test("console: English is complete", async () => {
  const c = await console_({prepare: over});
  await c.byTest("lang").click();
  await until("a tick", async () => /verified to the fen/.test(await text(c, "books-tick")));
  for (const tab of ["rains", "winners", "audit"]) {
    await c.byTest(`tab-${tab}`).click();
    const chinese = await c.page.evaluate(() => (document.body.innerText.match(/[\u4e00-\u9fff]+/g) ?? []));
    assert.deepEqual(chinese.filter((word) => !["中", "新年快乐", "万事如意", "恭喜发财"].includes(word)), [], tab);
  }
  await picture(c, "console-settled-english");
  assert.equal(await c.page.evaluate(() => document.documentElement.lang), "en");
  clean(c);
});

test("console: keyboard only: create, confirm, prepare, start, close, winners; the focus is never lost", async () => {
  const c = await console_();
  const {keyboard} = c.page;
  const focused = () => c.page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.id);
  /** Tabs on until the wanted element has the focus. */
  const tabTo = async (id) => {
    for (let i = 0; i < 80; i += 1) {
      if (await focused() === id) return;
      await keyboard.press("Tab");
    }
    assert.fail(`no way to ${id}; at ${await focused()}`);
  };
  await tabTo("f-total");
  await keyboard.press("Control+A");
  await keyboard.type("12.00");
  await keyboard.press("Enter");
  assert.equal(await focused(), "create-confirm");
  await tabTo("create-ok");
  await keyboard.press("Enter");
  await state(c, "CREATED");
  await until("the focus goes where the rain is", async () => await focused() === "live-title");
  await tabTo("prepare");
  await keyboard.press("Space");
  await state(c, "PREPARED");
  await tabTo("f-countdown");
  await keyboard.press("Control+A");
  await keyboard.type("1");
  await keyboard.press("Enter");
  await state(c, "OPEN");
  await tabTo("close");
  await keyboard.press("Enter");
  await tabTo("ask-yes");
  await keyboard.press("Enter");
  await state(c, "SETTLED");
  await tabTo("tab-rains");
  await keyboard.press("ArrowRight");
  assert.equal(await focused(), "tab-winners");
  await until("its panel", () => c.byTest("winners-empty").isVisible());
  await keyboard.press("ArrowRight");
  await until("the trail", async () => (await c.byTest("audit-row").count()) === 4);
  clean(c);
});

test("console: axe finds nothing serious: empty, confirm, live, settled, winners, audit, a question; zh and en, phone and desktop", async () => {
  for (const [size, context] of VIEWPORTS) {
    const c = await console_({context});
    await axe(c, `empty ${size}`);
    await c.byTest("create-next").click();
    await axe(c, `confirm ${size}`);
    await c.byTest("create-back").click();
    running();
    await state(c, "OPEN");
    stage.push("SAY", {user: "77", name: "小明", text: "hi", at: stage.now()});
    await axe(c, `live ${size}`);
    await c.byTest("close").click();
    await axe(c, `question ${size}`);
    await c.page.keyboard.press("Escape");
    over();
    await state(c, "SETTLED");
    await c.byTest("lang").click();
    for (const tab of ["winners", "audit"]) {
      await c.byTest(`tab-${tab}`).click();
      await axe(c, `${tab} ${size}`);
    }
    clean(c);
    await c.context.close();
    open = [];
    if (size === "phone") await stage.stop();
  }
});

test("console: hostile names, blessings, announcements and templates stay text and in their place", async () => {
  const c = await console_({context: PHONE, prepare: () => {
    over();
    room.rains[0].text = HOSTILE;
    room.templates = [{name: HOSTILE.slice(0, 40), spec: '{"total":"1.00"}'}, {name: "broken", spec: "<script>"}];
    room.audit = [{id: 1, at: stage.now(), user: ME, action: "ANNOUNCE", code: "", detail: HOSTILE.repeat(3), result: "OK"}];
  }});
  for (let i = 0; i < 5; i += 1) stage.push("SAY", {user: "77", name: HOSTILE, text: HOSTILE + "长".repeat(150), at: stage.now()});
  await until("lines", async () => (await c.byTest("chat-line").count()) === 5);
  for (const tab of ["rains", "winners", "audit"]) {
    await c.byTest(`tab-${tab}`).click();
    await fits(c, tab);
  }
  assert.equal(await c.page.locator("main img, main script").count(), 0);
  assert.equal(await c.byTest("own-template").count(), 1, "one that cannot be read is left out");
  const reversed = await c.page.evaluate(() => /[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText));
  assert.equal(reversed, false);
  clean(c);
});

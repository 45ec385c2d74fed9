// One whole rain with the anchor's console and two viewers' pages on the real server; what the
// pages show at the end is compared with SQL, fen by fen.

import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {DESKTOP, PHONE, connected, findPacket, launchBrowser, openPage, picture, until}
  from "../lib/browser.mjs";
import {startStack} from "../lib/stack.mjs";
import {adminApi} from "./admin.mjs";

const ROOM = "stage";
const ANCHOR = "9001";
const PHONE_USER = "101";
const DESKTOP_USER = "102";
const HOSTILE_NAME = '<img src=x onerror="alert(1)">';
const HOSTILE_TEXT = '</bdi><script>alert(2)</script><b onclick=alert(3)>';
const TOTAL_FEN = 2000;
const COUNT = 8;
const LIMIT = 3;

let stack;
let browser;
let admin;
let consolePage;
let phone;
let desktop;
let code;

before(async () => {
  stack = await startStack({workers: 2});
  admin = adminApi(stack);
  browser = await launchBrowser();
  await admin.deposit(ANCHOR, 10000, "first");
  const open = async (path, user, role, name, context) => openPage(browser, {
    base: stack.url, path, room: ROOM, context,
    token: await stack.mint(user, role, [ROOM], {name, may_send: true}),
  });
  consolePage = await open("/console.html", ANCHOR, "anchor", "主播", DESKTOP);
  phone = await open("/", PHONE_USER, "viewer", HOSTILE_NAME, PHONE);
  desktop = await open("/", DESKTOP_USER, "viewer", "小红", DESKTOP);
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

const pages = () => [consolePage, phone, desktop];
const text = (where, id) => where.byTest(id).innerText();
const fen = (shown) => Number(shown.replace(/[^\d]/g, "")); // "¥1,234.56" → 123456

async function grantsShown(where) {
  const rows = await where.page.$$eval('[data-testid="grant"]', (nodes) => nodes.map((n) => ({
    code: n.dataset.code, seq: Number(n.dataset.seq), amount: Number(n.dataset.amount),
    state: n.dataset.state, text: n.querySelector(".sum").textContent,
  })));
  return rows.sort((a, b) => a.seq - b.seq);
}

test("all three connect, and no token stays in an address", async () => {
  for (const where of pages()) {
    await connected(where);
    assert.ok(!where.page.url().includes("token"), where.page.url());
  }
  await until("three online", async () => (await text(desktop, "online")) === "3");
  await picture(phone, "viewer-idle-phone");
  await picture(desktop, "viewer-idle-desktop");
});

test("chat: what others write is text", async () => {
  await phone.byTest("say").fill(HOSTILE_TEXT);
  await phone.byTest("say").press("Enter");
  await until("the line on the other page", async () =>
    (await desktop.byTest("message").count()) === 1);
  const line = desktop.byTest("message").first();
  assert.equal(await line.locator(".said").textContent(), HOSTILE_TEXT);
  assert.ok(HOSTILE_NAME.startsWith((await line.locator(".name").textContent()).replace("…", "")));
  assert.equal(await line.locator("img, script, b").count(), 0);
});

test("console: a bad form is told where, a good one is confirmed with its sum", async () => {
  const c = consolePage;
  await until("balance", async () => fen(await text(c, "balance")) === 10000);
  await c.byTest("f-total").fill("0.05");
  await c.byTest("f-count").fill(String(COUNT));
  await c.byTest("create-next").click();
  assert.match(await text(c, "e-total"), /0\.08/);
  assert.equal(await c.byTest("create-confirm").isVisible(), false);
  await c.byTest("f-total").fill("1000");
  assert.match(await text(c, "e-total"), /余额不足/);
  await c.byTest("f-total").fill("20.00");
  await c.byTest("f-limit").fill(String(LIMIT));
  await c.byTest("f-text").fill("大吉大利");
  assert.match(await text(c, "preview"), /2\.50/);
  await c.byTest("create-next").click();
  assert.equal(fen(await text(c, "confirm-sum")), TOTAL_FEN);
  await c.byTest("create-ok").dblclick();
  await c.byTest("prepare").waitFor({state: "visible"});
  const rows = await stack.sql("SELECT config_code, total_price, total_count, limit_per_user, text "
    + "FROM t_red_packet_config WHERE room_id = ?", [ROOM]);
  assert.equal(rows.length, 1, "a double click creates one rain");
  assert.deepEqual([Number(rows[0].total_price), rows[0].total_count, rows[0].limit_per_user],
    [TOTAL_FEN, COUNT, LIMIT]);
  code = rows[0].config_code;
  assert.equal(await text(c, "rain-code"), code);
});

test("prepare and start; both viewers count down together", async () => {
  await consolePage.byTest("prepare").dblclick();
  await consolePage.byTest("start").waitFor({state: "visible"});
  await consolePage.byTest("f-countdown").fill("4");
  await consolePage.byTest("f-duration").fill("40");
  await consolePage.byTest("f-announce").fill("马上开抢 <b>");
  await consolePage.byTest("announce").click();
  await consolePage.byTest("start").click();
  await desktop.byTest("announcement").waitFor({state: "visible"});
  assert.equal(await text(desktop, "announcement"), "马上开抢 <b>");
  for (const where of [phone, desktop]) await where.byTest("hero-count").waitFor({state: "visible"});
  const [a, b] = await Promise.all([text(phone, "countdown"), text(desktop, "countdown")]);
  assert.ok(Math.abs(Number(a) - Number(b)) <= 1, `${a} and ${b}`);
  assert.equal(await text(phone, "blessing"), "大吉大利");
  await picture(phone, "viewer-countdown-phone");
});

test("packets fall; a finger and the space bar grab up to the limit", async () => {
  for (const where of [phone, desktop]) {
    await where.page.waitForSelector('[data-phase="open"]', {timeout: 15000});
  }
  const won = async (where) => (await where.byTest("grant").count()) >= LIMIT;
  await until("three by touch", async () => {
    const at = await findPacket(phone.page);
    if (at) await phone.page.touchscreen.tap(at.x, at.y);
    if ((await phone.byTest("grant").count()) === 1) await picture(phone, "viewer-rain-phone");
    return won(phone);
  }, 30000);
  await picture(desktop, "viewer-rain-desktop");
  await until("three by key", async () => {
    await desktop.page.keyboard.press("Space");
    return won(desktop);
  }, 30000);
  for (const where of [phone, desktop]) {
    await where.byTest("card").waitFor({state: "visible"});
    assert.equal(await text(where, "card-title"), "恭喜发财");
  }
  await until("ticker", async () => (await consolePage.byTest("granted").innerText()) === "6");
  await picture(consolePage, "console-live");
});

test("close: the rest is refunded and the books balance on the page", async () => {
  await consolePage.byTest("close").click();
  await consolePage.byTest("ask-yes").click();
  await consolePage.page.waitForSelector('[data-testid="rain-state"][data-state="SETTLED"]',
    {timeout: 30000});
  await consolePage.byTest("books-tick").waitFor({state: "visible"});
  for (const where of [phone, desktop]) {
    await where.byTest("board").waitFor({state: "visible", timeout: 15000});
    await until("all settled", async () =>
      (await grantsShown(where)).every((row) => row.state === "settled"), 20000);
  }
  await picture(phone, "viewer-result-phone");
  await picture(desktop, "viewer-result-desktop");
  await picture(consolePage, "console-settled");
});

test("what the viewers see is what SQL holds", async () => {
  for (const [where, user] of [[phone, PHONE_USER], [desktop, DESKTOP_USER]]) {
    const rows = await stack.sql("SELECT seq, amount FROM rp_grant WHERE code = ? AND user_id = ? "
      + "AND state = 1 ORDER BY seq", [code, user]);
    const shown = await grantsShown(where);
    assert.deepEqual(shown.map(({seq, amount}) => ({seq, amount})),
      rows.map(({seq, amount}) => ({seq: Number(seq), amount: Number(amount)})));
    for (const row of shown) assert.equal(fen(row.text), row.amount);
    const sum = rows.reduce((total, row) => total + Number(row.amount), 0);
    assert.equal(fen(await where.byTest("mine-sum").textContent()), sum);
    assert.equal(fen(await text(where, "card-amount")), sum);
    const [wallet] = await stack.sql("SELECT balance FROM wallet WHERE user_id = ?", [user]);
    assert.equal(Number(wallet.balance), sum);
  }
  const luckiest = await stack.sql("SELECT user_id, amount FROM rp_grant WHERE code = ? "
    + "AND state = 1 ORDER BY amount DESC", [code]);
  const amounts = luckiest.map(({amount}) => Number(amount));
  const top = await desktop.page.$$eval("#top li", (nodes) => nodes.map((n) =>
    ({sum: n.querySelector(".sum").textContent, mine: n.classList.contains("self")})));
  assert.deepEqual(top.map(({sum}) => fen(sum)), amounts);
  assert.equal(top.filter(({mine}) => mine).length, LIMIT);
  // His place among all packets, counted in the books.
  const [own] = (await grantsShown(desktop)).map(({amount}) => amount).sort((a, b) => b - a);
  assert.match(await text(desktop, "rank"), new RegExp(`第 ${amounts.filter((amount) => amount > own).length + 1} 名，共 ${amounts.length} 个`));
  assert.ok((await text(desktop, "best")).replace(/[^\d]/g, "").endsWith(String(amounts[0])));
});

test("the page proves the rain: own packets and the luckiest are ticked", async () => {
  for (const where of [phone, desktop]) {
    await where.byTest("prove").click();
    await until("proven", async () =>
      (await where.byTest("proof").getAttribute("data-ok")) === "yes");
    const marks = (list) => where.page.$$eval(`${list} li`, (nodes) => nodes.map((n) => n.dataset.proof));
    assert.deepEqual(await marks("#proof-mine"), Array(LIMIT).fill("yes"));
    assert.deepEqual(await marks("#top"), Array(2 * LIMIT).fill("yes"));
    assert.deepEqual(await marks("#proof-checks"), ["yes", "yes", "yes"]);
    assert.match(await text(where, "proof-verdict"), /验证通过/);
  }
  // The page for anybody, with nothing but what is public in its address.
  const href = await phone.byTest("proof-more").getAttribute("href");
  const proof = await openPage(browser, {base: stack.url, path: `/${href}`, context: PHONE});
  await proof.page.waitForSelector('[data-testid="verdict"][data-ok="yes"]');
  assert.equal(await proof.page.locator("#checks li[data-ok=yes]").count(), 3 + LIMIT);
  assert.equal(await proof.page.locator("#amounts li").count(), COUNT);
  assert.deepEqual(proof.problems, []);
  await proof.context.close();
});

test("what the console shows is what SQL holds", async () => {
  const [escrow] = await stack.sql("SELECT SUM(total) AS total, SUM(settled) AS settled, "
    + "SUM(refunded) AS refunded, SUM(remain) AS remain FROM rp_escrow WHERE code = ?", [code]);
  const [config] = await stack.sql("SELECT total_get, total_get_price FROM t_red_packet_config "
    + "WHERE config_code = ?", [code]);
  const [wallet] = await stack.sql("SELECT balance FROM wallet WHERE user_id = ?", [ANCHOR]);
  const shown = async (id) => fen(await text(consolePage, id));
  assert.equal(Number(escrow.remain), 0);
  assert.equal(await shown("total"), Number(escrow.total));
  await until("settled", async () => (await shown("settled")) === Number(escrow.settled));
  assert.equal(await shown("refunded"), Number(escrow.refunded));
  assert.equal(await shown("pending"), 0);
  assert.equal(await shown("given"), Number(config.total_get_price));
  assert.equal(Number(await text(consolePage, "granted")), config.total_get);
  assert.equal(Number(escrow.settled) + Number(escrow.refunded), TOTAL_FEN);
  assert.equal(config.total_get, 2 * LIMIT);
  await until("balance", async () => (await shown("balance")) === Number(wallet.balance));
  assert.equal(Number(wallet.balance), 10000 - Number(escrow.settled));
});

test("a late joiner sees the result and no money of his own", async () => {
  const late = await openPage(browser, {
    base: stack.url, room: ROOM, context: PHONE, token: await stack.mint("103", "viewer", [ROOM]),
  });
  await late.byTest("card").waitFor({state: "visible"});
  await late.byTest("board").waitFor({state: "visible"});
  assert.equal(await late.byTest("card-amount").textContent(), "");
  assert.deepEqual(late.problems, []);
  await late.context.close();
});

test("a reload keeps the session and brings my packets back from the server", async () => {
  const beforeReload = await grantsShown(phone);
  await phone.page.reload();
  await connected(phone);
  await until("the same packets", async () =>
    JSON.stringify(await grantsShown(phone)) === JSON.stringify(beforeReload));
  await phone.byTest("card-close").click();
  await phone.byTest("mine-open").click();
  await picture(phone, "viewer-mine-phone");
});

test("no page broke a rule: console, CSP, requests", () => {
  for (const where of pages()) assert.deepEqual(where.problems, []);
});

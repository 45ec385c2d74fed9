// A viewer sends a packet from the page, another one grabs it on his, and the sender sees what came back.

import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {DESKTOP, PHONE, connected, launchBrowser, openPage, picture, until} from "../lib/browser.mjs";
import {startStack} from "../lib/stack.mjs";
import {adminApi} from "./admin.mjs";

const ROOM = "sending";
const SENDER = "9501";
const FRIEND = "9502";
let stack;
let browser;
let admin;

before(async () => {
  stack = await startStack({workers: 2});
  admin = adminApi(stack);
  browser = await launchBrowser();
  await admin.deposit(SENDER, 10_000, "send");
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

const open = async (user, maySend, context = DESKTOP) => openPage(browser, {
  base: stack.url, room: ROOM, context, token: await stack.mint(user, "viewer", [ROOM], {may_send: maySend}),
});
const fen = (shown) => Number(shown.replace(/[^\d]/g, ""));

test("send, grab, see the refund", async () => {
  const sender = await open(SENDER, true, PHONE);
  const friend = await open(FRIEND, false);
  await connected(sender);
  await connected(friend);
  assert.equal(await friend.byTest("send-open").isVisible(), false, "only who may send is offered it");
  await sender.byTest("send-open").click();
  await until("the balance", async () => fen(await sender.byTest("send-balance").innerText()) === 10_000);
  assert.equal(await sender.byTest("send-users").isVisible(), false);
  await sender.byTest("send-amount").fill("0.01");
  await sender.byTest("send-go").click();
  assert.match(await sender.byTest("send-error").innerText(), /0\.01/);
  assert.equal(await sender.byTest("send-amount").getAttribute("aria-invalid"), "true");
  await sender.byTest("send-kind").selectOption("personal");
  await sender.byTest("send-users").fill(FRIEND);
  await sender.byTest("send-amount").fill("5.20");
  await sender.byTest("send-text").fill("生日快乐");
  await picture(sender, "send-form-phone");
  await sender.byTest("send-amount").press("Enter"); // the keyboard is enough
  await until("sent", async () => /5\.20/.test(await sender.byTest("send-done").innerText()));
  await sender.byTest("send-kind").selectOption("group");
  await sender.byTest("send-count").fill("2");
  await sender.byTest("send-amount").fill("10");
  await sender.byTest("send-go").click();
  await until("both are listed", async () => (await sender.byTest("sent-row").count()) === 2);
  await until("what is left", async () => fen(await sender.byTest("send-balance").innerText()) === 8_480);
  await sender.byTest("send-close").click();

  // The friend presses the space bar until both his packets are there: the personal one and his of the group.
  const grants = () => friend.byTest("grant").count();
  await until("two packets", async () => {
    if (await grants() === 2) return true;
    if (await friend.byTest("card-close").isVisible()) await friend.byTest("card-close").click();
    else await friend.page.keyboard.press("Space");
    return false;
  }, 40_000);
  const rows = await stack.sql("SELECT config_code AS code, kind FROM t_red_packet_config WHERE sender_id = ? ORDER BY id", [SENDER]);
  for (const {code} of rows) await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  const [{won}] = await stack.sql("SELECT SUM(amount) AS won FROM rp_grant WHERE user_id = ? AND state = 1", [FRIEND]);
  await until("the dock, beside no card", async () => {
    if (await sender.byTest("card-close").isVisible()) await sender.byTest("card-close").click();
    return sender.byTest("send-open").isVisible();
  });
  await sender.byTest("send-open").click();
  await until("both are settled, the rest is back", async () => {
    const shown = await sender.page.$$eval('[data-testid="sent-row"]', (nodes) => nodes.map((n) => [n.dataset.status, Number(n.dataset.refunded)]));
    return shown.length === 2 && shown.every(([status]) => status === "SETTLED")
      && shown.reduce((sum, [, back]) => sum + back, 0) === 1520 - Number(won);
  }, 30_000);
  await picture(sender, "send-list-phone");
  const wide = await sender.page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector("#send-sheet").scrollWidth]);
  assert.ok(wide.every((px) => px <= PHONE.viewport.width), `nothing is wider than the phone: ${wide}`);
  await sender.page.keyboard.press("Escape");
  assert.equal(await sender.byTest("send-sheet").isVisible(), false);
  for (const where of [sender, friend]) assert.deepEqual(where.problems, []);
  await stack.verify();
});

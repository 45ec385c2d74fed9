// Pages in headless Chromium: open, watch for anything wrong, tap, wait, take pictures.

import {mkdir} from "node:fs/promises";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {chromium} from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const artifacts = process.env.REDRAIN_ARTIFACTS ?? join(root, ".run", "artifacts");
const executablePath = process.env.REDRAIN_CHROMIUM || "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage"];

export const PHONE = {
  viewport: {width: 375, height: 667}, deviceScaleFactor: 2, hasTouch: true, isMobile: true,
};
export const DESKTOP = {viewport: {width: 1280, height: 800}};

export function launchBrowser() {
  return chromium.launch({executablePath, args});
}

/** Polls until fn() gives something truthy and returns it; fails with what it last saw. */
export async function until(what, fn, ms = 15000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await fn();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; last: ${String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Opens one page in a context of its own. Everything a page may not do is collected in
 * `problems`: console errors and warnings, uncaught exceptions, violations of the
 * Content-Security-Policy, failed requests, dialogs.
 * @param {object} o {base, path, room, token, context (Playwright options), init (script), clock (true: fake, see Playwright)}
 */
export async function openPage(browser, o) {
  const context = await browser.newContext(o.context ?? DESKTOP);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`));
  });
  if (o.clock) await context.clock.install(); // runs as time does, and can be put forward
  if (o.init) await context.addInitScript(o.init);
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.stack ?? error}`));
  page.on("requestfailed", (request) => problems.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()}: ${response.url()}`);
  });
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  const query = o.room === undefined ? "" : `?room=${encodeURIComponent(o.room)}`;
  const hash = o.token === undefined ? "" : `#token=${o.token}`;
  await page.goto(`${o.base}${o.path ?? "/"}${query}${hash}`);
  return {page, context, problems, byTest: (id) => page.locator(`[data-testid="${id}"]`)};
}

/** Waits until the page's connection pill says it is connected. */
export async function connected({page}, ms = 15000) {
  await page.waitForSelector('[data-testid="connection"][data-state="ready"]', {timeout: ms});
}

/** Saves a picture of the page among the test's artifacts. */
export async function picture({page}, name) {
  await mkdir(artifacts, {recursive: true});
  await page.screenshot({path: join(artifacts, `${name}.png`)});
}

/**
 * A point of the canvas where a packet is now, in page coordinates, or null: looks for the gold of
 * a packet's seal beside its red. Finds packets as a viewer does, by looking.
 */
export function findPacket(page) {
  return page.evaluate(() => {
    const canvas = document.querySelector('[data-testid="rain-canvas"]');
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const top = Math.round(170 * scale);
    const height = Math.round(canvas.height - 330 * scale);
    if (height <= 0) return null;
    const copy = document.createElement("canvas"); // the page's own canvas stays unread
    copy.width = canvas.width;
    copy.height = height;
    const ctx = copy.getContext("2d", {willReadFrequently: true});
    ctx.drawImage(canvas, 0, -top);
    const {data, width} = ctx.getImageData(0, 0, copy.width, height);
    const red = (i) => data[i + 3] > 250 && data[i] > 190 && data[i + 1] < 70 && data[i + 2] < 70;
    const step = Math.max(1, Math.round(6 * scale));
    const reach = Math.round(10 * scale);
    for (let y = reach; y < height - reach; y += step) {
      for (let x = reach; x < width - reach; x += step) {
        const at = (dx, dy) => ((y + dy) * width + x + dx) * 4;
        if (red(at(0, 0)) && red(at(reach, 0)) && red(at(-reach, 0)) && red(at(0, reach))) {
          return {x: box.left + x / scale, y: box.top + (y + top) / scale};
        }
      }
    }
    return null;
  });
}

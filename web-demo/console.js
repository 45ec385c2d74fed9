// The anchor's console: create, prepare, start, watch, close. The server decides everything; this
// page repeats a question safely (biz_id kept until success) and shows what it was told.

import {byId, el, plain, setText} from "./dom.js";
import {applyTexts, language, onLanguage, t, toggleLanguage} from "./i18n.js";
import {CreateTicket, books, checkCreate, checkStart, shownState} from "./console-model.js";
import {drawRain, drawRains, drawResult, drawSpark, errorText, logLine, money}
  from "./console-parts.js";
import {connectionPill, pageClient, readSession} from "./page.js";

const STATS_BUSY_MS = 1000;
const STATS_IDLE_MS = 3000;
const DRAW_MS = 200;
const EXTEND_MS = 10000;
const SPARK_POINTS = 60;
const FIELDS = ["total", "count", "limit", "lo", "split", "text"];
const FINISHED = new Set(["SETTLED", "CANCELLED"]);

const {room, token} = readSession();
let client = null;
let ticket = null;
let rains = []; // STATS' rows, newest first
let picked = null; // code chosen in the table
let balance = null;
let pendingBody = null; // CREATE's body on the confirm step
let statsTimer;
let lastTickAt = null;
let rate = 0;
const results = new Map(); // code → RED_PACKET_RESULT
const spark = [];
const busy = new Set(); // names of actions in flight
let redrawPill = () => {};

function serverNow() {
  return client?.serverNow() ?? null;
}

function current() {
  return rains.find((rain) => rain.code === picked)
    ?? rains.find((rain) => !FINISHED.has(rain.status)) ?? rains[0] ?? null;
}

// ---- figures ----

async function stats() {
  clearTimeout(statsTimer);
  if (client.state === "ready") {
    try {
      onStats(await client.request("STATS", {}));
    } catch (error) {
      if (error.name !== "DISCONNECTED") setText(byId("lag"), errorText(error));
    }
  }
  const idle = document.hidden
    || rains.every((rain) => FINISHED.has(rain.status) && books(rain).pending === 0);
  clearTimeout(statsTimer);
  statsTimer = setTimeout(stats, idle ? STATS_IDLE_MS : STATS_BUSY_MS);
}

function onStats(body) {
  const old = new Map(rains.map((rain) => [rain.code, rain]));
  rains = body.rains.map((rain) => {
    const before = old.get(rain.code);
    // A tick may have been newer than this answer; counts only grow.
    if (!before || FINISHED.has(rain.status)) return rain;
    return {
      ...rain, granted: Math.max(rain.granted, before.granted),
      granted_fen: Math.max(rain.granted_fen, before.granted_fen),
    };
  });
  rains.sort((a, b) => b.created_at - a.created_at);
  balance = body.balance ?? balance;
  showOnline(body.online);
  setText(byId("balance"), balance === null ? "–" : money(balance));
  setText(byId("lag"), Number.isFinite(body.lag_ms) ? `${Math.round(body.lag_ms)} ms` : "–");
  drawTable();
  draw();
  if (pendingBody === null) validate(false);
}

function showOnline(online) {
  setText(byId("online"), online);
  spark.push(online);
  if (spark.length > SPARK_POINTS) spark.shift();
  drawSpark(spark);
}

function onTick(tick) {
  const rain = rains.find((r) => r.code === tick.config_code);
  if (!rain || tick.granted < rain.granted) return;
  const at = tick.now;
  if (lastTickAt !== null && at > lastTickAt) {
    const fresh = ((tick.granted - rain.granted) * 1000) / (at - lastTickAt);
    rate = Math.round(rate * 0.6 + fresh * 0.4);
  }
  lastTickAt = at;
  rain.granted = tick.granted;
  rain.granted_fen = Math.max(rain.granted_fen, tick.granted_price);
  draw();
}

function draw() {
  const rain = current();
  const now = serverNow();
  const state = rain ? shownState(rain, now) : null;
  if (state !== "OPEN") {
    rate = 0;
    lastTickAt = null;
  }
  drawRain(rain, now, rate);
  drawResult(rain ? results.get(rain.code) : null);
}

function drawTable() {
  drawRains(rains, current()?.code, serverNow(), (code) => {
    picked = code;
    drawTable();
    draw();
  });
}

// ---- actions ----

/**
 * Runs one action at most once at a time; its button is disabled meanwhile. Failures are told,
 * never thrown.
 */
async function act(name, button, fn) {
  if (busy.has(name)) return false;
  busy.add(name);
  button.disabled = true;
  setText(byId("action-error"), "");
  try {
    await fn();
    return true;
  } catch (error) {
    const text = errorText(error);
    setText(byId("action-error"), text);
    logLine(t("log.failed", {text}), "bad");
    return false;
  } finally {
    busy.delete(name);
    button.disabled = false;
    if (client.state === "ready") stats();
  }
}

function ask(text, yes, kind = "danger") {
  const dialog = byId("ask");
  if (dialog.open) return Promise.resolve(false);
  byId("ask-yes").className = kind;
  setText(byId("ask-text"), text);
  setText(byId("ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {once: true}));
}

function rainAction(name, op, body, logKey) {
  const rain = current();
  if (!rain) return Promise.resolve(false);
  return act(name, byId(name), async () => {
    const reply = await client.request(op, {code: rain.code, ...body});
    Object.assign(rain, {
      status: reply.status ?? rain.status, open_at: reply.open_at ?? rain.open_at,
      end_at: reply.end_at ?? rain.end_at,
    });
    logLine(t(logKey));
    draw();
  });
}

async function start(event) {
  event.preventDefault();
  const body = checkStart(byId("f-countdown").value, byId("f-duration").value);
  if (!body) {
    setText(byId("action-error"), t("e.start"));
    return;
  }
  await rainAction("start", "START", body, "log.started");
}

// ---- create ----

function formValues() {
  return Object.fromEntries(FIELDS.map((name) => [name, byId(`f-${name}`).value]));
}

/** Shows what is wrong. Empty fields the anchor has not reached yet stay quiet unless all. */
function validate(all) {
  const values = formValues();
  const {errors, body, meanFen} = checkCreate(values, balance, money);
  for (const name of ["total", "count", "limit", "lo"]) {
    const show = errors[name] && (all || values[name] !== "");
    setText(byId(`e-${name}`), show ? t(...errors[name]) : "");
    byId(`f-${name}`).setAttribute("aria-invalid", String(Boolean(show)));
  }
  const key = values.split === "equal" ? "c.previewEqual" : "c.preview";
  setText(byId("preview"), meanFen !== null ? t(key, {mean: money(meanFen)}) : "");
  return body;
}

function toConfirm(event) {
  event.preventDefault();
  pendingBody = validate(true);
  if (!pendingBody) {
    byId("create-form").querySelector('[aria-invalid="true"]')?.focus();
    return;
  }
  setText(byId("confirm-sum"), money(pendingBody.total));
  const fact = (key, text) => el("div", {}, el("dt", {text: t(key)}), el("dd", {text}));
  byId("confirm-facts").replaceChildren(
    fact("c.count", String(pendingBody.count)),
    fact("c.limit", String(pendingBody.limit)),
    fact("c.split", t(`split.${pendingBody.split}`)),
    fact("c.lo", money(pendingBody.lo)),
    fact("c.text", plain(pendingBody.text || t("defaultBlessing"), 30)),
    fact("c.balance", balance === null ? "–" : money(balance)),
    fact("c.balanceAfter", balance === null ? "–" : money(balance - pendingBody.total)));
  showConfirm(true);
}

function showConfirm(on) {
  byId("create-form").hidden = on;
  byId("create-confirm").hidden = !on;
  if (on) byId("create-confirm").focus();
  else pendingBody = null;
}

async function create() {
  const button = byId("create-ok");
  const body = pendingBody;
  if (!body) return;
  setText(button, t("c.creating"));
  byId("create-back").disabled = true;
  await act("create", button, async () => {
    try {
      const reply = await client.request("CREATE", {biz_id: ticket.take(body), ...body});
      ticket.done();
      picked = reply.code;
      balance = reply.balance ?? balance;
      logLine(t("log.created", {total: money(reply.total)}));
      showConfirm(false);
    } catch (error) {
      // No answer is not a no: the same biz_id asks for the same rain.
      if (error.result === -1) logLine(t("c.retrySafe"));
      banner(`${errorText(error)} ${error.result === -1 ? t("c.retrySafe") : ""}`);
      throw error;
    }
  });
  byId("create-back").disabled = false;
  setText(button, t("c.createOk"));
}

function banner(text) {
  const node = byId("banner");
  setText(node, text);
  node.hidden = false;
  clearTimeout(banner.timer);
  banner.timer = setTimeout(() => {
    node.hidden = true;
  }, 8000);
}

function gate(titleKey, text) {
  setText(byId("gate-title"), t(titleKey));
  setText(byId("gate-text"), text);
  byId("gate").hidden = false;
}

// ---- wiring ----

function controls() {
  byId("lang").addEventListener("click", toggleLanguage);
  byId("create-form").addEventListener("submit", toConfirm);
  byId("create-form").addEventListener("input", () => validate(false));
  byId("create-back").addEventListener("click", () => showConfirm(false));
  byId("create-ok").addEventListener("click", create);
  byId("prepare").addEventListener("click", () =>
    rainAction("prepare", "PREPARE", {}, "log.prepared"));
  byId("start-form").addEventListener("submit", start);
  byId("extend").addEventListener("click", async () => {
    if (await ask(t("c.askExtend"), t("c.extend"), "primary")) {
      rainAction("extend", "EXTEND", {add_ms: EXTEND_MS}, "log.extended");
    }
  });
  byId("close").addEventListener("click", async () => {
    const rain = current();
    const left = money(books(rain).remain);
    if (await ask(t("c.askClose", {left}), t("c.close"))) {
      rainAction("close", "CLOSE", {}, "log.closed");
    }
  });
  byId("cancel").addEventListener("click", async () => {
    const total = money(current().total);
    if (await ask(t("c.askCancel", {total}), t("c.cancel"))) {
      rainAction("cancel", "CANCEL", {}, "log.cancelled");
    }
  });
  byId("announce-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("f-announce").value.trim();
    if (!text) return;
    act("announce", byId("announce"), async () => {
      await client.request("ANNOUNCE", {text});
      byId("f-announce").value = "";
      logLine(t("log.announced", {text}));
    });
  });
  onLanguage(() => {
    applyTexts();
    document.title = t("c.pageTitle", {room: plain(room ?? "", 24)});
    setText(byId("lang"), t("otherLanguage"));
    redrawPill();
    validate(false);
    if (pendingBody) showConfirm(true);
    drawTable();
    draw();
  });
}

function wire() {
  client.on("RED_PACKET_TICK", onTick);
  client.on("RED_PACKET_RESULT", (result) => {
    results.set(result.config_code, result);
    stats();
  });
  client.on("RED_PACKET_CONFIG", (config, meta) => {
    if (!meta.snapshot) stats();
  });
  client.on("RED_PACKET_END", (end, meta) => {
    if (!meta.snapshot) stats();
  });
  client.on("ROOM_COUNT", ({online}) => showOnline(online));
  client.on("SAY", ({name, text}) => logLine(t("log.chat", {name: plain(name, 24), text}), "chat"));
  client.on("snapshot", (snapshot) => {
    setText(byId("room-name"), plain(snapshot.room, 24));
    stats();
  });
  client.on("refused", (error) => gate("refusedTitle", error.text(language())));
  client.on("state", ({state, code}) => {
    if (state === "stopped") gate("stoppedTitle", t(`close.${code}`));
    else byId("gate").hidden = true;
  });
}

function main() {
  controls();
  if (!room) return gate("noRoomTitle", t("noRoomText"));
  if (!token) return gate("noTokenTitle", t("noTokenText"));
  ticket = new CreateTicket(sessionStorage, room);
  client = pageClient(token);
  redrawPill = connectionPill(client, byId("pill"), byId("pill-text"), t);
  wire();
  client.connect().catch(() => {}); // "state" tells
  client.join(room).catch(() => {}); // "refused" tells
  setInterval(draw, DRAW_MS);
}

main();

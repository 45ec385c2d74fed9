// The viewer page: waits for a rain, counts down with the server's clock, lets packets fall, grabs
// on a tap, and shows what the server told. All decisions about a rain are in rain-state.js.

import {byId, minutes, plain, setText} from "./dom.js";
import {fuPanel} from "./fu.js";
import {applyTexts, language, onLanguage, t} from "./i18n.js";
import {connectionPill, pageClient, readSession} from "./page.js";
import {proveRain} from "./proof-view.js";
import {Rain} from "./rain-state.js";
import {RainView} from "./rain-view.js";
import {sendPanel} from "./send-panel.js";
import {viewerControls} from "./viewer-controls.js";
import {addMessage, drawCard, drawMine, floatText, money, showOnline} from "./viewer-parts.js";

const COMBO_MS = 1300;
const ANNOUNCE_MS = 8000;
const FRAME_MS = 100;
const UNSETTLED_POLL_MS = 4000;
const GRAB_PAUSE_MS = 120;
const LIST_TRIES = 4;
const LIST_SPREAD_MS = 1500;
const COUNTS_SPOKEN = new Set([10, 5, 3, 2, 1]);
const COUNTS_HEARD = 5;
const GRANTS_PAGE = 100; // MY_GRANTS tells at most so many
/** An ended rain this old is history: a late joiner is not shown its card. */
const RESULT_FRESH_MS = 10 * 60 * 1000;

const {room, token} = readSession();
const rains = new Map(); // code → Rain
let current = null; // the Rain on the stage
let client = null;
let lastTap = {x: innerWidth / 2, y: innerHeight / 2};
let combo = {count: 0, until: 0};
let pausedUntil = 0; // the server asked to slow down
let spoken = null;
let heard = null;
let cardWasOpen = false;
let redrawPill = () => {};
let olderBefore = null; // `at` of the oldest packet listed, while there may be older ones

const view = new RainView({
  canvas: byId("sky"), drops: byId("drops"), grid: byId("grid"), onTap: (at) => tapped(at),
});
const controls = viewerControls({setReduced: (reduced) => view.setReduced(reduced)});

function serverNow() {
  return client?.serverNow() ?? null;
}

/** This user's id once HELLO was answered; kept over a reconnect. */
function myId() {
  return myId.value;
}

function rainOf(code) {
  let rain = rains.get(code);
  if (!rain) {
    rain = new Rain(code);
    rains.set(code, rain);
  }
  return rain;
}

/** The rain that matters now: an unfinished one first, else the latest. */
function chooseCurrent() {
  const now = serverNow();
  const known = [...rains.values()].filter((r) => r.config && !r.cancelled);
  known.sort((a, b) => a.config.open_at - b.config.open_at);
  const active = known.filter((r) => r.holdsStage(now));
  const rainFirst = active.find((r) => (r.config.kind ?? "rain") === "rain");
  current = rainFirst ?? active[0] ?? known.at(-1) ?? null;
}

// ---- grabbing ----

function tapped(at) {
  if (!current) return;
  lastTap = at;
  current.taps += 1;
  const ms = performance.now();
  combo = {count: ms < combo.until ? combo.count + 1 : 1, until: ms + COMBO_MS};
  controls.sound.play("tap");
  grab(current);
}

async function grab(rain) {
  if (!rain.mayGrab(serverNow()) || performance.now() < pausedUntil) return;
  pausedUntil = performance.now() + GRAB_PAUSE_MS;
  try {
    await client.grab(rain.code, () => {
      rain.confirming = true;
      draw();
    });
  } catch (error) {
    rain.confirming = false;
    if (error.retryAfterMs) pausedUntil = performance.now() + error.retryAfterMs;
    if (error.name === "NOT_ELIGIBLE") rain.notForMe = true;
    if (error.name === "NOT_ELIGIBLE") floatText(t("notEligible"), lastTap, "no");
    draw();
  }
}

function onGrab(answer) {
  const rain = rainOf(answer.code);
  const known = rain.grants.get(answer.seq)?.amount !== undefined;
  rain.onGrab(answer, serverNow() ?? undefined);
  if (answer.name === "OK" && !known) {
    floatText(`+${money(answer.amount)}`, lastTap);
    setText(byId("live-now"), t("sayWin", {amount: money(answer.amount)}));
    controls.sound.play("win");
    controls.buzz();
  }
  drawMine([...rains.values()], myId());
  draw();
}

/** Of one rain, or of all. False if the server was busy or gone: the next occasion asks again. */
async function loadGrants(code, before) {
  let grants;
  try {
    grants = await client.myGrants(code, {before});
  } catch {
    return false;
  }
  if (code === undefined && (before !== undefined || olderBefore === null)) {
    olderBefore = grants.length >= GRANTS_PAGE ? grants.at(-1).at : null;
    byId("mine-more").hidden = olderBefore === null;
  }
  for (const grant of grants) rainOf(grant.code).onGrant(grant);
  drawMine([...rains.values()], myId());
  draw();
  return true;
}

/** The whole list once, a little later: a crowd that comes at once must not ask at once. */
async function loadAllSoon() {
  if (loadAllSoon.done) return;
  loadAllSoon.done = true;
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let attempt = 0; attempt < LIST_TRIES; attempt++) {
    await wait(300 + Math.random() * LIST_SPREAD_MS * (attempt + 1));
    if (await loadGrants()) return;
  }
}

/** GRANT_SETTLED may have been missed: look after grants that stay unsettled. */
function pollUnsettled() {
  if (client?.state !== "ready" || document.hidden) return;
  for (const rain of rains.values()) {
    const open = [...rain.grants.values()]
      .some((g) => g.state === "confirming" || g.state === "pending");
    if (open) loadGrants(rain.code);
  }
}

// ---- drawing ----

function drawHud(rain, now) {
  setText(byId("remaining"), Math.max(0, Math.ceil((rain.config.end_at - now) / 1000)));
  setText(byId("hud-sum"), money(rain.wonFen));
  byId("remaining").parentElement.hidden = (rain.config.kind ?? "rain") !== "rain"; // a packet: hours
  const total = rain.config.total_count;
  const text = t("ticker", {granted: Math.min(rain.granted, total), total});
  setText(byId("ticker"), text);
  byId("bar-box").setAttribute("aria-label", text);
  byId("bar").style.transform = `scaleX(${Math.min(1, rain.granted / total)})`;
  setText(byId("hud-wait"), t(rain.recovering ? "recovering" : "grant.confirming"));
  byId("hud-wait").hidden = rain.confirmingCount === 0 && !rain.recovering;
  const live = performance.now() < combo.until && combo.count > 1;
  byId("combo").hidden = !live;
  if (live) setText(byId("combo"), t("combo", {n: combo.count}));
  byId("combo").dataset.heat = String(Math.min(3, Math.floor(combo.count / 5)));
}

function drawCountdown(rain, now) {
  const leftMs = Math.max(0, rain.config.open_at - now);
  const seconds = Math.ceil(leftMs / 1000);
  const long = seconds >= 100;
  byId("countdown").classList.toggle("long", long);
  setText(byId("countdown"), long ? minutes(seconds) : seconds);
  const span = Math.max(1, rain.config.countdown_ms || 5000);
  byId("dial-arc").style.strokeDashoffset = String(1 - Math.min(1, leftMs / span));
  setText(byId("blessing"), plain(rain.config.text || t("defaultBlessing"), 60));
  setText(byId("facts"), t("facts", {
    total: money(rain.config.total_price), count: rain.config.total_count, limit: rain.config.limit,
  }));
  if (COUNTS_SPOKEN.has(seconds) && spoken !== seconds) {
    spoken = seconds;
    setText(byId("live-polite"), seconds);
  }
  if (seconds <= COUNTS_HEARD && seconds > 0 && heard !== seconds) {
    heard = seconds;
    byId("countdown").dataset.beat = String(seconds % 2); // another name of the same beat restarts it
    controls.sound.play("count");
  }
}

function drawCardOf(rain, now, phase) {
  const fresh = rain && (!rain.config || now - rain.config.end_at < RESULT_FRESH_MS);
  const open = Boolean(rain && rain.isDone(now) && !rain.dismissed && fresh && phase !== "idle");
  byId("veil").hidden = !open;
  byId("app").classList.toggle("card-open", open);
  if (open) {
    drawCard(rain, myId());
    if (!cardWasOpen) {
      byId("card").focus({preventScroll: true});
      const {kind, count, wonFen} = rain.card();
      setText(byId("live-now"), `${t(`card.${kind}`)} ${count ? money(wonFen) : ""}`);
    }
  }
  cardWasOpen = open;
}

function draw() {
  chooseCurrent();
  const now = serverNow();
  const rain = current;
  const phase = rain && now !== null ? rain.phase(now) : "idle";
  const stage = byId("stage");
  if (stage.dataset.phase !== phase) {
    if (phase === "open") setText(byId("live-polite"), t("sayStart"));
    if (phase === "open" && heard !== null) controls.sound.play("start");
    if (phase === "over" && stage.dataset.phase === "open") controls.sound.play("end");
    spoken = null;
    heard = null;
    stage.dataset.phase = phase;
  }
  byId("hero-count").hidden = phase !== "countdown";
  byId("hud").hidden = phase !== "open";
  byId("hero-idle").hidden = phase === "countdown" || phase === "open";
  view.setRunning(phase === "open");
  if (phase === "countdown") drawCountdown(rain, now);
  if (phase === "open") drawHud(rain, now);
  const cancelled = !rain && [...rains.values()].some((r) => r.cancelled);
  setText(byId("idle-text"), t(phase === "over" ? "idleAfter" : cancelled ? "idleCancelled" : "idle"));
  byId("show-result").hidden = !(phase === "over" && rain.dismissed);
  drawCardOf(rain, now, phase);
}

// ---- events of the room ----

function onSnapshot(snapshot) {
  setText(byId("room-name"), plain(snapshot.room, 24));
  showOnline(snapshot.online);
  for (const [code, next] of Object.entries(snapshot.next ?? {})) {
    if (next > 0) loadGrants(code);
  }
  loadAllSoon();
}

function onAnnounce(payload) {
  const node = byId("announcement");
  setText(node, plain(payload.text, 120));
  node.hidden = false;
  clearTimeout(onAnnounce.timer);
  onAnnounce.timer = setTimeout(() => {
    node.hidden = true;
  }, ANNOUNCE_MS);
}

function wire() {
  const onRain = (name, method) => client.on(name, (payload) => {
    rainOf(payload.config_code)[method](payload);
    draw();
  });
  onRain("RED_PACKET_CONFIG", "onConfig");
  onRain("RED_PACKET_TICK", "onTick");
  onRain("RED_PACKET_STATE", "onState");
  onRain("RED_PACKET_END", "onEnd");
  onRain("RED_PACKET_RESULT", "onResult");
  client.on("RED_PACKET_CANCEL", ({config_code: code}) => {
    rainOf(code).cancelled = true;
    draw();
  });
  client.on("ROOM_COUNT", ({online}) => showOnline(online));
  client.on("GRANT_SETTLED", (grant) => {
    rainOf(grant.code).onGrant(grant);
    drawMine([...rains.values()], myId());
    draw();
  });
  client.on("grab", onGrab);
  client.on("pending", ({code}) => {
    rainOf(code).confirming = true;
    draw();
  });
  client.on("snapshot", onSnapshot);
  client.on("SAY", addMessage);
  client.on("ANNOUNCE", onAnnounce);
  client.on("INVITE", ({kind}) => addMessage({system: true, text: t("invited", {kind: t(`kind.${kind}`)})}));
  client.on("MUTED", ({secs}) => {
    if (secs > 0) addMessage({system: true, text: t("muted", {secs})});
  });
  client.on("refused", (error) => gate("refusedTitle", error.text(language())));
  client.on("state", ({state, code}) => {
    if (state === "stopped") gate("stoppedTitle", t(`close.${code}`));
    else byId("gate").hidden = true;
    byId("say-send").disabled = state !== "ready";
  });
}

function gate(titleKey, text) {
  setText(byId("gate-title"), t(titleKey));
  setText(byId("gate-text"), text);
  byId("gate").hidden = false;
}

// ---- controls ----

async function say(event) {
  event.preventDefault();
  const input = byId("say");
  const text = input.value.trim();
  if (!text) return;
  try {
    await client.request("SAY", {text});
    input.value = "";
  } catch (error) {
    const text = error.reason === "muted" ? t("mutedNow") : error.text(language());
    addMessage({system: true, text});
  }
}

function buttons() {
  byId("card-close").addEventListener("click", () => {
    current.dismissed = true;
    draw();
  });
  byId("prove").addEventListener("click", () => proveRain(current, draw));
  byId("show-result").addEventListener("click", () => {
    current.dismissed = false;
    draw();
  });
  const sheet = byId("mine");
  const closeSheet = () => {
    sheet.classList.remove("open");
    byId("mine-open").focus({preventScroll: true});
  };
  byId("mine-open").addEventListener("click", () => {
    sheet.classList.add("open");
    byId("mine-close").focus({preventScroll: true});
    if (client?.state === "ready") loadGrants();
  });
  byId("mine-close").addEventListener("click", () => closeSheet());
  document.addEventListener("pointerdown", (event) => { // beside the sheet
    if (sheet.classList.contains("open") && !sheet.contains(event.target) && byId("mine-open").offsetParent) closeSheet();
  });
  byId("mine-more").addEventListener("click", () => loadGrants(undefined, olderBefore));
  byId("say-form").addEventListener("submit", say);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (controls.closeMenu()) return;
      if (sheet.classList.contains("open")) closeSheet();
      else if (!byId("veil").hidden) byId("card-close").click();
    }
    const typing = event.target instanceof Element && event.target.closest("input, select, button, a, dialog");
    if ((event.key === " " || event.key === "Enter") && !typing && !event.repeat) {
      event.preventDefault();
      view.hitNext();
    }
  });
  onLanguage(() => {
    applyTexts();
    document.title = t("pageTitle", {room: plain(room ?? "", 24)});
    setText(byId("lang"), t("otherLanguage"));
    view.setPacketLabel(t("packet"));
    redrawPill();
    showOnline();
    drawMine([...rains.values()], myId());
    draw();
  });
}

function start() {
  buttons();
  if (!room) return gate("noRoomTitle", t("noRoomText"));
  if (!token) return gate("noTokenTitle", t("noTokenText"));
  client = pageClient(token);
  redrawPill = connectionPill(client, byId("pill"), byId("pill-text"), t);
  client.on("state", ({state}) => {
    if (state === "ready") myId.value = client.me.user;
  });
  wire();
  const panel = sendPanel(client, room);
  onLanguage(() => panel.redraw());
  const fu = fuPanel(client, room);
  onLanguage(() => fu.redraw());
  client.connect().catch(() => {}); // "state" tells
  client.join(room).catch(() => {}); // "refused" tells
  setInterval(draw, FRAME_MS);
  setInterval(pollUnsettled, UNSETTLED_POLL_MS);
}

start();

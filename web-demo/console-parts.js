// Parts of the console that only draw.

import {byId, el, minutes, plain, redraw, setText} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {books, shownState} from "./console-model.js";
import {formatFen} from "./money.js";

const STEPS = ["CREATED", "PREPARED", "OPEN", "CLOSING", "SETTLED"];
const LOG_MAX = 60;
const RAINS_MAX = 30;

/** ¥ in the page's language. */
export function money(fen) {
  return formatFen(fen, locale());
}

/** Adds a line to the log; others' words arrive as text. */
export function logLine(text, kind = "") {
  const list = byId("log");
  const time = new Date().toLocaleTimeString(locale(), {hour12: false});
  list.prepend(el("p", {class: kind}, el("time", {text: time}), el("bdi", {text: plain(text, 240)})));
  while (list.children.length > LOG_MAX) list.lastElementChild.remove();
}

/** A readable error with what the server added. */
export function errorText(error) {
  const parts = [error.text ? error.text(language()) : String(error)];
  if (error.field) parts.push(`(${error.field})`);
  if (error.reason) parts.push(`— ${error.reason}`);
  return parts.join(" ");
}

function drawBooks(rain) {
  const sums = books(rain);
  for (const name of ["settled", "pending", "remain", "refunded"]) {
    setText(byId(name), money(sums[name]));
    byId(`s-${name}`).style.flexGrow = String(Math.max(0, sums[name]) / Math.max(1, sums.total));
  }
  setText(byId("total"), money(sums.total));
  const tick = byId("tick");
  tick.hidden = !sums.balanced;
  setText(tick, t("c.balanced"));
}

function drawClock(rain, state, now) {
  const box = byId("live");
  let label = "c.clockIdle";
  let text = "–";
  if (state === "COUNTDOWN" || state === "OPEN") {
    const until = state === "OPEN" ? rain.end_at : rain.open_at;
    label = state === "OPEN" ? "c.clockEnd" : "c.clockOpen";
    const seconds = Math.max(0, Math.ceil((until - now) / 1000));
    text = seconds >= 60 ? minutes(seconds) : String(seconds);
  } else if (!["CREATED", "PREPARED"].includes(state)) {
    label = "c.clockOver";
    text = state === "CANCELLED" ? "–" : "✓";
  }
  box.dataset.state = state;
  setText(byId("clock-label"), t(label));
  setText(byId("clock"), text);
}

/** Draws the current rain; rain is STATS' row merged with newer pushes. */
export function drawRain(rain, now, rate) {
  byId("nothing").hidden = Boolean(rain);
  byId("live-body").hidden = !rain;
  if (!rain) {
    byId("live").dataset.state = "none";
    setText(byId("state"), "");
    setText(byId("code"), "");
    return;
  }
  const state = shownState(rain, now);
  setText(byId("state"), t(`st.${state}`));
  byId("state").dataset.state = state;
  setText(byId("code"), rain.code);
  drawClock(rain, state, now);
  setText(byId("granted"), rain.granted);
  setText(byId("count"), rain.count);
  setText(byId("rate"), rate);
  setText(byId("given"), money(rain.granted_fen));
  setText(byId("left-money"), money(books(rain).remain));
  byId("progress").style.transform = `scaleX(${rain.count ? Math.min(1, rain.granted / rain.count) : 0})`;
  drawBooks(rain);
  const reached = STEPS.indexOf(
    {COUNTDOWN: "PREPARED", ENDED: "OPEN", CANCELLED: "CREATED"}[state] ?? state);
  [...byId("steps").children].forEach((step, i) => {
    step.dataset.done = String(i < reached || state === "SETTLED");
    step.dataset.now = String(i === reached && state !== "SETTLED");
  });
  byId("prepare").hidden = state !== "CREATED";
  byId("start-form").hidden = state !== "PREPARED";
  byId("extend").hidden = state !== "OPEN";
  byId("close").hidden = state !== "OPEN";
  byId("cancel").hidden = !["CREATED", "PREPARED"].includes(state);
  byId("actions").dataset.empty = String(!["CREATED", "PREPARED", "OPEN"].includes(state));
}

/** 手气最佳 and the first of the list, once RESULT came. */
export function drawResult(result) {
  byId("after").hidden = !result;
  if (!result) return;
  redraw(byId("after"), [language(), result], () => drawResultNow(result));
}

function drawResultNow(result) {
  const name = (user) => t("userName", {user: plain(user, 20)});
  const {best, top = []} = result;
  setText(byId("best"), best ? t("best", {user: name(best.user), amount: money(best.amount)}) : "");
  byId("top").replaceChildren(...top.map(({user, amount}, i) => el("li", {},
    el("span", {class: "pos", text: String(i + 1)}), el("span", {class: "who", text: name(user)}),
    el("span", {class: "sum", text: money(amount)}))));
}

/** The table of this room's rains, newest first. onPick(code) shows one. */
export function drawRains(rains, currentCode, now, onPick) {
  byId("rains-empty").hidden = rains.length > 0;
  const shown = rains.slice(0, RAINS_MAX).map((rain) => ({rain, state: shownState(rain, now)}));
  redraw(byId("rains"), [language(), currentCode, shown],
    () => drawRainsNow(shown, currentCode, onPick));
}

function drawRainsNow(shown, currentCode, onPick) {
  byId("rains").replaceChildren(...shown.map(({rain, state}) => {
    const time = new Date(rain.created_at).toLocaleTimeString(locale(),
      {hour: "2-digit", minute: "2-digit", hour12: false});
    const pick = el("button", {type: "button", class: "pick", text: time});
    const row = el("tr", {
      "data-testid": "rain-row", "data-code": rain.code, "data-status": rain.status,
      class: rain.code === currentCode ? "self" : "",
    },
    el("td", {}, pick),
    el("td", {class: "blessing"}, el("bdi", {text: plain(rain.text || t("defaultBlessing"), 30)})),
    el("td", {}, el("span", {class: "state-chip", "data-state": state, text: t(`st.${state}`)})),
    el("td", {class: "num", text: `${rain.granted}/${rain.count}`}),
    el("td", {class: "num", text: money(rain.total)}),
    el("td", {class: "num", text: money(rain.refunded_fen)}));
    pick.addEventListener("click", () => onPick(rain.code));
    return row;
  }));
}

/** Viewers online over the last minutes. */
export function drawSpark(values) {
  const max = Math.max(1, ...values);
  const step = 90 / Math.max(1, values.length - 1);
  byId("spark").setAttribute("points",
    values.map((v, i) => `${(i * step).toFixed(1)},${(24 - (v / max) * 20).toFixed(1)}`).join(" "));
}

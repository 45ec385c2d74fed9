// The current rain: state, clock, figures, charts, books, and what may be done to it.

import {byId, el, minutes, plain, redraw, setText, shortId} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {lineChart} from "./console-chart.js";
import {books, checkStart, verdict} from "./console-model.js";
import {act, ask, logDone, money, timeText} from "./console-parts.js";
import {deliveredShare, errorShare, isOver} from "./console-store.js";

const STEPS = ["CREATED", "PREPARED", "OPEN", "CLOSING", "SETTLED"];
const STEP_OF = {COUNTDOWN: "PREPARED", ENDED: "OPEN", CANCELLED: "CREATED", SCHEDULED: "CREATED", RECOVERING: "OPEN"};
const CHECK_AGAIN_MS = 4000;

const percent = (share) => new Intl.NumberFormat(locale(), {style: "percent", maximumFractionDigits: share > 0.9999 || share === 0 ? 0 : 2}).format(share);

const count = (n) => n.toLocaleString(locale());

function drawBooks(rain, check) {
  const sums = books(rain);
  for (const name of ["settled", "pending", "remain", "refunded"]) {
    setText(byId(name), money(sums[name]));
    byId(`s-${name}`).style.flexGrow = String(Math.max(0, sums[name]) / Math.max(1, sums.total));
  }
  setText(byId("total"), money(sums.total));
  const word = verdict(rain, check);
  byId("sums").setAttribute("aria-label", t("c.sumLine", Object.fromEntries(Object.entries(sums)
    .filter(([name]) => name !== "balanced").map(([name, fen]) => [name, money(fen)]))));
  byId("tick").hidden = word !== "ok";
  if (word === "ok") setText(byId("tick"), t("check.ok", {time: timeText(check.at)}));
  const unticked = byId("unticked");
  unticked.hidden = word === "ok";
  unticked.dataset.verdict = word;
  setText(unticked, {wait: t("check.wait"), running: t("check.running"), bad: t("check.bad", {n: check?.findings || 1}), ok: ""}[word]);
}

function drawClock(rain, state, now) {
  let label = "c.clockIdle";
  let text = "–";
  const until = {COUNTDOWN: rain.open_at, OPEN: rain.end_at, RECOVERING: rain.end_at, SCHEDULED: rain.start_at}[state];
  if (until && now !== null) {
    label = {COUNTDOWN: "c.clockOpen", SCHEDULED: "c.clockStart"}[state] ?? "c.clockEnd";
    const seconds = Math.max(0, Math.ceil((until - now) / 1000));
    text = seconds >= 60 ? minutes(seconds) : String(seconds);
  } else if (!["CREATED", "PREPARED"].includes(state)) {
    label = "c.clockOver";
    text = state === "CANCELLED" ? "–" : "✓";
  }
  byId("live").dataset.state = state;
  setText(byId("clock-label"), t(label));
  setText(byId("clock"), text);
}

function drawActions(state, rain) {
  byId("prepare").hidden = state !== "CREATED";
  byId("start-form").hidden = state !== "PREPARED";
  byId("extend-box").hidden = state !== "OPEN";
  byId("close").hidden = state !== "OPEN";
  byId("cancel").hidden = !["CREATED", "PREPARED", "SCHEDULED", "COUNTDOWN"].includes(state);
  byId("actions").dataset.empty = String(!["CREATED", "PREPARED", "SCHEDULED", "COUNTDOWN", "OPEN"].includes(state));
  setText(byId("eligible"), ["enterprise", "personal"].includes(rain.kind) ? t("c.forUsers", {n: rain.count}) : t("c.forAll"));
}

function drawResult(result) {
  byId("after").hidden = !result;
  if (!result) return;
  redraw(byId("after"), [language(), result.config_code, result.best], () => {
    const name = (user) => t("userName", {user: shortId(user)});
    const {best, top = []} = result;
    setText(byId("best"), best ? t("best", {user: name(best.user), amount: money(best.amount)}) : "");
    byId("top").replaceChildren(...top.map(({user, amount}, i) => el("li", {},
      el("span", {class: "pos", text: String(i + 1)}), el("span", {class: "who", text: name(user)}),
      el("span", {class: "sum", text: money(amount)}))));
  });
}

function drawFigures(rain, store) {
  setText(byId("granted"), rain.granted);
  setText(byId("count"), rain.count);
  setText(byId("rate"), store.rate);
  const errors = errorShare(store.delivery);
  setText(byId("errors"), errors === null ? "–" : percent(errors));
  setText(byId("given"), money(rain.granted_fen));
  setText(byId("left-money"), money(books(rain).remain));
  byId("progress").style.transform = `scaleX(${rain.count ? Math.min(1, rain.granted / rain.count) : 0})`;
}

function drawRain(store, now) {
  const rain = store.current();
  byId("nothing").hidden = Boolean(rain);
  byId("live-body").hidden = !rain;
  if (!rain) {
    byId("live").dataset.state = "none";
    for (const id of ["state", "code", "kind"]) setText(byId(id), "");
    return;
  }
  const state = store.stateOf(rain, now);
  setText(byId("state"), t(`st.${state}`));
  byId("state").dataset.state = state;
  setText(byId("code"), rain.code);
  setText(byId("kind"), t(`kind.${rain.kind}`));
  drawClock(rain, state, now);
  drawFigures(rain, store);
  drawBooks(rain, store.checks.get(rain.code));
  const reached = STEPS.indexOf(STEP_OF[state] ?? state);
  [...byId("steps").children].forEach((step, i) => {
    step.dataset.done = String(i < reached || state === "SETTLED");
    step.dataset.now = String(i === reached && state !== "SETTLED");
  });
  drawActions(state, rain);
  drawResult(store.results.get(rain.code));
}

function drawVitals(store, client) {
  setText(byId("online"), count(store.online ?? "–"));
  setText(byId("balance"), store.balance === null ? "–" : money(store.balance));
  setText(byId("lag"), store.lagMs === null ? "–" : `${Math.round(store.lagMs)} ms`);
  const share = deliveredShare(store.delivery);
  setText(byId("delivery"), share === null ? "–" : percent(share));
  byId("delivery").title = store.delivery ? t("c.deliveryHint", store.delivery) : "";
  const {rttMs} = client.clock;
  setText(byId("rtt"), client.state === "ready" && Number.isFinite(rttMs) ? `${Math.max(1, Math.round(rttMs))} ms` : "");
}

/** Asks the checker about the rain on view once it is over; again later when it could not answer. */
function checker({client, store}) {
  let asking = false;
  let notBefore = 0;
  return async () => {
    const rain = store.current();
    if (!rain || !isOver(rain) || store.checks.has(rain.code) || asking || Date.now() < notBefore || client.state !== "ready") return;
    asking = true;
    notBefore = Date.now() + CHECK_AGAIN_MS;
    try {
      store.checks.set(rain.code, await client.request("CHECK", {code: rain.code}));
    } catch {
      // said as "verifying" until it is known
    } finally {
      asking = false;
    }
  };
}

function charts(store) {
  const pairs = [["online", "c.chartOnline", {color: "#ffd36b", fill: "rgba(255, 211, 107, .14)"}],
    ["rate", "c.chartRate", {color: "#ff7d6b", fill: "rgba(255, 90, 80, .18)"}]].map(([name, key, look]) =>
    ({name, key, plot: lineChart(byId(`chart-${name}`), {...look, locale})}));
  return () => {
    for (const {name, key, plot} of pairs) {
      const values = store.series[name];
      const now = values.at(-1) ?? 0;
      plot.update(store.series.t, values);
      setText(byId(`chart-${name}-now`), count(now));
      byId(`chart-${name}`).setAttribute("aria-label", t("c.chartSay", {name: t(key), now, max: Math.max(0, ...values)}));
    }
  };
}

function wireActions({client, store, refresh}) {
  const error = byId("action-error");
  const step = (name, op, body, key) => {
    const rain = store.current();
    if (!rain) return Promise.resolve(null);
    return act(name, byId(name), error, async () => {
      const reply = await client.request(op, {code: rain.code, ...body});
      logDone(t(key), reply);
      return reply;
    }).finally(refresh);
  };
  byId("prepare").addEventListener("click", () => step("prepare", "PREPARE", {}, "log.prepared"));
  byId("start-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const body = checkStart(byId("f-countdown").value, byId("f-duration").value);
    if (body) step("start", "START", body, "log.started");
    else setText(error, t("e.start"));
  });
  byId("extend").addEventListener("click", async () => {
    const secs = Number(byId("f-extend").value);
    if (await ask(t("c.askExtend", {secs}), t("c.extend"), "primary")) step("extend", "EXTEND", {add_ms: secs * 1000}, "log.extended");
  });
  byId("close").addEventListener("click", async () => {
    const left = money(books(store.current()).remain);
    if (await ask(t("c.askClose", {left}), t("c.close"))) step("close", "CLOSE", {}, "log.closed");
  });
  byId("cancel").addEventListener("click", async () => {
    const total = money(store.current().total);
    if (await ask(t("c.askCancel", {total}), t("c.cancel"))) step("cancel", "CANCEL", {}, "log.cancelled");
  });
}

export function mountLive(ctx) {
  const {store, client} = ctx;
  wireActions(ctx);
  const drawCharts = charts(store);
  const check = checker(ctx);
  ctx.onDraw(() => {
    drawVitals(store, client);
    drawRain(store, ctx.now());
  });
  ctx.onLanguage(drawCharts);
  ctx.onSecond(() => {
    drawCharts();
    check();
  });
}

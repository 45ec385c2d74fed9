// Tabs by pointer and by arrow keys, and the table of this room's rains.

import {byId, el, plain, redraw} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {money} from "./console-parts.js";

const TABS = ["rains", "winners", "audit"];
const RAINS_MAX = 50;

export function showTab(name, focus = false) {
  for (const tab of TABS) {
    const on = tab === name;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(on));
    byId(`tab-${tab}`).tabIndex = on ? 0 : -1;
    byId(`pane-${tab}`).hidden = !on;
    if (on && focus) byId(`tab-${tab}`).focus();
  }
}

function drawRains(ctx) {
  const {store} = ctx;
  const now = ctx.now();
  const code = store.current()?.code;
  const shown = store.rains.slice(0, RAINS_MAX).map((rain) => ({rain, state: store.stateOf(rain, now)}));
  byId("rains-empty").hidden = shown.length > 0;
  redraw(byId("rains"), [language(), code, shown], () => byId("rains").replaceChildren(...shown.map(({rain, state}) => {
    const time = new Date(rain.created_at).toLocaleTimeString(locale(), {hour: "2-digit", minute: "2-digit", hour12: false});
    const pick = el("button", {type: "button", class: "pick", text: time});
    const row = el("tr", {
      "data-testid": "rain-row", "data-code": rain.code, "data-status": rain.status,
      class: rain.code === code ? "self" : "",
    },
    el("td", {}, pick),
    el("td", {class: "blessing"}, el("bdi", {text: plain(rain.text || t("defaultBlessing"), 30)})),
    el("td", {}, el("span", {class: "state-chip", "data-state": state, text: t(`st.${state}`)})),
    el("td", {class: "num", text: `${rain.granted}/${rain.count}`}),
    el("td", {class: "num", text: money(rain.total)}),
    el("td", {class: "num", text: money(rain.refunded_fen)}));
    pick.addEventListener("click", () => {
      store.picked = rain.code;
      ctx.draw();
    });
    return row;
  })));
}

export function mountTabs(ctx) {
  TABS.forEach((name, i) => {
    const node = byId(`tab-${name}`);
    node.addEventListener("click", () => {
      showTab(name);
      ctx.draw();
    });
    node.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!step) return;
      event.preventDefault();
      showTab(TABS[(i + step + TABS.length) % TABS.length], true);
      ctx.draw();
    });
  });
  ctx.onDraw(() => drawRains(ctx));
}

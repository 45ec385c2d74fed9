// Who did what in this room, newest first.

import {byId, el, plain, redraw, setText} from "./dom.js";
import {language, t} from "./i18n.js";
import {parseDetail} from "./console-model.js";
import {money, timeText} from "./console-parts.js";

const ROWS_MAX = 500;

/** The detail of a row in words; what somebody typed stays text. */
export function detailText({action, detail}) {
  const of = parseDetail(detail);
  switch (action) {
    case "CREATE": return t("detail.CREATE", {total: money(Number(of.total)), count: of.count, limit: of.limit});
    case "FU_CREATE": return t("detail.FU_CREATE", {pool: money(Number(of.pool))});
    case "START": return t("detail.START", {countdown: Math.round(Number(of.countdown_ms) / 1000)});
    case "EXTEND": return t("detail.EXTEND", {secs: Math.round(Number(of.add_ms) / 1000)});
    case "KICK": case "MUTE": return t("detail.user", {user: of.user, secs: of.secs});
    default: return detail;
  }
}

export function mountAudit(ctx) {
  const {client} = ctx;
  let rows = [];
  let more = false;

  async function load(before) {
    if (client.state !== "ready") return;
    try {
      const page = (await client.request("AUDIT", before ? {before} : {})).rows;
      rows = before ? [...rows, ...page].slice(0, ROWS_MAX) : page;
      more = page.length === 50 && rows.length < ROWS_MAX;
      draw();
    } catch {
      // shown as it was; the button is there
    }
  }

  const who = (user) => {
    if (user === null) return t("who.platform");
    return user === client.me?.user ? t("who.me") : t("userName", {user});
  };

  function draw() {
    redraw(byId("audit"), [language(), client.me?.user, rows], () => byId("audit").replaceChildren(...rows.map((row) =>
      el("tr", {"data-testid": "audit-row", "data-action": row.action, "data-result": row.result},
        el("td", {class: "soft", text: `#${row.id}`}), el("td", {text: timeText(row.at)}), el("td", {text: who(row.user)}),
        el("td", {text: t(`act.${row.action}`)}),
        el("td", {class: "blessing"}, el("bdi", {text: plain(detailText(row), 80)})),
        el("td", {class: row.result === "OK" ? "good" : "bad", text: row.result === "OK" ? "✓" : row.result || t("act.unknown")})))));
    byId("audit-empty").hidden = rows.length > 0;
    byId("audit-older").hidden = !more;
  }

  byId("audit-refresh").addEventListener("click", () => load());
  byId("audit-older").addEventListener("click", () => load(rows.at(-1)?.id));
  let open = false;
  ctx.onDraw(() => {
    const now = !byId("pane-audit").hidden;
    if (now && !open) load();
    open = now;
    if (now) draw();
  });
  ctx.onAction(() => open && load());
  setText(byId("audit-empty"), t("c.rainsEmpty"));
}

// Who got the packets of the rain on view: page by page, one user, or all of them as CSV.

import {byId, el, redraw, setText} from "./dom.js";
import {language, t} from "./i18n.js";
import {csvOf, fileName} from "./csv.js";
import {act, money, timeText} from "./console-parts.js";
import {yuanDigits} from "./money.js";

const PAGE = 50;
const CSV_PAGE = 500;
const PAUSE_MAX_MS = 2000;
const USER = /^[1-9]\d{0,18}$/;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(PAUSE_MAX_MS, ms)));

/** Asks again when the server says "too fast". */
async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!["RATE_LIMITED", "BUSY"].includes(error.name)) throw error;
      await pause(error.retryAfterMs ?? 200);
    }
  }
}

const after = (next) => (next ? {after_shard: next.shard, after_no: next.no} : {});

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], {type: "text/csv;charset=utf-8"}));
  const link = el("a", {href: url, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export function mountWinners(ctx) {
  const {client, store} = ctx;
  const pages = [null]; // the place each page begins after
  let of = null; // code
  let user = null;
  let shown = {rows: [], next: null};
  const error = byId("winners-empty");

  async function load() {
    const code = of;
    if (!code || client.state !== "ready") return;
    try {
      const place = user ? {user} : {limit: PAGE, ...after(pages.at(-1))};
      const {winners, next} = await patiently(() => client.request("WINNERS", {code, ...place}));
      if (code !== of) return;
      shown = {rows: winners, next};
    } catch {
      shown = {rows: [], next: null};
    }
    draw();
  }

  function reset() {
    pages.length = 0;
    pages.push(null);
    load();
  }

  function draw() {
    const {rows, next} = shown;
    redraw(byId("winners"), [language(), of, rows], () => byId("winners").replaceChildren(...rows.map((row) =>
      el("tr", {"data-testid": "winner", "data-user": row.user, "data-amount": String(row.amount)},
        el("td", {}, el("bdi", {text: t("userName", {user: row.user})})),
        el("td", {class: "num gold", text: money(row.amount)}),
        el("td", {text: t(`grant.${row.state}`)}), el("td", {text: timeText(row.at)}),
        el("td", {class: "soft", text: `${row.shard}-${row.no}`})))));
    setText(error, rows.length ? "" : t(of ? "c.winnersEmpty" : "c.winnersPick"));
    error.hidden = rows.length > 0;
    setText(byId("winners-page"), t("c.page", {n: pages.length}));
    byId("winners-prev").disabled = pages.length < 2;
    byId("winners-next").disabled = !next;
    byId("winners-clear").hidden = !user;
    byId("winners-csv").disabled = !of;
  }

  async function exportCsv() {
    const code = of;
    const button = byId("winners-csv");
    await act("csv", button, byId("action-error"), async () => {
      const rows = [["user", "amount_yuan", "state", "granted_at", "shard", "no", "code", "blessing"]];
      const text = store.rains.find((rain) => rain.code === code)?.text ?? "";
      for (let next = null, first = true; first || next; first = false) {
        const page = await patiently(() => client.request("WINNERS", {code, limit: CSV_PAGE, ...after(next)}));
        for (const w of page.winners) {
          rows.push([w.user, yuanDigits(w.amount), w.state, new Date(w.at).toISOString(), w.shard, w.no, code, text]);
        }
        next = page.next;
        setText(button, t("c.csvRunning", {n: rows.length - 1}));
      }
      save(`${fileName("winners", ctx.room, code)}.csv`, csvOf(rows));
    });
    setText(button, t("c.csv"));
  }

  byId("winners-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("f-search").value.trim();
    const ok = text === "" || USER.test(text);
    byId("f-search").setAttribute("aria-invalid", String(!ok));
    if (!ok) return;
    user = text || null;
    reset();
  });
  byId("winners-clear").addEventListener("click", () => {
    byId("f-search").value = "";
    user = null;
    reset();
    byId("f-search").focus();
  });
  byId("winners-prev").addEventListener("click", () => {
    if (pages.length > 1) pages.pop();
    load();
  });
  byId("winners-next").addEventListener("click", () => {
    if (!shown.next) return;
    pages.push(shown.next);
    load();
  });
  byId("winners-csv").addEventListener("click", exportCsv);

  let seen = "";
  ctx.onDraw(() => {
    if (byId("pane-winners").hidden) return;
    const rain = store.current();
    const key = rain ? `${rain.code} ${rain.status}` : "";
    if (key !== seen) { // another rain, or this one is settled now
      seen = key;
      of = rain?.code ?? null;
      reset();
    }
    draw();
  });
}

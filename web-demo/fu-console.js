// 集五福 in the anchor's console: a button in the head, and behind it the running campaign or the form for a new one. What the form
// means is in fu-create.js.

import {CreateTicket} from "./console-model.js";
import {byId, el, minutes, plain, setText} from "./dom.js";
import {STOCK, WEIGHTS, fuBody} from "./fu-create.js";
import {CARDS} from "./fu-model.js";
import {language, locale, onLanguage, t} from "./i18n.js";
import {formatFen} from "./money.js";

const TICK_MS = 1000;
const LOAD_MS = 3000;
const SURE_MS = 4000;
const FIELDS = ["pool", "minutes", "winners", "draws"];

const money = (fen) => formatFen(fen, locale());

function build() {
  const node = (tag, id, props = {}, ...children) => el(tag, {id: `fuc-${id}`, "data-testid": `fuc-${id}`, ...props}, ...children);
  const field = (id, key, control) => el("label", {class: "field"}, el("span", {"data-text": key}), control);
  const input = (id, value, props = {}) => node("input", id, {value, inputmode: "numeric", maxlength: "15", "aria-describedby": "fuc-error", ...props});
  const open = node("button", "open", {type: "button", class: "ghost small"});
  const row = (n, i) => el("tr", {},
    el("th", {scope: "row", id: `fuc-k-${n}`, "data-text": `fu.${n}`}),
    el("td", {}, node("input", `weight-${n}`, {"aria-labelledby": `fuc-k-${n} fuc-h-weight`, value: String(WEIGHTS[i] / 100), inputmode: "decimal", maxlength: "5"})),
    el("td", {}, node("input", `stock-${n}`, {"aria-labelledby": `fuc-k-${n} fuc-h-stock`, value: String(STOCK[i]), inputmode: "numeric", maxlength: "8"})));
  const dialog = node("dialog", "sheet", {class: "fuc-sheet", "aria-labelledby": "fuc-title"},
    el("div", {class: "top"}, el("h2", {id: "fuc-title", "data-text": "fu.title"}), node("button", "close", {type: "button", class: "ghost"}, "×")),
    node("section", "running", {},
      el("p", {class: "now"}, node("b", "state"), el("bdi", {id: "fuc-text-now"})),
      el("dl", {},
        el("div", {}, el("dt", {"data-text": "fu.pool"}), node("dd", "pool-now")),
        el("div", {}, el("dt", {"data-text": "fu.joined"}), node("dd", "joined")),
        el("div", {}, el("dt", {"data-text": "fu.shareIn"}), node("dd", "left-now"))),
      el("table", {}, el("thead", {}, el("tr", {}, ...["cards", "weight", "stock", "left"].map((k) => el("th", {scope: "col", "data-text": `fu.c.${k}`})))), node("tbody", "stock-now")),
      node("button", "cancel", {type: "button", class: "danger"})),
    node("form", "form", {autocomplete: "off", novalidate: ""},
      el("h3", {"data-text": "fu.c.form"}),
      field("pool", "fu.c.pool", input("pool", "100.00", {inputmode: "decimal"})),
      field("minutes", "fu.c.minutes", input("minutes", "60")),
      field("split", "fu.c.split", node("select", "split", {}, el("option", {value: "double-mean", "data-text": "fu.c.lucky"}), el("option", {value: "equal", "data-text": "fu.c.equal"}))),
      field("winners", "fu.c.winners", input("winners", "")),
      field("draws", "fu.c.draws", input("draws", "5")),
      field("text", "fu.c.text", node("input", "text", {maxlength: "40"})),
      el("table", {}, el("thead", {}, el("tr", {}, ...["cards", "weight", "stock"].map((k) => el("th", {scope: "col", id: `fuc-h-${k}`, "data-text": `fu.c.${k}`})))), el("tbody", {}, ...CARDS.map(row))),
      node("button", "go", {type: "submit", class: "primary"})),
    node("p", "error", {class: "error", role: "alert"}),
    node("p", "said", {class: "said", role: "status"}));
  byId("lang").before(open);
  document.body.append(dialog);
  return {open, dialog};
}

/** @param {object} client the console's client */
export function fuConsole(client, room) {
  const {open, dialog} = build();
  const ticket = new CreateTicket(sessionStorage, `fu.${room}`);
  let campaign = null; // the last FU_MINE
  let confirmed = null; // {key, body}: what a second press begins
  let sure = 0; // until when a second press gives up
  let busy = false;
  let timer;

  const typed = () => ({
    ...Object.fromEntries([...FIELDS, "split", "text"].map((name) => [name, byId(`fuc-${name}`).value])),
    weights: CARDS.map((n) => byId(`fuc-weight-${n}`).value), stock: CARDS.map((n) => byId(`fuc-stock-${n}`).value),
  });
  const isOpen = () => campaign?.state === "OPEN" || campaign?.state === "SHARING";

  function drawRunning(now) {
    const seconds = now === null ? 0 : Math.max(0, Math.ceil((campaign.share_at - now) / 1000));
    const over = {SHARED: t("fu.shared", {n: campaign.winners, pool: money(campaign.pool)}), GIVEN_BACK: t("fu.back"),
      FAILED: t("fu.c.failed", {why: plain(campaign.reason ?? "", 64)}), SHARING: t("fu.sharing")};
    setText(byId("fuc-state"), over[campaign.state] ?? t("fu.c.running"));
    setText(byId("fuc-pool-now"), money(campaign.pool));
    setText(byId("fuc-left-now"), campaign.state === "OPEN" ? minutes(seconds) : "–");
    setText(byId("fuc-text-now"), plain(campaign.text, 60));
    setText(byId("fuc-joined"), t("fu.c.joined", {n: campaign.winners, max: campaign.winners_max}));
    byId("fuc-stock-now").replaceChildren(...CARDS.map((n, i) => el("tr", {"data-card": n},
      el("th", {scope: "row", text: t(`fu.${n}`)}), ...[campaign.weights[i] / 100, campaign.stock?.[i], campaign.left?.[i]].map((v) => el("td", {text: v === undefined ? "–" : v.toLocaleString(locale())})))));
    byId("fuc-running").dataset.state = campaign.state;
    byId("fuc-cancel").hidden = campaign.state !== "OPEN" || campaign.winners > 0;
    byId("fuc-cancel").disabled = busy;
    setText(byId("fuc-cancel"), t(performance.now() < sure ? "fu.c.cancelSure" : "fu.c.cancel"));
  }

  function draw() {
    setText(open, t("fu.title"));
    if (!dialog.open) return;
    for (const node of dialog.querySelectorAll("[data-text]")) setText(node, t(node.dataset.text));
    byId("fuc-close").setAttribute("aria-label", t("close"));
    byId("fuc-running").hidden = !campaign;
    byId("fuc-form").hidden = isOpen();
    byId("fuc-go").disabled = busy;
    setText(byId("fuc-go"), confirmed ? t("fu.c.confirm", {pool: money(confirmed.body.pool)}) : t("fu.c.next"));
    if (campaign) drawRunning(client.serverNow());
  }

  async function load() {
    clearTimeout(timer);
    if (!dialog.open) return;
    try {
      campaign = await client.request("FU_MINE", {});
    } catch (error) {
      if (error.name === "NOT_FOUND") campaign = null;
    }
    draw();
    clearTimeout(timer);
    timer = setTimeout(load, LOAD_MS);
  }

  async function ask(name, body, then) {
    if (busy) return;
    busy = true;
    setText(byId("fuc-error"), "");
    draw();
    try {
      then(await client.request(name, body));
    } catch (error) {
      setText(byId("fuc-error"), error.reason?.includes("wallet") ? t("fu.c.noMoney") : `${error.text(language())}${error.reason ? ` (${plain(error.reason, 80)})` : ""}`);
    }
    busy = false;
    await load();
  }

  /** The first press shows the sum, the second one of the same form begins. */
  function submit(event) {
    event.preventDefault();
    const values = typed();
    const {body, errors} = fuBody(values, client.serverNow() ?? Date.now());
    for (const name of FIELDS) byId(`fuc-${name}`).setAttribute("aria-invalid", String(Boolean(errors[name])));
    setText(byId("fuc-said"), "");
    const [first] = Object.values(errors);
    setText(byId("fuc-error"), first ? t(first) : "");
    if (!body) {
      dialog.querySelector('[aria-invalid="true"]')?.focus();
      return;
    }
    const key = JSON.stringify(values);
    if (confirmed?.key !== key) {
      confirmed = {key, body};
      draw();
      return;
    }
    // No answer is not a no: the same body and biz_id are the same campaign.
    const asked = confirmed.body;
    ask("FU_CREATE", {biz_id: ticket.take(asked), ...asked}, () => {
      ticket.done();
      confirmed = null;
      setText(byId("fuc-said"), t("fu.c.done", {pool: money(asked.pool)}));
    });
  }

  function cancel() {
    if (performance.now() >= sure) {
      sure = performance.now() + SURE_MS;
      draw();
      return;
    }
    sure = 0;
    ask("FU_CANCEL", {code: campaign.code}, () => setText(byId("fuc-said"), t("fu.c.cancelled")));
  }

  open.addEventListener("click", () => {
    dialog.showModal();
    draw();
    load();
  });
  byId("fuc-form").addEventListener("submit", submit);
  byId("fuc-form").addEventListener("input", () => {
    confirmed = null;
    draw();
  });
  byId("fuc-cancel").addEventListener("click", cancel);
  byId("fuc-close").addEventListener("click", () => dialog.close());
  client.on("FU_CAMPAIGN", () => load());
  onLanguage(draw);
  setInterval(draw, TICK_MS);
}

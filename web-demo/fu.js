// 集五福 on the viewer page: a button on the stage while the room has a campaign, and the sheet behind it. Asks nothing of the server
// until somebody opens the sheet. What is known is in fu-model.js.

import {CreateTicket} from "./console-model.js";
import {byId, el, minutes, plain, setText} from "./dom.js";
import {CARDS, EVENTS, FuModel} from "./fu-model.js";
import {language, locale, t} from "./i18n.js";
import {money} from "./viewer-parts.js";

const TICK_MS = 500;
const DAY_S = 24 * 3600;

const byName = (name) => t(`fu.${name}`);

function duration(seconds) {
  return seconds >= DAY_S ? `${Math.floor(seconds / DAY_S)}d ${minutes(Math.floor((seconds % DAY_S) / 60))}` : minutes(seconds);
}

/** The elements, made once; their texts are set by draw(). */
function build() {
  const node = (tag, id, props = {}, ...children) => el(tag, {id: `fu-${id}`, "data-testid": `fu-${id}`, ...props}, ...children);
  const open = node("button", "open", {type: "button", class: "fu-open"}, el("b", {text: "福", "aria-hidden": "true"}), el("i", {id: "fu-open-label", "aria-hidden": "true"}), el("span", {class: "sr", id: "fu-open-text"}));
  open.hidden = true;
  const card = (n) => el("button", {
    type: "button", class: "fu-card", "data-card": n, "data-testid": `fu-card-${n}`, "aria-pressed": "false",
  }, el("span", {class: "glyph"}), el("span", {class: "sr"}), el("span", {class: "count"}));
  const event = (name) => el("li", {"data-event": name},
    el("span", {class: "what"}), el("button", {type: "button", class: "gold small", "data-testid": `fu-draw-${name}`}));
  const sheet = node("dialog", "sheet", {class: "send-sheet fu-sheet", "aria-labelledby": "fu-title"},
    el("div", {class: "fu-head"}, node("button", "close", {type: "button", class: "fu-close"}, "×"), el("h2", {id: "fu-title"}), el("bdi", {id: "fu-text", class: "blessing"}), el("p", {id: "fu-lead"})),
    el("dl", {class: "fu-facts"},
      el("div", {}, el("dt", {id: "fu-pool-label"}), node("dd", "pool")),
      el("div", {}, el("dt", {id: "fu-joined-label"}), node("dd", "winners")),
      el("div", {}, el("dt", {id: "fu-share-label"}), node("dd", "share"))),
    node("div", "cards", {class: "fu-cards", role: "group"}, ...CARDS.map(card)),
    node("p", "said", {class: "fu-said", role: "status"}),
    node("p", "error", {class: "error", role: "alert"}),
    node("button", "join", {type: "button", class: "gold"}),
    node("p", "end", {class: "fu-end"}),
    el("div", {id: "fu-running"},
      node("p", "draws"),
      el("ul", {class: "fu-events"}, ...EVENTS.map(event)),
      el("details", {class: "fu-give"},
        el("summary", {id: "fu-give-title", "data-testid": "fu-give-title"}),
        el("form", {id: "fu-give-form", autocomplete: "off", novalidate: ""},
          el("label", {}, el("span", {id: "fu-give-card-label"}), node("select", "give-card", {}, ...CARDS.map((n) => el("option", {value: n})))),
          el("label", {}, el("span", {id: "fu-give-to-label"}), node("input", "give-to", {inputmode: "numeric", maxlength: "19", "aria-describedby": "fu-error"})),
          el("div", {class: "row"}, node("button", "give-go", {type: "submit", class: "gold small"}))))),
    node("button", "packet", {type: "button", class: "gold"}),
    node("p", "odds", {class: "fu-odds"}));
  byId("stage").append(open);
  document.body.append(sheet);
  return {open, sheet};
}

/**
 * @param {object} client the page's client
 * @param {string} room
 * @returns {{redraw: function}} to be called after a change of language
 */
export function fuPanel(client, room) {
  const model = new FuModel();
  const {open, sheet} = build();
  const ticket = new CreateTicket(sessionStorage, `fu.${room}`);
  const now = () => client.serverNow();
  let said = () => "";
  let failed = () => "";
  let busy = false;

  function drawCards() {
    for (const n of CARDS) {
      const node = sheet.querySelector(`[data-card="${n}"]`);
      const held = model.held[n - 1];
      node.dataset.held = model.joined ? "in" : String(Math.min(held, 2)); // handed in: they stay to be seen
      setText(node.querySelector(".glyph"), t(`fu.${n}`));
      setText(node.querySelector(".count"), held);
      setText(node.querySelector(".sr"), t(held ? "fu.has" : "fu.hasNone"));
      node.setAttribute("aria-pressed", String(byId("fu-give-card").value === String(n)));
      setText(byId("fu-give-card").options[n - 1], `${t(`fu.${n}`)} ×${held}`);
    }
  }

  function drawEvents() {
    for (const name of EVENTS) {
      const state = model.eventState(name, now());
      const row = sheet.querySelector(`[data-event="${name}"]`);
      const button = row.querySelector("button");
      row.dataset.state = state;
      setText(row.querySelector(".what"), t(`fu.event.${name}`));
      setText(button, t(state === "ready" ? "fu.event.draw" : `fu.event.${state}`));
      button.disabled = busy || state !== "ready" || model.drawsLeft === 0;
    }
    setText(byId("fu-draws"), t("fu.draws", {n: model.drawsLeft}));
  }

  function endText() {
    const c = model.campaign;
    if (c.state === "GIVEN_BACK") return t("fu.back");
    if (c.state === "FAILED") return t("fu.failed");
    if (c.state === "SHARED") return `${t("fu.shared", {n: c.winners.toLocaleString(locale()), pool: money(c.pool)})}\n${model.joined ? t("fu.openPacket") : ""}`;
    if (!model.isRunning(now())) return t("fu.sharing");
    return model.joined ? t("fu.isIn") : model.missing ? t("fu.missing", {n: model.missing}) : "";
  }

  function drawSheet() {
    const c = model.campaign;
    const left = now() === null ? 0 : Math.max(0, Math.ceil((c.share_at - now()) / 1000));
    setText(byId("fu-title"), t("fu.title"));
    setText(byId("fu-text"), plain(c.text ?? "", 60));
    setText(byId("fu-lead"), t("fu.lead"));
    setText(byId("fu-pool-label"), t("fu.pool"));
    setText(byId("fu-pool"), money(c.pool));
    setText(byId("fu-joined-label"), t("fu.joined"));
    setText(byId("fu-winners"), c.winners.toLocaleString(locale()));
    setText(byId("fu-share-label"), t("fu.shareIn"));
    setText(byId("fu-share"), model.isRunning(now()) ? duration(left) : "–");
    drawCards();
    drawEvents();
    setText(byId("fu-said"), said());
    setText(byId("fu-error"), failed());
    const end = endText();
    setText(byId("fu-end"), end);
    byId("fu-end").hidden = !end;
    setText(byId("fu-join"), t("fu.join"));
    byId("fu-join").hidden = !model.isRunning(now()) || model.joined;
    byId("fu-join").disabled = busy || !model.mayJoin(now());
    byId("fu-running").hidden = !model.isRunning(now());
    setText(byId("fu-give-title"), t("fu.give"));
    setText(byId("fu-give-card-label"), t("fu.giveCard"));
    setText(byId("fu-give-to-label"), t("fu.giveTo"));
    setText(byId("fu-give-go"), t("fu.giveGo"));
    byId("fu-give-go").disabled = busy;
    setText(byId("fu-odds"), t("fu.odds", {list: CARDS.map((n) => `${t(`fu.${n}`)} ${c.weights[n - 1] / 100}%`).join(" · ")}));
    setText(byId("fu-packet"), t("fu.toPacket"));
    byId("fu-packet").hidden = c.state !== "SHARED" || !model.joined;
    byId("fu-odds").hidden = !model.isRunning(now());
    byId("fu-close").setAttribute("aria-label", t("close"));
  }

  function draw() {
    open.hidden = !model.isShown(now());
    if (sheet.open) drawSheet();
    if (open.hidden) return;
    setText(byId("fu-open-label"), t("fu.title"));
    setText(byId("fu-open-text"), model.isOpen ? t("fu.open", {pool: money(model.campaign.pool)}) : t("fu.openShared"));
    open.dataset.ready = String(model.mayJoin(now()));
  }

  async function load() {
    try {
      model.onMine(await client.request("FU_MINE", {}));
      draw();
    } catch (error) {
      if (error.retryAfterMs && sheet.open) setTimeout(load, error.retryAfterMs);
    }
  }

  const refusal = (error, own = {}) => {
    const key = {LIMIT: "limit", SOLD_OUT: "soldOut", ENDED: "ended", ...own}[error.name];
    return key ? byName(key) : error.text(language());
  };

  /** One request at a time; what it says stays until the next one. */
  async function run(name, body, own, then) {
    if (busy) return;
    busy = true;
    said = failed = () => "";
    draw();
    try {
      then(await client.request(name, {code: model.campaign.code, ...body}));
    } catch (error) {
      failed = () => refusal(error, own);
      if (error.name === "ENDED") load();
    } finally {
      busy = false;
      draw();
    }
  }

  const drawFor = (name) => run("FU_DRAW", {event: name, ...(name === "rain" ? {rain: model.rain.code} : {})}, {NOT_ELIGIBLE: "noRain"}, (reply) => {
    model.onAnswer(reply, name);
    said = () => t(reply.again ? "fu.gotAgain" : "fu.got", {card: t(`fu.${reply.card}`)});
    const node = sheet.querySelector(`[data-card="${reply.card}"]`);
    node.classList.remove("new");
    node.getBoundingClientRect(); // the same beat again
    node.classList.add("new");
  });

  const join = () => run("FU_JOIN", {}, {SOLD_OUT: "poolFull"}, (reply) => {
    model.onAnswer(reply);
    model.campaign = {...model.campaign, winners: reply.winners};
    if (model.mine) model.mine = {...model.mine, joined: true};
    said = () => t("fu.isIn");
  });

  function give(event) {
    event.preventDefault();
    const card = Number(byId("fu-give-card").value);
    const to = byId("fu-give-to").value.trim();
    const bad = !/^[1-9]\d{0,18}$/.test(to) ? "badUser" : to === client.me?.user ? "notSelf" : null;
    byId("fu-give-to").setAttribute("aria-invalid", String(Boolean(bad)));
    if (bad) {
      said = () => "";
      failed = () => byName(bad);
      byId("fu-give-to").focus();
      draw();
      return;
    }
    // No answer is not a no: the same biz_id is the same gift.
    const body = {card, to};
    run("FU_GIVE", {...body, biz_id: ticket.take({code: model.campaign.code, ...body})}, {NOT_ELIGIBLE: "notYours"}, (reply) => {
      ticket.done();
      model.onAnswer(reply);
      said = () => t("fu.given", {to, card: t(`fu.${card}`)});
    });
  }

  open.addEventListener("click", () => {
    said = failed = () => "";
    sheet.showModal();
    draw();
    load();
  });
  for (const id of ["fu-close", "fu-packet"]) byId(id).addEventListener("click", () => sheet.close());
  byId("fu-join").addEventListener("click", join);
  byId("fu-give-form").addEventListener("submit", give);
  byId("fu-give-to").addEventListener("input", () => byId("fu-give-to").removeAttribute("aria-invalid"));
  byId("fu-give-card").addEventListener("change", draw);
  sheet.addEventListener("click", (event) => {
    const card = event.target.closest("[data-card]");
    const row = event.target.closest("[data-event]");
    if (card) {
      byId("fu-give-card").value = card.dataset.card;
      if (model.held[Number(card.dataset.card) - 1]) sheet.querySelector(".fu-give").open = true;
      draw();
    } else if (row && event.target.closest("button")) {
      drawFor(row.dataset.event);
    }
  });
  client.on("FU_CAMPAIGN", (payload) => {
    const ended = model.campaign?.code === payload.code && model.campaign.state !== payload.state;
    model.onCampaign(payload);
    if (ended) said = () => "";
    if (ended && sheet.open) load();
    draw();
  });
  client.on("FU_CARD", ({code, card}) => {
    if (code !== model.campaign?.code) return;
    said = () => t("fu.received", {card: t(`fu.${card}`)});
    open.dataset.news = "true";
    if (sheet.open) load();
    draw();
  });
  client.on("RED_PACKET_CONFIG", (config) => model.onRain(config));
  client.on("state", ({state}) => {
    if (state === "ready" && sheet.open) load();
  });
  sheet.addEventListener("close", () => {
    delete open.dataset.news;
  });
  setInterval(draw, TICK_MS);
  return {redraw: draw};
}

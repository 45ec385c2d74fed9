// The dialog in which a viewer who may sends a packet, and sees what he sent and what came back.

import {CreateTicket} from "./console-model.js";
import {byId, el, plain, redraw, setText} from "./dom.js";
import {language, t} from "./i18n.js";
import {namesUsers, sendBody} from "./send-model.js";
import {money} from "./viewer-parts.js";

const SENT_PAGE = 50; // MY_SENT tells at most so many
const FIELDS = ["kind", "amount", "count", "users", "text"];

/** @param {object} client the page's client */
export function sendPanel(client, room) {
  const sheet = byId("send-sheet");
  const field = (name) => byId(`send-${name}`);
  const ticket = new CreateTicket(sessionStorage, `send.${room}`);
  let sent = [];
  let more = false; // the server may have older ones

  function drawForm() {
    const kind = field("kind").value;
    byId("send-count-row").hidden = kind === "personal";
    byId("send-users-row").hidden = !namesUsers(kind);
  }

  function showErrors(errors) {
    for (const name of ["amount", "count", "users"]) {
      field(name).setAttribute("aria-invalid", String(Boolean(errors[name])));
    }
    const [first] = FIELDS.filter((name) => errors[name]);
    setText(byId("send-error"), first ? t(errors[first]) : "");
    if (first) field(first).focus();
  }

  function drawSent() {
    byId("sent-empty").hidden = sent.length > 0;
    byId("sent-more").hidden = !more;
    redraw(byId("sent"), [language(), sent], () => byId("sent").replaceChildren(...sent.map((p) => {
      const note = p.status === "SETTLED" || p.status === "CANCELLED"
        ? t("sent.over", {paid: money(p.settled_fen), back: money(p.refunded_fen)})
        : t("sent.open", {n: p.settled, count: p.count});
      return el("li", {"data-testid": "sent-row", "data-code": p.code, "data-status": p.status, "data-refunded": String(p.refunded_fen)},
        el("span", {class: "sum", text: money(p.total)}),
        el("span", {class: "what"}, el("bdi", {class: "blessing", text: plain(p.text || t(`kind.${p.kind}`), 40)}), el("span", {text: note})),
        el("span", {class: "tag", "data-state": p.status === "SETTLED" ? "settled" : "", text: t(`sent.${p.status}`)}));
    })));
  }

  /** Asks for the list, again a little later when it was asked too often. */
  async function load() {
    try {
      const reply = await client.mySent();
      sent = reply.sent;
      more = sent.length >= SENT_PAGE;
      setText(byId("send-balance"), t("send.balance", {amount: money(reply.balance)}));
      drawSent();
    } catch (error) {
      if (error.retryAfterMs && sheet.open) setTimeout(load, error.retryAfterMs);
    }
  }

  async function loadOlder() {
    byId("sent-more").disabled = true;
    try {
      const reply = await client.mySent({before: sent.at(-1).code});
      sent = [...sent, ...reply.sent];
      more = reply.sent.length >= SENT_PAGE;
      drawSent();
    } catch (error) {
      if (error.retryAfterMs && sheet.open) setTimeout(loadOlder, error.retryAfterMs);
    } finally {
      byId("sent-more").disabled = false;
    }
  }

  async function submit(event) {
    event.preventDefault();
    const {body, errors} = sendBody(Object.fromEntries(FIELDS.map((name) => [name, field(name).value])));
    showErrors(errors);
    if (!body) return;
    byId("send-go").disabled = true;
    try {
      // No answer is not a no: the same biz_id asks for the same packet.
      const reply = await client.request("SEND", {biz_id: ticket.take(body), ...body});
      ticket.done();
      setText(byId("send-done"), t("send.done", {amount: money(reply.total)}));
      field("amount").value = "";
      load();
    } catch (error) {
      setText(byId("send-error"), error.reason?.includes("wallet") ? t("send.noMoney") : error.text(language()));
    } finally {
      byId("send-go").disabled = false;
    }
  }

  byId("send-form").addEventListener("submit", submit);
  byId("send-form").addEventListener("input", () => {
    for (const name of FIELDS) field(name).removeAttribute("aria-invalid");
    setText(byId("send-error"), "");
  });
  field("kind").addEventListener("change", drawForm);
  byId("sent-more").addEventListener("click", loadOlder);
  byId("send-close").addEventListener("click", () => sheet.close());
  byId("send-open").addEventListener("click", () => {
    setText(byId("send-done"), "");
    setText(byId("send-error"), "");
    drawForm();
    sheet.showModal();
    field("amount").focus();
    load();
  });
  client.on("state", ({state}) => {
    if (state === "ready") byId("send-open").hidden = !client.me.may_send || client.me.role === "guest";
  });
  client.on("SENT_REPORT", () => load());
  return {redraw: drawSent};
}

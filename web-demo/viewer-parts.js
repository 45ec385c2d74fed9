// Parts of the viewer page that only draw: the result card, the list of my packets, the chat.

import {byId, el, plain, redraw, setText, shortId} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {formatFen} from "./money.js";
import {drawProof, mark} from "./proof-view.js";
import {placeOf} from "./rank.js";

const MESSAGES_MAX = 80;
const TOP_MAX = 10;

/** ¥ in the page's language. */
export function money(fen) {
  return formatFen(fen, locale());
}

const compact = {zh: new Intl.NumberFormat("zh-CN", {notation: "compact"}), en: new Intl.NumberFormat("en", {notation: "compact"})};

/** Viewers in the room; without a number the last one again, in the page's language. */
export function showOnline(online = showOnline.last) {
  showOnline.last = online;
  if (online === undefined) return;
  const short = online >= 10000 ? compact[language()] : new Intl.NumberFormat(locale());
  setText(byId("online"), short.format(online));
}

/** How a user is called in lists: oneself is "me". */
export function userLabel(user, me) {
  return user === me ? t("me") : t("userName", {user: shortId(user)});
}

function noteOf(rain, card) {
  const lines = [];
  const settled = rain.wins.every((grant) => grant.state === "settled");
  if (card.kind === "win") lines.push(t(settled ? "note.winSettled" : "note.win", card));
  else lines.push(t(`note.${card.kind}`, {limit: rain.config?.limit ?? 1}));
  if (card.kind === "win" && card.confirming > 0) {
    lines.push(t("note.moreConfirming", {n: card.confirming}));
  }
  if (rain.soldOutSeconds !== null) {
    lines.push(t("note.soldOutIn", {secs: Math.max(0.1, rain.soldOutSeconds).toFixed(1)}));
  }
  return lines.join("\n");
}

/** Draws the result card of a rain. */
export function drawCard(rain, me) {
  const card = rain.card();
  const settled = rain.wins.every((grant) => grant.state === "settled");
  const key = [language(), rain.code, card, settled, rain.soldOutAt, rain.result, rain.proof, me];
  redraw(byId("card"), key, () => drawCardNow(rain, card, me));
}

function drawCardNow(rain, card, me) {
  const node = byId("card");
  node.dataset.kind = card.kind;
  setText(byId("card-blessing"), plain(rain.config?.text || t("defaultBlessing"), 60));
  setText(byId("card-title"), t(`card.${card.kind}`));
  setText(byId("card-amount"), card.count > 0 ? money(card.wonFen) : "");
  setText(byId("card-note"), noteOf(rain, card));
  byId("card-spinner").hidden = card.kind !== "confirming";
  const state = stateOf(rain.wins);
  byId("card-state").hidden = state === null;
  byId("card-state").dataset.state = state ?? "";
  if (state) setText(byId("card-state"), t(`grant.${state}`));
  const {result} = rain;
  byId("board").hidden = !result;
  if (!result) return;
  const {best, top = []} = result;
  setText(byId("best"), best
    ? t("best", {user: userLabel(best.user, me), amount: money(best.amount)}) : "");
  byId("top").replaceChildren(...top.slice(0, TOP_MAX).map(({user, amount}, i) =>
    el("li", {class: user === me ? "self" : "", "data-proof": mark(rain.proof?.top?.[i])},
      el("span", {class: "pos", text: String(i + 1)}),
      el("span", {class: "who", text: userLabel(user, me)}),
      el("span", {class: "sum", text: money(amount)}))));
  drawRank(rain);
  drawProof(rain, money);
}

/** The place of the viewer's largest packet among all of the rain; equal packets have no places. */
function drawRank(rain) {
  const own = Math.max(0, ...rain.wins.map((grant) => grant.amount));
  const place = rain.result.split === "equal" ? null : placeOf(rain.result.hist, own);
  byId("rank-box").hidden = !place;
  if (!place) return;
  const number = new Intl.NumberFormat(locale());
  setText(byId("rank"), t(place.exact ? "rank" : "rankAbout", {
    n: number.format(place.place), of: number.format(place.of), percent: place.percent,
  }));
  const at = place.of > 1 ? 1 - (place.place - 1) / (place.of - 1) : 1;
  byId("rank-mark").style.left = `${(100 * at).toFixed(1)}%`;
}

/** What became of the money on the card. */
function stateOf(wins) {
  if (wins.length === 0) return null;
  if (wins.some((grant) => grant.state === "held")) return "held";
  return wins.every((grant) => grant.state === "settled") ? "settled" : "pending";
}

async function copyText(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    setText(button, t("copied"));
  } catch {
    setText(button, text); // no clipboard here: show it to be selected
  }
}

/** Draws 我的红包 over all rains, newest first. */
export function drawMine(rains, me) {
  const rows = rains.flatMap((rain) => [...rain.grants.values()].map((grant) => ({rain, grant})));
  rows.sort((a, b) => (b.grant.at ?? 0) - (a.grant.at ?? 0) || b.grant.seq - a.grant.seq);
  const counted = rows.filter(({grant}) => grant.amount !== undefined && grant.state !== "void");
  setText(byId("mine-sum"), money(counted.reduce((sum, {grant}) => sum + grant.amount, 0)));
  setText(byId("mine-count"), rows.length);
  byId("mine-empty").hidden = rows.length > 0;
  const key = [language(), me, rows.map(({rain, grant}) => [rain.code, rain.config?.text, grant])];
  redraw(byId("grants"), key, () => drawGrants(rows, me));
}

function drawGrants(rows, me) {
  byId("grants").replaceChildren(...rows.map(({rain, grant}) => {
    const number = `${rain.code}:${me}:${grant.seq}`;
    const copy = el("button", {type: "button", class: "copy", text: t("copy")});
    copy.addEventListener("click", () => copyText(copy, number));
    const what = plain(rain.config?.text || t("title"), 40);
    return el("li", {
      "data-testid": "grant", "data-code": rain.code, "data-seq": String(grant.seq),
      "data-state": grant.state, "data-amount": grant.amount,
    },
    el("span", {class: "sum", text: grant.amount === undefined ? "¥ ···" : money(grant.amount)}),
    el("span", {class: "what"},
      el("bdi", {class: "title", text: `${what} #${grant.seq + 1}`}), copy),
    el("span", {class: "tag", "data-state": grant.state, text: t(`grant.${grant.state}`)}));
  }));
}

/** Adds one chat line; what others typed is text, never markup. */
export function addMessage({name, text, system}) {
  const list = byId("messages");
  const line = el("p", {class: system ? "system" : "", "data-testid": "message"});
  if (name !== undefined) line.append(el("bdi", {class: "name", text: plain(name, 24)}));
  line.append(el("bdi", {class: "said", text: plain(text)}));
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(line);
  while (list.children.length > MESSAGES_MAX) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** A text that rises from where the viewer tapped. */
export function floatText(text, at, kind = "") {
  const box = byId("stage").getBoundingClientRect();
  const node = el("span", {class: `float ${kind}`, text, "data-testid": "float"});
  node.style.left = `${Math.min(Math.max(at.x - box.left, 84), box.width - 84)}px`;
  node.style.top = `${Math.min(Math.max(at.y - box.top, 190), box.height - 190)}px`;
  node.addEventListener("animationend", () => node.remove());
  setTimeout(() => node.remove(), 1500);
  byId("floats").append(node);
}

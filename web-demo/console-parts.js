// What the console's panels share: money, errors in words, the log, one question at a time, one action at a time.

import {byId, el, plain, setText} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {formatFen} from "./money.js";

const LOG_MAX = 60;
const BANNER_MS = 8000;
const RETRY_HINT = new Set(["BUSY", "RATE_LIMITED", "RECOVERING", "UNAVAILABLE", "TIMEOUT", "DISCONNECTED"]);

/** ¥ in the page's language. */
export function money(fen) {
  return formatFen(fen, locale());
}

export function timeText(ms) {
  return new Date(ms).toLocaleTimeString(locale(), {hour12: false});
}

/** Adds a line to the log; others' words arrive as text. Returns the line. */
export function logLine(text, kind = "") {
  const list = byId("log");
  const line = el("p", {class: kind}, el("time", {text: timeText(Date.now())}), el("bdi", {text: plain(text, 240)}));
  list.prepend(line);
  while (list.children.length > LOG_MAX) list.lastElementChild.remove();
  return line;
}

function hintOf(error) {
  if (error.reason?.includes("wallet")) return t("hint.NO_MONEY");
  if (RETRY_HINT.has(error.name)) return t("hint.RETRY");
  const key = `hint.${error.name}`;
  const text = t(key);
  return text === key ? "" : text;
}

/** A readable error, what the server added, and what to do. */
export function errorText(error) {
  const parts = [error.text ? error.text(language()) : String(error)];
  if (error.field) parts.push(`(${error.field})`);
  if (error.reason) parts.push(`— ${error.reason}`);
  const hint = hintOf(error);
  return hint ? `${parts.join(" ")}${language() === "zh" ? "。" : ". "}${hint}` : parts.join(" ");
}

export function banner(text) {
  const node = byId("banner");
  setText(node, text);
  node.hidden = false;
  clearTimeout(banner.timer);
  banner.timer = setTimeout(() => {
    node.hidden = true;
  }, BANNER_MS);
}

/** A question before what cannot be undone; resolves with true for yes. One at a time. */
export function ask(text, yes, kind = "danger") {
  const dialog = byId("ask");
  if (dialog.open) return Promise.resolve(false);
  byId("ask-yes").className = kind;
  setText(byId("ask-text"), text);
  setText(byId("ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {once: true}));
}

const busy = new Set(); // names of actions in flight

/**
 * Runs one action at most once at a time; its button is disabled meanwhile. Failures are told, never thrown: in the log and in
 * `errorNode`. Resolves with fn's value, or null.
 */
export async function act(name, button, errorNode, fn) {
  if (busy.has(name)) return null;
  busy.add(name);
  button.disabled = true;
  setText(errorNode, "");
  try {
    return await fn() ?? true;
  } catch (error) {
    const text = errorText(error);
    setText(errorNode, text);
    logLine(t("log.failed", {text}), "bad");
    return null;
  } finally {
    busy.delete(name);
    button.disabled = false;
  }
}

/** A line for something that was done, with the number of its row in the audit trail when the server named one. */
export function logDone(text, reply) {
  logLine(reply?.audit ? t("log.receipt", {text, id: reply.audit}) : text, "done");
}

// Texts of the pages in zh-CN (default) and English.

import {CLOSE_INFO} from "./constants.js";
import {TEXTS} from "./texts.js";

const KEY = "redrain.lang";
let lang = stored() ?? "zh";
const listeners = new Set();

function stored() {
  try {
    const value = localStorage.getItem(KEY);
    return value === "en" || value === "zh" ? value : null;
  } catch {
    return null;
  }
}

/** "zh" or "en". */
export function language() {
  return lang;
}

/** BCP 47 tag for Intl and <html lang>. */
export function locale() {
  return lang === "zh" ? "zh-CN" : "en";
}

/** Text of a key; {name} in it is replaced by vars.name. */
export function t(key, vars = {}) {
  if (key.startsWith("close.")) return CLOSE_INFO[key.slice(6)]?.[lang] ?? key;
  const row = TEXTS[key];
  if (!row) return key;
  return row[lang === "zh" ? 0 : 1].replace(/\{(\w+)\}/g, (_, name) => String(vars[name] ?? ""));
}

/** Calls fn now and after each change of language. */
export function onLanguage(fn) {
  listeners.add(fn);
  fn();
}

export function toggleLanguage() {
  lang = lang === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(KEY, lang);
  } catch {
    // not remembered, that is all
  }
  for (const fn of listeners) fn();
}

/** Fills data-i18n (text), data-i18n-placeholder and data-i18n-label (aria-label, title). */
export function applyTexts(root = document) {
  document.documentElement.lang = locale();
  for (const node of root.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of root.querySelectorAll("[data-i18n-placeholder]")) {
    node.placeholder = t(node.dataset.i18nPlaceholder);
  }
  for (const node of root.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
    node.title = t(node.dataset.i18nLabel);
  }
}

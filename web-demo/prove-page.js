// prove.html: recomputes a rain from published numbers, in the address (#code=…&seed=…, never sent to a server) or typed in. Talks to
// nobody.

import {byId, el, setText} from "./dom.js";
import {applyTexts, locale, onLanguage, t, toggleLanguage} from "./i18n.js";
import {formatFen} from "./money.js";
import {amountsOf, prove} from "./prove.js";

const LIST_MAX = 500;
const BARS = 48;
const NUMBERS = ["ver", "total", "count", "lo", "hi", "shards"];
const PACKETS_MAX = 1_000_000;
const turn = () => new Promise((resolve) => setTimeout(resolve));
const money = (fen) => formatFen(fen, locale());

let shown = null; // {result, packets, proof, amounts}
let run = 0;

/** The form's fields as RED_PACKET_RESULT has them; null if a number is none. */
function readForm() {
  const f = Object.fromEntries(new FormData(byId("form")));
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, /^\d{1,13}$/.test(f[name]) ? Number(f[name]) : NaN]));
  if (Object.values(numbers).some(Number.isNaN) || numbers.count > PACKETS_MAX) return null;
  const packets = [...f.packets.matchAll(/(\d+)\.(\d+)\.(\d+)/g)]
    .map(([, shard, no, amount]) => ({shard: Number(shard), no: Number(no), amount: Number(amount)}));
  const result = {
    seed: f.seed.trim().toLowerCase(), seed_hash: f.hash.trim().toLowerCase(), config_code: f.code.trim(), split: f.split,
    split_ver: numbers.ver, total_price: numbers.total, total_count: numbers.count, lo: numbers.lo, hi: numbers.hi,
    shards: numbers.shards,
  };
  return {result, packets};
}

function drawChecks({result, packets, proof}) {
  const rows = [
    [t("p.hashOk"), proof.hashOk],
    [t("proof.sum", {count: result.total_count, total: money(result.total_price)}), proof.sumOk],
    [t("proof.bounds"), proof.boundsOk],
    ...packets.map((p, i) => [t("p.packetOk", {...p, amount: money(p.amount)}), proof.packets[i]]),
  ];
  byId("checks").replaceChildren(...rows.map(([text, ok]) => el("li", {"data-ok": ok ? "yes" : "no", text})));
}

/** Packets from the smallest to the largest, in at most BARS bars. */
function drawSpread(amounts) {
  const sorted = Float64Array.from(amounts).sort();
  const n = Math.min(BARS, sorted.length);
  const max = sorted.at(-1);
  byId("spread").setAttribute("aria-label", `${money(sorted[0])} – ${money(max)}`);
  byId("spread").replaceChildren(...Array.from({length: n}, (_, i) => {
    const fen = sorted[Math.floor(((i + 0.5) * sorted.length) / n)];
    const bar = el("i", {title: money(fen)});
    bar.style.height = `${Math.max(2, (100 * fen) / max).toFixed(1)}%`;
    return bar;
  }));
}

function draw() {
  const box = byId("verdict");
  byId("all").hidden = !shown?.amounts;
  byId("checks").replaceChildren();
  if (!shown) {
    box.dataset.ok = "";
    setText(byId("verdict-text"), t("p.noSeed"));
    return;
  }
  if (!shown.amounts) {
    box.dataset.ok = shown.running ? "" : "no";
    setText(byId("verdict-text"), t(shown.running ? "proof.running" : "p.badNumbers"));
    return;
  }
  box.dataset.ok = shown.proof.ok ? "yes" : "no";
  setText(byId("verdict-text"), t(shown.proof.ok ? "proof.ok" : "proof.bad"));
  drawChecks(shown);
  drawSpread(shown.amounts);
  const {shards} = shown.result;
  const mine = new Set(shown.packets.map(({shard, no}) => no * shards + shard));
  const listed = shown.amounts.slice(0, LIST_MAX);
  setText(byId("first"), t("p.first", {count: shown.amounts.length, n: listed.length}));
  byId("amounts").replaceChildren(...listed.map((fen, i) => el("li", {class: mine.has(i) ? "mine" : ""},
    el("span", {text: String(i + 1)}), el("b", {text: money(fen)}))));
}

async function recompute() {
  const form = readForm();
  run += 1;
  const mine = run;
  shown = form ? {...form, running: true} : {};
  draw();
  if (!form) return;
  const {result, packets} = form;
  const proof = await prove(result, null, packets, turn);
  const amounts = await amountsOf({
    seed: result.seed, code: result.config_code, split: result.split, split_ver: result.split_ver,
    total: result.total_price, count: result.total_count, lo: result.lo, hi: result.hi,
  }, turn);
  if (mine !== run) return; // asked again meanwhile
  shown = {...form, proof, amounts};
  draw();
}

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const field of byId("form").elements) if (field.name && given.has(field.name)) field.value = given.get(field.name);
  const complete = given.has("seed");
  byId("numbers").open = !complete;
  if (complete) recompute();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  recompute();
});
byId("lang").addEventListener("click", toggleLanguage);
window.addEventListener("hashchange", fromAddress);
onLanguage(() => {
  applyTexts();
  document.title = t("p.pageTitle");
  setText(byId("lang"), t("otherLanguage"));
  draw();
});
fromAddress();

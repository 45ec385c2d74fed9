// "Prove this rain" on the result card: recomputes every packet from the revealed seed in this page, and ticks the viewer's own
// packets and the list of the luckiest.

import {byId, el, setText} from "./dom.js";
import {t} from "./i18n.js";
import {prove} from "./prove.js";

const turn = () => new Promise((resolve) => setTimeout(resolve));

/** Value of data-proof: its tick or cross is drawn by the stylesheet. */
export function mark(ok) {
  return ok === undefined ? undefined : ok ? "yes" : "no";
}

/** Fills rain.proof; calls changed() when it is begun and when it is done. */
export async function proveRain(rain, changed) {
  if (!rain?.result || rain.proof?.running) return;
  const mine = rain.wins.map(({seq, shard, no, amount}) => ({seq, shard, no, amount}));
  const top = rain.result.top ?? [];
  rain.proof = {running: true};
  changed();
  const proof = await prove(rain.result, rain.announced, [...mine, ...top], turn);
  rain.proof = {
    ...proof,
    early: rain.announced !== null,
    mine: mine.map((packet, i) => ({...packet, ok: proof.packets[i]})),
    top: proof.packets.slice(mine.length),
  };
  changed();
}

/** Address of the page that proves a rain from public numbers alone; the viewer's own packets go with it. */
function proofAddress(result, announced, mine) {
  const {config_code: code, split, split_ver: ver, total_price: total, total_count: count, lo, hi, shards, seed} = result;
  const numbers = {code, split, ver, total, count, lo, hi, shards, seed, hash: announced ?? result.seed_hash};
  const packets = mine.map(({shard, no, amount}) => `${shard}.${no}.${amount}`).join("_");
  return `prove.html#${new URLSearchParams({...numbers, packets})}`;
}

/** @param {(fen) => string} money */
export function drawProof(rain, money) {
  const {proof, result} = rain;
  byId("prove").disabled = Boolean(proof?.running);
  byId("proof").hidden = !proof;
  if (!proof) return;
  byId("proof").dataset.ok = proof.running ? "" : mark(proof.ok);
  setText(byId("proof-verdict"), t(proof.running ? "proof.running" : proof.ok ? "proof.ok" : "proof.bad"));
  const checks = proof.running ? [] : [
    [t(proof.early ? "proof.hash" : "proof.hashLate"), proof.hashOk],
    [t("proof.sum", {count: result.total_count, total: money(result.total_price)}), proof.sumOk],
    [t("proof.bounds"), proof.boundsOk],
  ];
  byId("proof-checks").replaceChildren(...checks.map(([text, ok]) => el("li", {text, "data-proof": mark(ok)})));
  byId("proof-more").hidden = Boolean(proof.running);
  byId("proof-more").href = proofAddress(result, rain.announced, proof.mine ?? []);
  byId("proof-mine").replaceChildren(...(proof.mine ?? []).map(({seq, shard, no, amount, ok}) => el("li", {
    "data-proof": mark(ok), text: t("proof.packet", {n: seq + 1, amount: money(amount), shard, no}),
  })));
}

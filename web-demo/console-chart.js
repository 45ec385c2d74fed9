// Charts of the console: two lines over time by uPlot, and the bars of a split.

import {el} from "./dom.js";
import {amountsOf} from "./prove.js";

const HEIGHT = 112;
const GRID = {stroke: "rgba(255, 211, 107, .10)", width: 1};
const INK = "#d9b7a0";
const BARS = 40;
const SHOWN_S = 60; // at least so much time is shown
const SAMPLE_MAX = 400; // packets of a preview

/** A line over time in `box`; update(t, values) draws. */
export function lineChart(box, {color, fill, locale}) {
  const uPlot = globalThis.uPlot;
  const axis = {stroke: INK, grid: GRID, ticks: {show: false}, font: "11px system-ui, sans-serif"};
  const clock = (secs) => new Date(secs * 1000).toLocaleTimeString(locale(), {hour12: false, minute: "2-digit", second: "2-digit"});
  const plot = new uPlot({
    width: Math.max(120, box.clientWidth), height: HEIGHT, legend: {show: false}, padding: [8, 18, 0, 0],
    cursor: {show: false}, select: {show: false}, scales: {x: {range: (u, min, max) => [Math.min(min ?? 0, (max ?? 0) - SHOWN_S), max ?? 0]}, y: {range: (u, min, max) => [0, Math.max(4, Math.ceil(max * 1.15))]}},
    axes: [{...axis, size: 24, space: 70, values: (u, ticks) => ticks.map((secs) => (u.data[0].length > 1 ? clock(secs) : ""))},
      {...axis, size: 38, space: 34, values: (u, ticks) => ticks.map((v) => (Number.isInteger(v) ? String(v) : ""))}],
    series: [{}, {stroke: color, fill, width: 2, points: {show: false}, spanGaps: false}],
  }, [[], []], box);
  new ResizeObserver(() => {
    const width = box.clientWidth;
    if (width > 0 && width !== plot.width) plot.setSize({width, height: HEIGHT});
  }).observe(box);
  return {update: (t, values) => plot.setData([t, values])};
}

/** Amounts as the server might draw them, ascending; at most SAMPLE_MAX, with the same mean. */
export async function previewAmounts({total, count, lo, split}) {
  const n = Math.min(count, SAMPLE_MAX);
  const seed = [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const sum = n === count ? total : Math.max(n * lo, Math.floor((total * n) / count));
  const amounts = await amountsOf({seed, code: "preview", split, split_ver: 1, total: sum, count: n, lo, hi: sum});
  return amounts?.sort((a, b) => a - b) ?? null;
}

/** Bars of a split; label says the same in words. */
export function drawBars(box, amounts, label) {
  const n = Math.min(BARS, amounts.length);
  const max = amounts.at(-1);
  box.replaceChildren(...Array.from({length: n}, (_, i) => {
    const fen = amounts[Math.floor(((i + 0.5) * amounts.length) / n)];
    const bar = el("i");
    bar.style.height = `${Math.max(4, Math.round((fen / max) * 100))}%`;
    return bar;
  }));
  box.setAttribute("aria-label", label);
}


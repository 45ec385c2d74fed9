// What the console knows and shows in figures: merged rows, series, shares; and the CSV it writes.

import {test} from "node:test";
import assert from "node:assert/strict";
import {ConsoleStore, SERIES_MAX, deliveredShare, errorShare} from "../../../web-demo/console-store.js";
import {csvCell, csvOf, fileName} from "../../../web-demo/csv.js";

const rain = (more = {}) => ({
  code: "a", status: "SENT", granted: 5, granted_fen: 50, settled_fen: 20, remain_fen: 80, refunded_fen: 0, total: 100, count: 10,
  open_at: 1000, end_at: 9000, created_at: 1, start_at: 0, ...more,
});
const stats = (...rains) => ({rains, balance: 7, lag_ms: 3, online: 9, delivery: null});

test("a tick may be newer than STATS: counts never go back", () => {
  const store = new ConsoleStore();
  store.onStats(stats(rain()));
  assert.equal(store.onTick({config_code: "a", granted: 8, granted_price: 80}), true);
  assert.equal(store.onTick({config_code: "a", granted: 7, granted_price: 70}), false);
  store.onStats(stats(rain({granted: 6, granted_fen: 60})));
  assert.deepEqual([store.current().granted, store.current().granted_fen], [8, 80]);
  store.onStats(stats(rain({status: "SETTLED", granted: 6, granted_fen: 60}))); // the books have the last word
  assert.equal(store.current().granted, 6);
});

test("the rain on view: the chosen one, else what goes on, else the newest", () => {
  const store = new ConsoleStore();
  assert.equal(store.current(), null);
  store.onStats(stats(rain({code: "new", status: "SETTLED", created_at: 9}), rain({code: "live", created_at: 5}), rain({code: "old", status: "CANCELLED"})));
  assert.equal(store.current().code, "live");
  store.picked = "old";
  assert.equal(store.current().code, "old");
});

test("recovering is shown until it is told otherwise or over", () => {
  const store = new ConsoleStore();
  store.onStats(stats(rain()));
  store.onState({config_code: "a", state: "RECOVERING"});
  assert.equal(store.stateOf(store.current(), 2000), "RECOVERING");
  store.onState({config_code: "a", state: "OPEN"});
  assert.equal(store.stateOf(store.current(), 2000), "OPEN");
});

test("grabs a second: of what came in between, not of a rain that came with STATS", () => {
  const store = new ConsoleStore();
  store.onStats(stats(rain()));
  store.sample(1000);
  assert.equal(store.rate, 0);
  store.onTick({config_code: "a", granted: 9, granted_price: 90});
  store.sample(3000);
  assert.equal(store.rate, 2);
  store.onStats(stats(rain({granted: 9}), rain({code: "b", granted: 500})));
  store.sample(4000);
  assert.equal(store.rate, 0);
  for (let i = 0; i < 2 * SERIES_MAX; i += 1) store.sample(5000 + i);
  assert.ok(Object.values(store.series).every((values) => values.length === SERIES_MAX));
});

test("delivered: replaced and waiting frames are not lost ones", () => {
  assert.equal(deliveredShare(null), null);
  assert.equal(deliveredShare({expected: 0}), null);
  assert.equal(deliveredShare({expected: 100, sent: 90, dropped: 6, closed: 0, queued: 4, lost: 0}), 1);
  assert.equal(deliveredShare({expected: 100, sent: 90, dropped: 0, closed: 6, queued: 0, lost: 4}), 0.9);
  assert.equal(errorShare({grabs: 0, grabs_failed: 0}), null);
  assert.equal(errorShare({grabs: 200, grabs_failed: 3}), 0.015);
});

test("CSV: quoted, UTF-8 with a mark, and no cell is a formula", () => {
  for (const bad of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]) assert.match(csvCell(bad), /^"'/, JSON.stringify(bad));
  assert.equal(csvCell('say "hi", you'), '"say ""hi"", you"');
  assert.equal(csvCell(-5), "-5");
  assert.equal(csvCell(null), '""');
  assert.equal(csvOf([["user", 1], ["=cmd|' /C calc'!A0", "恭喜"]]), '\ufeff"user",1\r\n"\'=cmd|\' /C calc\'!A0","恭喜"\r\n');
  assert.equal(fileName("winners", "../etc/主播", "a-b_C"), "winners-___etc___-a-b_C");
});

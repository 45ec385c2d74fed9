// A place read from the steps of a rain's amounts.

import {test} from "node:test";
import assert from "node:assert/strict";
import {placeOf} from "../../../web-demo/rank.js";

test("a step for each amount: every place is exact, equal ones share it", () => {
  const hist = [[900, 1], [500, 3], [20, 2], [1, 1]];
  const places = [900, 500, 20, 1].map((fen) => placeOf(hist, fen));
  assert.deepEqual(places.map((p) => p.place), [1, 2, 5, 7]);
  assert.ok(places.every((p) => p.exact && p.of === 7));
  assert.deepEqual(places.map((p) => p.percent), [15, 29, 72, 100]);
});

test("within a step the place is estimated, between its neighbours", () => {
  const hist = [[1000, 1], [900, 100], [400, 200]];
  const all = [];
  for (let fen = 899; fen > 400; fen--) {
    const p = placeOf(hist, fen);
    assert.equal(p.exact, false);
    assert.ok(p.place >= 3 && p.place <= 101, `${fen}: ${p.place}`);
    all.push(p.place);
  }
  assert.deepEqual(all, [...all].sort((a, b) => a - b), "less money is never a better place");
  assert.deepEqual(placeOf(hist, 900), {place: 2, exact: true, of: 301, percent: 1});
});

test("no place without a packet, without steps, or above them all", () => {
  for (const [hist, amount] of [[[], 5], [undefined, 5], [[[10, 1]], 0], [[[10, 1]], 11], [[[10, 1]], undefined], [[[10, 1]], Number.NaN]]) {
    assert.equal(placeOf(hist, amount), null);
  }
  assert.deepEqual(placeOf([[10, 1]], 10), {place: 1, exact: true, of: 1, percent: 100});
});

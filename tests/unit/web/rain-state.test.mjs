import {test} from "node:test";
import assert from "node:assert/strict";
import {Rain} from "../../../web-demo/rain-state.js";

const CONFIG = {
  config_code: "c", room: "r1", total_count: 10, total_price: 1000, limit: 2,
  open_at: 5000, end_at: 9000, sold_out_at: null,
};

function rain(config = {}) {
  const r = new Rain("c");
  r.onConfig({...CONFIG, ...config});
  return r;
}

const win = (seq, amount) => ({name: "OK", code: "c", seq, shard: 0, no: seq, amount});

test("phases follow the server's clock", () => {
  const r = rain();
  assert.equal(new Rain("x").phase(1), "waiting");
  assert.equal(r.phase(null), "waiting");
  assert.equal(r.phase(4999), "countdown");
  assert.equal(r.phase(5000), "open");
  assert.equal(r.phase(8999), "open");
  assert.equal(r.phase(9000), "over");
  r.onEnd({end_at: 7000});
  assert.equal(r.phase(6000), "over", "closed early");
});

test("an extended rain goes on", () => {
  const r = rain();
  r.onGrab({name: "ENDED"});
  r.onEnd({end_at: 9000});
  r.onConfig({...CONFIG, end_at: 12_000});
  assert.equal(r.phase(10_000), "open");
  assert.equal(r.mayGrab(10_000), true);
});

test("ticks only count up", () => {
  const r = rain();
  r.onTick({granted: 5, granted_price: 500});
  r.onTick({granted: 3, granted_price: 300});
  assert.deepEqual([r.granted, r.grantedFen], [5, 500]);
});

test("a rain that is recovered may be grabbed again, and counts anew", () => {
  const r = rain();
  r.onTick({granted: 10, granted_price: 1000});
  r.outcome = "SOLD_OUT";
  r.soldOutAt = 6000;
  assert.equal(r.mayGrab(6000), false);
  r.onState({state: "RECOVERING"});
  assert.equal(r.recovering, true);
  assert.equal(r.mayGrab(6000), true);
  r.onState({state: "OPEN"});
  assert.equal(r.recovering, false);
  r.onTick({granted: 4, granted_price: 400});
  assert.equal(r.granted, 4);
});

test("grabbing stops at the limit, at a final no, and when sold out", () => {
  const r = rain();
  assert.equal(r.mayGrab(6000), true);
  r.onGrab(win(0, 10));
  assert.equal(r.mayGrab(6000), true);
  r.onGrab(win(1, 20));
  assert.equal(r.mayGrab(6000), false);
  assert.equal(r.isDone(6000), true);
  for (const name of ["SOLD_OUT", "LIMIT", "ENDED"]) {
    const other = rain();
    other.onGrab({name});
    assert.equal(other.mayGrab(6000), false, name);
  }
  assert.equal(rain({sold_out_at: 5500}).mayGrab(6000), false);
});

test("the card shows money only the server told", () => {
  const r = rain();
  r.confirming = true;
  r.onGrant({seq: 0, no: 1, shard: 0, state: "confirming"});
  assert.deepEqual(r.card(), {kind: "confirming", wonFen: 0, count: 0, confirming: 1});
  r.onGrab(win(0, 77));
  assert.deepEqual(r.card(), {kind: "win", wonFen: 77, count: 1, confirming: 0});
});

test("the card's kinds", () => {
  const kind = (set) => {
    const r = rain();
    set(r);
    return r.card().kind;
  };
  assert.equal(kind((r) => r.onGrab({name: "LIMIT"})), "limit");
  assert.equal(kind((r) => r.onGrab({name: "SOLD_OUT"})), "sold_out");
  assert.equal(kind((r) => {
    r.taps = 3;
    r.onGrab({name: "SOLD_OUT"});
  }), "almost");
  assert.equal(kind((r) => r.onEnd({end_at: 9000})), "ended");
  assert.equal(kind((r) => r.onResult({granted: 10, total_count: 10, granted_price: 1000})), "sold_out");
  assert.equal(kind((r) => {
    r.onGrab(win(0, 5));
    r.onGrant({seq: 0, state: "held"});
  }), "held");
});

test("a grant's state goes forward only, and its amount is never forgotten", () => {
  const r = rain();
  r.onGrab(win(0, 50), 6000);
  r.onGrant({seq: 0, state: "confirming"});
  assert.equal(r.grants.get(0).state, "pending");
  r.onGrant({seq: 0, state: "settled", amount: 50});
  r.onGrant({seq: 0, state: "pending"});
  assert.deepEqual([r.grants.get(0).state, r.grants.get(0).amount], ["settled", 50]);
  r.onGrab(win(0, 50)); // told again after a reconnect
  assert.equal(r.wonFen, 50);
});

test("a held grant is released or taken back; what was taken back is no win", () => {
  const r = rain();
  r.onGrab(win(0, 50), 6000);
  r.onGrab(win(1, 30), 6000);
  r.onGrant({seq: 0, state: "held", amount: 50});
  r.onGrant({seq: 1, state: "held", amount: 30});
  assert.deepEqual([r.card().kind, r.wonFen], ["held", 80]);
  r.onGrant({seq: 0, state: "settled", amount: 50});
  r.onGrant({seq: 1, state: "taken_back", amount: 30});
  r.onGrant({seq: 1, state: "held", amount: 30}); // late
  assert.deepEqual([r.card().kind, r.wonFen, r.grants.get(1).state], ["win", 50, "taken_back"]);
});

test("sold out in n seconds", () => {
  const r = rain();
  assert.equal(r.soldOutSeconds, null);
  r.onEnd({end_at: 9000, sold_out_at: 7300});
  assert.equal(r.soldOutSeconds, 2.3);
});

test("a late joiner who only gets RESULT knows the rules too", () => {
  const r = new Rain("c");
  r.onResult({
    config_code: "c", room: "r1", total_count: 10, total_price: 1000, limit: 2, open_at: 5000,
    end_at: 9000, granted: 4, granted_price: 400, sold_out_at: null,
  });
  assert.equal(r.phase(9500), "over");
  assert.equal(r.config.limit, 2);
  assert.equal(r.card().kind, "ended");
});

test("cancelled is cancelled", () => {
  const r = rain();
  r.cancelled = true;
  assert.equal(r.phase(6000), "cancelled");
  assert.equal(r.mayGrab(6000), false);
});

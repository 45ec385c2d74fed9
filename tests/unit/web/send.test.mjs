// What the send form makes of its fields, and which rain is on the stage beside a packet that stays open for long.

import {test} from "node:test";
import assert from "node:assert/strict";
import {Rain} from "../../../web-demo/rain-state.js";
import {sendBody, userList} from "../../../web-demo/send-model.js";

const form = (more) => ({kind: "group", amount: "10", count: "5", users: "", text: " 福 ", ...more});

test("a good form is SEND's body", () => {
  assert.deepEqual(sendBody(form()).body, {kind: "group", total: 1000, count: 5, text: "福"});
  assert.deepEqual(sendBody(form({kind: "personal", count: "", users: " 77 "})).body,
    {kind: "personal", total: 1000, count: 1, text: "福", users: "77"});
  assert.deepEqual(sendBody(form({kind: "enterprise", count: "2", users: "3，4 5"})).body,
    {kind: "enterprise", total: 1000, count: 2, text: "福", users: "3,4,5"});
  assert.equal(sendBody(form({users: "what was typed for another kind"})).body.users, undefined);
});

test("each mistake is named at its field", () => {
  for (const [more, field] of [
    [{amount: ""}, "amount"], [{amount: "0"}, "amount"], [{amount: "1.234"}, "amount"], [{amount: "0.04"}, "amount"],
    [{count: "0"}, "count"], [{count: "x"}, "count"], [{kind: "rain"}, "kind"], [{kind: "personal"}, "users"],
    [{kind: "personal", users: "1,2"}, "users"], [{kind: "enterprise", users: "a"}, "users"],
    [{kind: "enterprise", users: "1,2", count: "3"}, "count"],
  ]) {
    const {body, errors} = sendBody(form(more));
    assert.equal(body, null, JSON.stringify(more));
    assert.deepEqual(Object.keys(errors), [field], JSON.stringify(more));
  }
});

test("user ids: decimal, without a leading zero", () => {
  assert.equal(userList("1, 22；333"), "1,22,333");
  for (const bad of ["", "0", "01", "-1", "1.5", "a"]) assert.equal(userList(bad), null, bad);
});

test("a packet that has nothing more for this viewer leaves the stage", () => {
  const config = {open_at: 1000, end_at: 90_000_000, limit: 1, total_count: 3, total_price: 30};
  const packet = new Rain("p");
  packet.onConfig({...config, kind: "group"});
  assert.ok(packet.holdsStage(2000));
  packet.onGrab({name: "OK", seq: 0, no: 0, shard: 0, amount: 5}, 2000);
  assert.ok(packet.holdsStage(2000), "its card is to be seen first");
  packet.dismissed = true;
  assert.ok(!packet.holdsStage(2000));
  const others = new Rain("o");
  others.onConfig({...config, kind: "personal"});
  others.notForMe = true;
  assert.ok(!others.holdsStage(2000));
  const rain = new Rain("r");
  rain.onConfig(config);
  rain.onGrab({name: "LIMIT"});
  assert.ok(rain.holdsStage(2000), "its card is to be seen first");
  rain.dismissed = true;
  assert.ok(!rain.holdsStage(2000), "others may still grab, he waits for the next");
});

// What the viewer page makes of a campaign of five cards.

import {test} from "node:test";
import assert from "node:assert/strict";
import {STOCK, WEIGHTS, fuBody} from "../../../web-demo/fu-create.js";
import {FuModel} from "../../../web-demo/fu-model.js";

const NOW = 1_767_225_600_000;
const push = (more = {}) => ({
  code: "C1", room: "r1", state: "OPEN", text: "", sender: "9001", pool: 10_000, split: "double-mean", winners: 0, winners_max: 5000,
  day_draws: 3, share_at: NOW + 60_000, rain: null, weights: [3000, 2500, 2500, 1500, 500], ...more,
});
const mine = (more = {}) => ({
  ...push(), day_gifts: 20, created_at: NOW - 1000, now: NOW, held: [0, 0, 0, 0, 0], day: 20_453, draws: 0, gifts: 0, joined: false, drawn: [], ...more,
});

function opened(more) {
  const model = new FuModel();
  model.onCampaign(push());
  model.onMine(mine(more));
  return model;
}

test("nothing is shown without a campaign, an ended one for a day", () => {
  const model = new FuModel();
  assert.equal(model.isShown(NOW), false);
  model.onCampaign(push());
  assert.equal(model.isShown(NOW), true);
  assert.equal(model.isRunning(NOW), true);
  assert.equal(model.isRunning(NOW + 60_000), false, "its time has come");
  model.onCampaign(push({state: "SHARED", rain: "R1"}));
  assert.equal(model.isShown(NOW + 60_000), true);
  assert.equal(model.isShown(NOW + 60_000 + 25 * 3600 * 1000), false);
  model.onCampaign(push({state: "GIVEN_BACK"}));
  assert.equal(model.isShown(NOW), false, "nothing to see");
});

test("an event of today is done, one of yesterday is not", () => {
  const model = opened({drawn: [{event: "join:20453", card: 1, at: NOW}, {event: "signin:20452", card: 2, at: NOW}], draws: 1});
  assert.equal(model.eventState("join", NOW), "done");
  assert.equal(model.eventState("signin", NOW), "ready");
  assert.equal(model.drawsLeft, 2);
  model.onAnswer({card: 2, held: [1, 1, 0, 0, 0], draws: 2, gifts: 0}, "signin");
  assert.equal(model.eventState("signin", NOW), "done");
  assert.equal(model.drawsLeft, 1);
  assert.equal(model.missing, 3);
});

test("a rain gives a card once it has opened, if it is of the campaign's time", () => {
  const model = opened();
  assert.equal(model.eventState("rain", NOW), "none");
  model.onRain({config_code: "R0", open_at: NOW - 5000, kind: "rain"});
  assert.equal(model.eventState("rain", NOW), "none", "before the campaign");
  model.onRain({config_code: "R1", open_at: NOW + 1000, kind: "rain"});
  assert.equal(model.eventState("rain", NOW), "none", "not open yet");
  assert.equal(model.eventState("rain", NOW + 1000), "ready");
  model.onRain({config_code: "P1", open_at: NOW + 1500, kind: "group"});
  assert.equal(model.rain.code, "R1", "packets of users give none");
  model.onAnswer({held: [0, 0, 0, 0, 1], draws: 1}, "rain");
  assert.equal(model.eventState("rain", NOW + 2000), "done");
  model.onRain({config_code: "R2", open_at: NOW + 3000});
  assert.equal(model.eventState("rain", NOW + 3000), "ready", "the next one");
  model.onMine(mine({drawn: [{event: "rain:R2", card: 1, at: NOW}]}));
  assert.equal(model.eventState("rain", NOW + 3000), "done");
});

test("who has all five may join, once", () => {
  const model = opened({held: [1, 2, 1, 1, 0]});
  assert.equal(model.mayJoin(NOW), false);
  model.onAnswer({held: [1, 1, 1, 1, 1], gifts: 1});
  assert.equal(model.mayJoin(NOW), true);
  assert.equal(model.mayJoin(NOW + 60_000), false);
  model.onMine(mine({held: [1, 1, 1, 1, 1], joined: true}));
  assert.equal(model.mayJoin(NOW), false);
});

test("another campaign forgets what the last one knew", () => {
  const model = opened({held: [1, 1, 1, 1, 1], drawn: [{event: "join:20453", card: 1, at: NOW}]});
  model.onCampaign(push({code: "C2"}));
  assert.equal(model.missing, 5);
  assert.equal(model.eventState("join", NOW), "ready");
});

test("the console's form becomes FU_CREATE, or says what is wrong", () => {
  const form = {pool: "88.80", minutes: "60", split: "equal", winners: "", draws: "5", text: " 新春 ", weights: WEIGHTS.map((n) => String(n / 100)), stock: STOCK.map(String)};
  assert.deepEqual(fuBody(form, NOW).body, {
    pool: 8880, share_at: NOW + 3_600_000, split: "equal", day_draws: 5, text: "新春", weights: "3000,2500,2500,1500,500", stock: "30000,25000,25000,15000,5000",
  });
  assert.equal(fuBody({...form, winners: "88"}, NOW).body.winners, 88);
  const wrong = (change) => Object.keys(fuBody({...form, ...change}, NOW).errors);
  assert.deepEqual(wrong({pool: ""}), ["pool"]);
  assert.deepEqual(wrong({pool: "0.50", winners: "51"}), ["pool"], "a fen per winner");
  assert.deepEqual(wrong({minutes: "0", winners: "5001", draws: "101"}), ["minutes", "winners", "draws"]);
  assert.deepEqual(wrong({weights: ["1", "1", "1", "1", "1"]}), ["weights"]);
  assert.deepEqual(wrong({weights: ["100", "0", "0", "0", "0"]}), ["weights"]);
  assert.equal(fuBody({...form, weights: ["30.25", "24.75", "25", "15", "5"]}, NOW).body.weights, "3025,2475,2500,1500,500", "in hundredths of a percent");
  assert.deepEqual(wrong({stock: ["1", "1", "1", "1", ""]}), ["stock"]);
});

// The provable split: its hash is told before, its seed only when every shard is closed, and whoever has both finds every amount.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {createHash} from "node:crypto";
import {readFileSync} from "node:fs";
import {amountsOf, prove} from "../../web-demo/prove.js";
import {enter} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {closeRain, grabAll, newRoom, settled, showRain, startRain} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 1}); });
after(() => stack?.stop());

const {vectors} = JSON.parse(readFileSync(new URL("../vectors/split.json", import.meta.url), "utf8"));
const sha1 = (amounts) => createHash("sha1").update(amounts.join(",")).digest("hex");

const offline = (v, more = []) => stack.ctl(["prove", "--seed", v.seed, "--code", v.code, "--total", v.total, "--count", v.count,
  "--split", v.split, "--lo", v.lo, "--hi", v.hi, "--shards", v.shards, ...more].map(String));

for (const [split, spec] of [["double-mean", {lo: 10, hi: 900}], ["line-cut", {lo: 2}], ["equal", {}]]) {
  test(`${split}: hash, then seed, then every amount`, async () => {
    const room = newRoom("prove");
    const viewers = await Promise.all(["71", "72", "73"].map((user) => enter(stack, user, {room})));
    const {code} = await startRain(stack, {room, total: 3001, count: 30, limit: 4, shards: 3, split, ...spec});
    const {payload: config} = await viewers[0].push("RED_PACKET_CONFIG");
    assert.match(config.seed_hash, /^[0-9a-f]{64}$/);
    const [{seed}] = await stack.sql("SELECT HEX(seed) AS seed FROM t_red_packet_config WHERE config_code = ?", [code]);
    const secret = seed.toLowerCase();
    const wins = (await Promise.all(viewers.map((v) => grabAll(v, code)))).flatMap((r) => r.wins);
    assert.ok(wins.length >= 6);
    const early = await stack.ctl(["prove", code]);
    assert.equal(early.code, 1);
    assert.match(early.stderr, /secret/);
    assert.ok(!`${early.stdout}${early.stderr}`.includes(secret));
    assert.ok(!JSON.stringify(await showRain(stack, code)).includes(secret), "the API does not tell it");
    for (const v of viewers) {
      assert.ok(!JSON.stringify(v.pushes ?? []).includes(secret), "no push tells it before the end");
    }
    await closeRain(stack, code);
    await settled(stack, code);
    const {payload: result} = await viewers[0].push("RED_PACKET_RESULT");
    assert.equal(result.seed, secret);
    assert.equal(createHash("sha256").update(Buffer.from(result.seed, "hex")).digest("hex"), config.seed_hash);
    const proof = await prove(result, config.seed_hash, [...wins, ...result.top, result.best]);
    assert.equal(proof.ok, true, JSON.stringify(proof));
    assert.ok(result.top.length >= 6);

    const {code: exit, json} = await stack.ctl(["prove", code, "--list", "--json"]);
    assert.equal(exit, 0, JSON.stringify(json));
    assert.deepEqual([json.ok, json.verdict, json.status, json.grants, json.grants_wrong], [true, "proven", "SETTLED", wins.length, 0]);
    assert.deepEqual([json.hash_ok, json.sum_ok, json.bounds_ok, json.shards_ok], [true, true, true, true]);
    assert.deepEqual(json.amounts, await amountsOf({...result, code, total: result.total_price, count: result.total_count}));
    for (const w of wins) assert.equal(json.amounts[w.no * 3 + w.shard], w.amount);
    const shown = await stack.ctl(["prove", code]);
    assert.match(shown.stdout, /^verdict +proven$/m);
    const alone = await offline({...result, code, total: 3001, count: 30, shards: 3}, ["--seed-hash", config.seed_hash, "--json"]);
    assert.equal(alone.code, 0, alone.stderr);
    assert.deepEqual(alone.json.amounts, json.amounts);
    await Promise.all(viewers.map((v) => v.close()));
  });
}

test("a grant, a total or a seed that was changed is found", async () => {
  const room = newRoom("prove");
  const viewer = await enter(stack, "74", {room});
  const {code} = await startRain(stack, {room, total: 100, count: 4, limit: 4, shards: 1, split: "equal"});
  await grabAll(viewer, code);
  await closeRain(stack, code);
  await settled(stack, code);
  const change = async (sql, undo, expected) => {
    await stack.sql(sql, [code]);
    const {code: exit, json} = await stack.ctl(["prove", code, "--json"]);
    await stack.sql(undo, [code]);
    assert.equal(exit, 1, sql);
    assert.equal(json.verdict, "NOT PROVEN");
    for (const [key, value] of Object.entries(expected)) assert.equal(json[key], value, `${sql}: ${key}`);
  };
  await change("UPDATE rp_grant SET amount = amount + 1 WHERE code = ? AND packet_no = 2",
    "UPDATE rp_grant SET amount = amount - 1 WHERE code = ? AND packet_no = 2",
    {grants_wrong: 1, first_wrong: "shard 0 packet 2: 26 fen, the seed says 25"});
  await change("UPDATE rp_escrow SET total = total + 1, refunded = refunded + 1 WHERE code = ?",
    "UPDATE rp_escrow SET total = total - 1, refunded = refunded - 1 WHERE code = ?", {shards_ok: false, grants_wrong: 0});
  await change("UPDATE t_red_packet_config SET seed = REVERSE(seed) WHERE config_code = ?",
    "UPDATE t_red_packet_config SET seed = REVERSE(seed) WHERE config_code = ?", {hash_ok: false});
  assert.equal((await stack.ctl(["prove", code])).code, 0, "as it was again");
  await viewer.close();
});

test("the vectors, on the command line without any service", async () => {
  const far = ["--set", "mysql.url=mysql://nobody@127.0.0.1:1/none", "--set", "redis.url=redis://127.0.0.1:1/0"];
  for (const v of vectors) {
    const args = ["prove", "--seed", v.seed, "--code", v.code, "--total", v.total, "--count", v.count, "--split", v.split,
      "--lo", v.lo, "--hi", v.hi, "--shards", v.shards, "--seed-hash", v.seed_hash, "--json"].map(String);
    const {code, json, stderr} = await stack.ctl([...far, ...args]);
    assert.equal(code, 0, `${v.name}: ${stderr}`);
    assert.equal(json.seed_hash, v.seed_hash);
    assert.equal(sha1(json.amounts), v.amounts_hash, v.name);
    assert.deepEqual(json.amounts.slice(0, 10), v.amounts);
  }
  const [v] = vectors;
  const other = await offline(v, ["--seed-hash", "0".repeat(64), "--json"]);
  assert.equal(other.code, 1);
  assert.deepEqual([other.json.hash_ok, other.json.verdict], [false, "NOT PROVEN"]);
  const human = await offline(v, ["--list"]);
  assert.match(human.stdout, /^packet +shard 0 no 0 1$/m);
  assert.match(human.stdout, /^verdict +computed/m);
});

test("wrong usage ends with 2", async () => {
  const v = vectors[1];
  const wrong = [["prove"], ["prove", "short"], ["prove", "--seed", v.seed], ["prove", v.code, "--seed", v.seed]];
  for (const args of wrong) assert.equal((await stack.ctl(args)).code, 2, args.join(" "));
  for (const bad of [{seed: "00"}, {code: "x"}, {split: "fair"}, {total: 0}, {hi: 1}, {count: 2000000}]) {
    assert.equal((await offline({...v, ...bad})).code, 2, JSON.stringify(bad));
  }
  assert.equal((await offline(v, ["--split-ver", "2"])).code, 2);
  const unknown = await stack.ctl(["prove", "A".repeat(22)]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /NOT_FOUND/);
});

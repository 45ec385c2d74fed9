// The wallet service over HTTP: one Idempotency-Key, one effect, the same bytes for ever; and by redrainctl.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {startStack} from "../lib/stack.mjs";
import {balance} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 1, settler: false}); });
after(() => stack?.stop());

/** A wallet operation: {status, text, body, replayed}. key null leaves the header out. */
async function operate(op, body, key, method = "POST") {
  const answer = await fetch(`${stack.adminUrl}/api/v1/wallet/${op}`, {
    method, body: method === "GET" ? undefined : JSON.stringify(body),
    headers: {authorization: `Bearer ${stack.adminToken}`, ...(key === null ? {} : {"Idempotency-Key": key})},
  });
  const text = await answer.text();
  return {status: answer.status, text, body: JSON.parse(text), replayed: answer.headers.get("idempotency-replayed") === "true"};
}

async function done(op, body, key) {
  const answer = await operate(op, body, key);
  assert.equal(answer.status, 200, `${op} ${key}: ${answer.text}`);
  return answer;
}

async function log(user, query = "") {
  return (await stack.must("GET", `/api/v1/wallets/${user}/log${query}`)).log;
}

test("each operation, with its log", async () => {
  const first = await done("deposit", {user: "10", amount: 1000}, "a-deposit");
  assert.deepEqual({...first.body, at: 0},
    {result: 0, name: "OK", op: "deposit", user: "10", amount: 1000, balance: 1000, frozen: 0, at: 0});
  assert.equal(first.replayed, false);
  await done("debit", {user: "10", amount: 300}, "a-debit");
  await done("refund", {user: "10", amount: 100, of: "a-debit"}, "a-refund");
  await done("freeze", {user: "10", amount: 200}, "a-freeze");
  const unfrozen = await done("unfreeze", {user: "10", amount: 50, of: "a-freeze"}, "a-unfreeze");
  assert.deepEqual([unfrozen.body.balance, unfrozen.body.frozen], [650, 150]);
  const moved = await done("transfer", {user: "10", to: 11, amount: 650}, "a-transfer");
  assert.deepEqual([moved.body.user, moved.body.to, moved.body.balance], ["10", "11", 0]);
  await done("withdraw", {user: "11", amount: 50}, "a-withdraw");
  assert.equal(await balance(stack, 11), 600);
  const rows = await log(10);
  assert.deepEqual(rows.map((r) => [r.type, r.account, r.before, r.delta, r.after]), [
    ["transfer", "balance", 650, -650, 0], ["unfreeze", "balance", 600, 50, 650], ["unfreeze", "frozen", 200, -50, 150],
    ["freeze", "frozen", 0, 200, 200], ["freeze", "balance", 800, -200, 600], ["debit-refund", "balance", 700, 100, 800],
    ["debit", "balance", 1000, -300, 700], ["deposit", "balance", 0, 1000, 1000]]);
  const pages = [];
  for (let page = await log(10, "?limit=3"); page.length; page = await log(10, `?limit=3&before=${page.at(-1).id}`)) pages.push(...page);
  assert.deepEqual(pages, rows);
  await stack.verify();
});

test("a repeat gets the first answer, byte for byte, whatever happened since", async () => {
  await done("deposit", {user: 20, amount: 500}, "b-deposit");
  const first = await done("debit", {user: 20, amount: 200}, "b-debit");
  await done("debit", {user: 20, amount: 300}, "b-empty");
  const again = await done("debit", {amount: 200, user: "20"}, "b-debit");
  assert.equal(again.text, first.text);
  assert.equal(again.replayed, true);
  assert.equal(await balance(stack, 20), 0);
  for (const [op, body] of [["debit", {user: 20, amount: 201}], ["debit", {user: 21, amount: 200}], ["freeze", {user: 20, amount: 200}],
    ["deposit", {user: 20, amount: 200}]]) {
    const other = await operate(op, body, "b-debit");
    assert.deepEqual([other.status, other.body.name, other.body.retryable], [409, "CONFLICT", false], other.text);
  }
  const poor = await operate("debit", {user: 20, amount: 1}, "b-poor");
  assert.deepEqual([poor.status, poor.body.name, poor.body.field, poor.body.reason],
    [409, "CONFLICT", "balance", "the wallet does not hold that much"]);
  const still = await operate("debit", {user: 20, amount: 1}, "b-poor");
  assert.equal(still.text, poor.text, "a stable error");
  await done("deposit", {user: 20, amount: 1}, "b-more");
  await done("debit", {user: 20, amount: 1}, "b-poor");
});

test("many at once under one key: one effect, one answer", async () => {
  await done("deposit", {user: 30, amount: 1000}, "c-deposit");
  for (let round = 0; round < 5; round += 1) {
    const answers = await Promise.all(Array.from({length: 8}, () => done("transfer", {user: 30, to: 31, amount: 10}, `c-${round}`)));
    assert.equal(new Set(answers.map((a) => a.text)).size, 1);
    assert.equal(answers.filter((a) => !a.replayed).length, 1);
    assert.equal(await balance(stack, 31), 10 * (round + 1));
  }
  const both = Array.from({length: 40}, (_, i) => (i % 2 ? [30, 31] : [31, 30]))
    .map(([user, to], i) => operate("transfer", {user, to, amount: 7}, `c-both-${i}`));
  for (const {status, text} of await Promise.all(both)) assert.ok([200, 409, 503].includes(status), text);
  assert.equal(await balance(stack, 30) + await balance(stack, 31), 1000);
  await stack.verify();
});

test("bad requests are named", async () => {
  const good = {user: "1", amount: 1};
  const rows = [
    ["deposit", good, null, 400, "Idempotency-Key"], ["deposit", good, "a b", 400, "Idempotency-Key"],
    ["deposit", good, 'a"b', 400, "Idempotency-Key"], ["deposit", good, "a\\b", 400, "Idempotency-Key"],
    ["deposit", good, "x".repeat(65), 400, "Idempotency-Key"], ["deposit", good, "x".repeat(500), 400, "Idempotency-Key"],
    ["deposit", {amount: 1}, "k", 400, "user"], ["deposit", {user: "0", amount: 1}, "k", 400, "user"],
    ["deposit", {user: "x", amount: 1}, "k", 400, "user"], ["deposit", {user: 1}, "k", 400, "amount"],
    ["deposit", {user: 1, amount: 0}, "k", 400, "amount"], ["deposit", {user: 1, amount: -1}, "k", 400, "amount"],
    ["deposit", {user: 1, amount: 1.5}, "k", 400, "amount"], ["deposit", {user: 1, amount: "1"}, "k", 400, "amount"],
    ["deposit", {user: 1, amount: 1e12 + 1}, "k", 400, "amount"], ["transfer", good, "k", 400, "to"],
    ["transfer", {...good, to: "1"}, "k", 400, "to"], ["refund", good, "k", 400, "of"], ["unfreeze", good, "k", 400, "of"],
    ["refund", {...good, of: "nothing"}, "k", 404, "of"], ["explode", good, "k", 404], ["deposit/more", good, "k", 404],
  ];
  for (const [op, body, key, status, field] of rows) {
    const answer = await operate(op, body, key);
    assert.equal(answer.status, status, `${op} ${JSON.stringify(body)} ${key}: ${answer.text}`);
    if (field) assert.equal(answer.body.field, field, `${op} ${JSON.stringify(body)} ${key}`);
  }
  assert.equal((await operate("deposit", good, "x".repeat(64))).status, 200);
  assert.equal((await operate("deposit", good, "k", "GET")).status, 404);
  assert.equal((await stack.api("POST", "/api/v1/wallet/deposit", good, "wrong")).status, 401);
  for (const query of ["limit=0", "limit=501", "limit=x", "before=0", "before=-1", "before=1x", `before=${"9".repeat(30)}`]) {
    const answer = await stack.api("GET", `/api/v1/wallets/1/log?${query}`);
    assert.equal(answer.status, 400, query);
    assert.equal(answer.body.field, query.split("=")[0]);
  }
  assert.equal((await stack.api("GET", "/api/v1/wallets/0/log")).status, 404);
});

test("redrainctl wallet", async () => {
  const ok = async (...args) => {
    const result = await stack.ctl(["wallet", ...args]);
    assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
    return result;
  };
  await ok("deposit", "40", "1000", "--biz-id", "e-deposit");
  const {json: debit} = await ok("debit", "40", "100", "--biz-id", "e-debit", "--json");
  assert.deepEqual([debit.op, debit.balance], ["debit", 900]);
  await ok("debit", "40", "100", "--biz-id", "e-debit");
  await ok("refund", "40", "100", "--of", "e-debit", "--biz-id", "e-refund");
  await ok("freeze", "40", "10", "--biz-id", "e-freeze");
  await ok("unfreeze", "40", "10", "--of", "e-freeze", "--biz-id", "e-unfreeze");
  await ok("transfer", "40", "41", "400", "--biz-id", "e-transfer");
  const {json: left} = await ok("withdraw", "40", "600", "--biz-id", "e-withdraw", "--json");
  assert.equal(left.balance, 0);
  const {json: all} = await ok("log", "40", "--json");
  assert.equal(all.log.length, 9);
  const {json: page} = await ok("log", "40", "--limit", "2", "--before", String(all.log[0].id), "--json");
  assert.deepEqual(page.log, all.log.slice(1, 3));
  const {stdout} = await ok("log", "40", "--limit", "1");
  assert.match(stdout, /^\d+ .* balance +600 +-600 +0 +withdraw +e-withdraw$/m);
  const poor = await stack.ctl(["wallet", "debit", "40", "1", "--biz-id", "e-poor"]);
  assert.equal(poor.code, 1);
  assert.match(poor.stderr, /CONFLICT.*does not hold that much/);
  for (const args of [["debit", "40", "1"], ["refund", "40", "1", "--biz-id", "x"], ["transfer", "40", "1", "--biz-id", "x"],
    ["debit", "40", "1", "--biz-id", "a b"], ["debit", "40", "1", "--biz-id", "x", "--of", "y"], ["log"], ["log", "40", "--limit", "0"],
    ["show", "40", "--limit", "1"], ["explode", "40", "1", "--biz-id", "x"]]) {
    assert.equal((await stack.ctl(["wallet", ...args])).code, 2, args.join(" "));
  }
});

// Rains played through the admin API, and the books compared with what viewers were told.
import assert from "node:assert/strict";
import {randomBytes} from "node:crypto";
import {OP, until} from "../lib/ws.mjs";

export const ANCHOR = "9001";
const SETTLE_MS = 30_000;

let rooms = 0;
/** A room nobody else uses. */
export function newRoom(prefix = "room") {
  rooms += 1;
  return `${prefix}-${process.pid}-${rooms}`;
}

export const bizId = () => `b-${randomBytes(8).toString("hex")}`;

/** Funds the sender, creates and prepares; resolves with the code. */
export async function prepareRain(stack, spec) {
  const body = {sender: ANCHOR, count: 10, total: 1000, biz_id: bizId(), ...spec};
  await stack.deposit(body.sender, body.total);
  const {code} = await stack.must("POST", "/api/v1/rains", body);
  await stack.must("POST", `/api/v1/rains/${code}/prepare`, {});
  return code;
}

/** prepareRain, then starts it; resolves with {code, open_at, end_at}. */
export async function startRain(stack, {countdown_ms = 0, duration_ms = 60_000, ...spec}) {
  const code = await prepareRain(stack, spec);
  return stack.must("POST", `/api/v1/rains/${code}/start`, {countdown_ms, duration_ms});
}

export const closeRain = (stack, code) => stack.must("POST", `/api/v1/rains/${code}/close`, {});
export const showRain = (stack, code) => stack.must("GET", `/api/v1/rains/${code}`);

/** Waits until the rain is SETTLED; resolves with it. */
export function settled(stack, code, timeoutMs = SETTLE_MS) {
  return until(() => `rain ${code} is SETTLED`, async () => {
    const rain = await showRain(stack, code);
    if (rain.status !== "SETTLED") throw new Error(JSON.stringify(rain));
    return rain;
  }, {timeoutMs, everyMs: 100});
}

/** Grabs until an answer is no win; resolves with the wins: [{user, code, seq, shard, no, amount}]. */
export async function grabAll(client, code, {max = Infinity} = {}) {
  const wins = [];
  for (let seq = 0; wins.length < max; seq += 1) {
    let again = false;
    let reply = await client.grab(code, seq, again);
    while (["RATE_LIMITED", "BUSY", "NOT_STARTED", "RECOVERING"].includes(reply.name)) {
      await new Promise((resolve) => { setTimeout(resolve, reply.retry_after_ms ?? 50); });
      again = true;
      reply = await client.grab(code, seq, again);
    }
    if (reply.name !== "OK") return {wins, last: reply};
    wins.push({user: client.user, code, seq: reply.seq, shard: reply.shard, no: reply.no, amount: reply.amount});
  }
  return {wins, last: null};
}

const key = (g) => `${g.user}/${g.seq}/${g.shard}/${g.no}=${g.amount}`;

/**
 * The books of one rain against what viewers were told, by SQL of our own: each told win is one grant and is in that
 * wallet, nothing else is, and the sender has the rest back. `maybe`: wins that were PENDING and never told.
 */
export async function assertBooks(stack, code, told, {total, sender = ANCHOR, maybe = 0} = {}) {
  const rows = await stack.sql(
    "SELECT user_id, seq, shard, packet_no, amount, state FROM rp_grant WHERE code = ? AND state <> 3", [code]);
  const inBooks = new Set(rows.map((r) => key({user: r.user_id, seq: r.seq, shard: r.shard, no: r.packet_no, amount: r.amount})));
  const wins = new Set(told.map(key));
  assert.equal(wins.size, told.length, "no win is told twice as two");
  for (const win of wins) assert.ok(inBooks.has(win), `told but not in the books: ${win}`);
  assert.ok(inBooks.size - wins.size <= maybe && inBooks.size >= wins.size,
    `in the books and not told: ${[...inBooks].filter((g) => !wins.has(g)).join(" ")}`);
  const perUser = new Map();
  for (const r of rows) perUser.set(String(r.user_id), (perUser.get(String(r.user_id)) ?? 0) + Number(r.amount));
  const logged = await stack.sql(
    "SELECT account_id, SUM(delta) AS fen FROM account_log WHERE account_kind = 'balance' AND account_id <> ? "
    + "AND biz_id LIKE ? GROUP BY account_id", [sender, `%${code}%`]);
  const credited = new Map(logged.map((r) => [String(r.account_id), Number(r.fen)]));
  for (const [user, fen] of perUser) assert.equal(credited.get(user), fen, `user ${user} is credited what he won`);
  assert.equal(credited.size, perUser.size, "nobody else is credited");
  const [escrow] = await stack.sql("SELECT SUM(total) AS total, SUM(remain) AS remain, SUM(settled) AS settled, "
    + "SUM(refunded) AS refunded FROM rp_escrow WHERE code = ?", [code]);
  const won = [...perUser.values()].reduce((sum, fen) => sum + fen, 0);
  assert.equal(Number(escrow.settled), won);
  if (total !== undefined) {
    assert.equal(Number(escrow.total), total);
    assert.equal(Number(escrow.settled) + Number(escrow.refunded) + Number(escrow.remain), total);
  }
}

/** Balance in the wallet by SQL; 0 without a row. */
export async function balance(stack, user) {
  const [row] = await stack.sql("SELECT balance, frozen FROM wallet WHERE user_id = ?", [user]);
  return row ? Number(row.balance) : 0;
}

/** A client that still answers: after bad input of another one, or of itself. */
export async function assertAlive(client) {
  const reply = await client.request(OP.PING, {t0: 1});
  assert.equal(reply.name, "OK");
  assert.equal(reply.t0, 1);
}

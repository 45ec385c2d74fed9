// Who was told what, and whether the books agree: the judge after every fault.
//
// It trusts two sources only: what viewers saw on their sockets (History) and SQL of its own. No counter of a server, no
// checker of ours decides; `redrainctl verify` is asked on top, as one more witness.
import assert from "node:assert/strict";
import {OP, enter, pooled, until, within} from "./ws.mjs";

/** Answers that end a (code, seq) without a win. Everything else that is not OK may be asked again. */
export const FINAL_NO = new Set(["SOLD_OUT", "LIMIT", "ENDED", "NOT_ELIGIBLE"]);
const ASK_MS = 3000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What viewers asked and what they were answered, in order. */
export class History {
  events = []; // {at, user, code, seq, name, shard, no, amount}; name "-" is: no answer
  opened = new Map(); // "user/code/seq" -> true while nothing final was said
  told = 0;
  pending = 0;

  #note(event) { this.events.push({at: Date.now(), ...event}); }
  asked(user, code, seq) { this.opened.set(`${user}/${code}/${seq}`, true); }

  answered(user, code, seq, reply) {
    const {name, shard, no, amount} = reply;
    this.#note({user, code, seq, name, shard, no, amount});
    if (name === "PENDING") this.pending += 1;
    if (name === "OK") this.told += 1;
    if (name === "OK" || FINAL_NO.has(name)) this.opened.delete(`${user}/${code}/${seq}`);
  }

  unanswered(user, code, seq) { this.#note({user, code, seq, name: "-"}); }

  /** Distinct wins that were told: [{user, code, seq, shard, no, amount}]. */
  wins(code) {
    const seen = new Map();
    for (const {user, code: c, seq, name, shard, no, amount} of this.events) {
      if (name === "OK" && (code === undefined || c === code)) {
        seen.set([user, c, seq, shard, no, amount].join("/"), {user, code: c, seq, shard, no, amount});
      }
    }
    return [...seen.values()];
  }

  names(code) { return new Set(this.events.filter((e) => code === undefined || e.code === code).map((e) => e.name)); }
}

/**
 * A viewer that gives up nothing, as the protocol asks of a client: reconnects, repeats each (code, seq) with `again`
 * until it has a final answer. Ends with the first final no, after `max` wins, or at the deadline (which fails).
 * @param {object} o {stack, history, user, room, code, deadline, max, pace_ms, wsUrl}
 */
export async function playViewer({stack, history, user, room, code, deadline = Date.now() + 45_000, max = Infinity, paceMs = 0}) {
  let client = null;
  let seq = 0;
  let again = false;
  let won = 0;
  while (won < max) {
    if (Date.now() > deadline) throw new Error(`user ${user} has no final answer for seq ${seq}: ${JSON.stringify(history.events.filter((e) => e.user === user).slice(-5))}`);
    let reply;
    try {
      client ??= await enter(stack, user, {room});
      history.asked(user, code, seq);
      const asked = client.ask(OP.GRAB, {code, seq, again});
      asked.first.then((r) => { if (r.name === "PENDING") history.answered(user, code, seq, r); }, () => {});
      reply = await within(asked.final, ASK_MS, "a final answer");
    } catch {
      history.unanswered(user, code, seq);
      if (client?.isClosed) client = null;
      again = true;
      await sleep(50);
      continue;
    }
    history.answered(user, code, seq, reply);
    if (reply.name === "OK") {
      seq += 1;
      won += 1;
      again = false;
      if (paceMs) await sleep(paceMs);
    } else if (FINAL_NO.has(reply.name)) {
      break;
    } else {
      // NOT_FOUND: a worker that has just started does not know the rain before its room is loaded.
      again = true;
      await sleep(Math.min(reply.retry_after_ms ?? 100, 500));
    }
  }
  await client?.close();
}

/** Asks for every win once more, by a new socket: the same packet, the same amount. */
export async function repeatWins(stack, history, code, room) {
  const byUser = new Map();
  for (const w of history.wins(code)) byUser.set(w.user, [...(byUser.get(w.user) ?? []), w]);
  await pooled([...byUser], 8, async ([user, wins]) => {
    const client = await enter(stack, user, {room});
    for (const w of wins) {
      const reply = await until(`user ${user} is told seq ${w.seq} again`, async () => {
        const r = await client.grab(code, w.seq, true);
        if (["BUSY", "RATE_LIMITED", "RECOVERING", "UNAVAILABLE", "NOT_FOUND"].includes(r.name)) throw new Error(r.name);
        return r;
      });
      assert.deepEqual({name: reply.name, shard: reply.shard, no: reply.no, amount: reply.amount},
        {name: "OK", shard: w.shard, no: w.no, amount: w.amount}, `user ${user}, seq ${w.seq} again`);
    }
    await client.close();
  });
}

const number = (value) => Number(value ?? 0);
const key = (g) => `${g.user}/${g.seq}/${g.shard}/${g.no}=${g.amount}`;

/** Everything SQL has on one rain. */
async function readBooks(stack, code) {
  const [config] = await stack.sql("SELECT status, total_price, limit_per_user, sender_id FROM t_red_packet_config WHERE config_code = ?", [code]);
  assert.ok(config, `rain ${code} is in the books`);
  const grants = (await stack.sql("SELECT user_id, seq, shard, packet_no, amount, state FROM rp_grant WHERE code = ?", [code]))
    .map((r) => ({user: r.user_id === null ? null : String(r.user_id), seq: r.seq, shard: r.shard, no: r.packet_no, amount: number(r.amount), state: r.state}));
  const [escrow] = await stack.sql("SELECT SUM(total) AS total, SUM(remain) AS remain, SUM(settled) AS settled, SUM(refunded) AS refunded FROM rp_escrow WHERE code = ?", [code]);
  const log = await stack.sql("SELECT account_kind, account_id, delta, biz_type, biz_id FROM account_log WHERE biz_id LIKE ?", [`%${code}%`]);
  const open = await stack.sql("SELECT (SELECT COUNT(*) FROM rp_dead WHERE code = ? AND state <> 'closed') AS dead, "
    + "(SELECT COUNT(*) FROM rp_conflict WHERE code = ? AND state <> 'closed') AS conflict", [code, code]);
  return {config, grants, escrow, log, open: open[0]};
}

/**
 * RELIABILITY's oracle on one rain that has come to rest. Fails with the invariant's name.
 * @param {object} o {total, sender, limit; settled: false while it may not have ended}
 */
export async function assertOracle(stack, history, code, {total, sender, settled = true, status = "SETTLED"} = {}) {
  const {config, grants, escrow, log, open} = await readBooks(stack, code);
  const live = grants.filter((g) => g.state !== 3);
  const voids = grants.filter((g) => g.state === 3);
  const sum = (rows) => rows.reduce((fen, row) => fen + row.amount, 0);

  // I1: what the harness put in is settled or came back, to the fen; nothing is left in between.
  const put = total ?? number(config.total_price);
  assert.equal(number(escrow.total), put, "I1: the escrow holds what was put in");
  assert.equal(number(escrow.settled) + number(escrow.refunded) + number(escrow.remain), put, "I1: total = settled + refunded + remain");
  assert.equal(number(escrow.settled), sum(live), "I1: settled is the sum of the grants");
  if (settled) {
    assert.equal(number(escrow.remain), 0, "I1: nothing remains");
    assert.deepEqual({dead: number(open.dead), conflict: number(open.conflict)}, {dead: 0, conflict: 0}, "I1: no open row");
  }
  const of = (user) => log.filter((r) => r.account_kind !== "escrow" && String(r.account_id) === String(user));
  const from = String(sender ?? config.sender_id);
  const senderDelta = of(from).reduce((fen, r) => fen + number(r.delta), 0);
  const senderWon = sum(live.filter((g) => g.user === from));
  assert.equal(senderDelta, -put + number(escrow.refunded) + senderWon, "I1: the sender has the rest back, once");

  // I2: a packet once, a user at most `limit` times, each seq once.
  const packets = new Set(grants.map((g) => `${g.shard}/${g.no}`));
  assert.equal(packets.size, grants.length, "I2: each packet once");
  const perUser = new Map();
  for (const g of live) perUser.set(g.user, [...(perUser.get(g.user) ?? []), g]);
  for (const [user, list] of perUser) {
    assert.ok(list.length <= config.limit_per_user, `I2: user ${user} has ${list.length} of ${config.limit_per_user}`);
    assert.equal(new Set(list.map((g) => g.seq)).size, list.length, `I2: user ${user} has each seq once`);
  }

  // I3: told is paid, exactly that, exactly once, in the wallet's own log.
  const wins = history.wins(code);
  const inBooks = new Set(live.map(key));
  for (const w of wins) assert.ok(inBooks.has(key(w)), `I3: told and not in the books: ${key(w)}`);
  const told = new Map();
  for (const w of wins) {
    const before = told.get(`${w.user}/${w.seq}`);
    assert.ok(!before || before === key(w), `I5: user ${w.user} was told two things for seq ${w.seq}: ${before} and ${key(w)}`);
    told.set(`${w.user}/${w.seq}`, key(w));
  }
  for (const [user, list] of perUser) {
    const credited = of(user).filter((r) => r.biz_type === "grant").reduce((fen, r) => fen + number(r.delta), 0);
    assert.equal(credited, sum(list), `I3: user ${user} is credited his grants, once`);
  }
  const paid = log.filter((r) => r.biz_type === "grant" && r.account_kind !== "escrow").reduce((fen, r) => fen + number(r.delta), 0);
  assert.equal(paid, sum(live), "I3: nobody else is credited");

  // I4: nobody was finally refused what the books say he has.
  for (const e of history.events) {
    if (e.code !== code || !FINAL_NO.has(e.name)) continue;
    assert.ok(!live.some((g) => g.user === String(e.user) && g.seq === e.seq), `I4: user ${e.user} was told ${e.name} for seq ${e.seq}, which he has`);
  }

  // I5: every question has a final answer.
  const left = [...history.opened.keys()].filter((k) => k.includes(code));
  assert.deepEqual(left, [], "I5: every request has a final answer");
  return {grants: live, voids, wins, config, escrow, hidden: live.filter((g) => !wins.some((w) => key(w) === key(g)))};
}

/** I4 by the viewers' own eyes: MY_GRANTS of each user shows all his grants. */
export async function assertVisible(stack, history, code, room) {
  const rows = await stack.sql("SELECT user_id, seq, amount FROM rp_grant WHERE code = ? AND state <> 3", [code]);
  const users = [...new Set(rows.map((r) => String(r.user_id)))];
  await pooled(users, 8, async (user) => {
    const client = await enter(stack, user, {room});
    const reply = await until("MY_GRANTS", async () => {
      const r = await client.request(OP.MY_GRANTS, {code});
      if (r.name !== "OK") throw new Error(r.name);
      return r;
    });
    const mine = rows.filter((r) => String(r.user_id) === user);
    for (const r of mine) {
      assert.ok(reply.grants.some((g) => g.seq === r.seq && g.amount === number(r.amount)), `I4: user ${user} sees his seq ${r.seq}: ${JSON.stringify(reply.grants)}`);
    }
    await client.close();
  });
}

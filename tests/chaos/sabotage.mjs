// Proof that the judge can say no: after healing, one fen or more goes wrong by hand, with rows that agree with each other.
import {rngOf} from "./rng.mjs";

export const SABOTAGES = ["lose", "double", "invent", "hide"];

const SETTLED = 1;

async function transaction(world, statements) {
  const connection = await world.connection();
  try {
    await connection.beginTransaction();
    for (const [query, params] of statements) {
      const [result] = await connection.query(query, params);
      if (result.affectedRows === 0) throw new Error(`sabotage: no row for ${query}`);
    }
    await connection.commit();
  } catch (error) {
    await connection.rollback();
    throw error;
  } finally {
    connection.release();
  }
}

const log = (kind, account, delta, type, biz, leg) => [
  "INSERT INTO account_log (account_kind, account_id, delta, balance_after, biz_type, biz_id, leg, created_at) "
  + "VALUES (?, ?, ?, IF(? = 'balance', (SELECT balance FROM wallet WHERE user_id = ?), NULL), ?, ?, ?, ?)",
  [kind, account, delta, kind, kind === "balance" ? account : 0, type, biz, leg, Date.now()]];
const wallet = (user, delta) => ["UPDATE wallet SET balance = balance + ? WHERE user_id = ?", [delta, user]];

/** A settled grant of somebody is gone: row, log and money; the sender has it back. */
async function lose(world, rng) {
  const rows = await world.sql("SELECT g.code, g.shard, g.packet_no, g.user_id, g.seq, g.amount, c.sender_id FROM rp_grant g "
    + "JOIN t_red_packet_config c ON c.config_code = g.code WHERE g.state = ? ORDER BY g.code, g.shard, g.packet_no", [SETTLED]);
  const g = rng.pick(rows);
  const biz = `V:${g.code}:${g.shard}:${g.packet_no}`;
  await transaction(world, [
    ["DELETE FROM rp_grant WHERE code = ? AND shard = ? AND packet_no = ?", [g.code, g.shard, g.packet_no]],
    ["DELETE FROM account_log WHERE biz_type = 'grant' AND biz_id = ?", [`${g.code}:${g.user_id}:${g.seq}`]],
    wallet(g.user_id, -g.amount), wallet(g.sender_id, g.amount),
    ["UPDATE rp_escrow SET settled = settled - ?, settled_cnt = settled_cnt - 1, refunded = refunded + ? WHERE code = ? AND shard = ?",
      [g.amount, g.amount, g.code, g.shard]],
    log("escrow", `${g.code}:${g.shard}`, -g.amount, "void", biz, 0), log("balance", g.sender_id, g.amount, "void", biz, 1),
  ]);
}

/** Somebody is paid a packet more than he asked for, from what the sender had got back. */
async function double(world, rng) {
  const rows = await world.sql("SELECT g.code, g.shard, g.user_id, g.seq, g.amount, c.sender_id FROM rp_grant g "
    + "JOIN t_red_packet_config c ON c.config_code = g.code JOIN rp_escrow e ON e.code = g.code AND e.shard = g.shard "
    + "WHERE g.state = ? AND e.refunded >= g.amount AND g.seq + 2 < c.limit_per_user AND g.seq = (SELECT MAX(seq) FROM rp_grant h WHERE h.code = g.code "
    + "AND h.user_id = g.user_id) ORDER BY g.code, g.user_id", [SETTLED]);
  const g = rng.pick(rows);
  const [{no}] = await world.sql("SELECT MAX(packet_no) + 1 AS no FROM rp_grant WHERE code = ? AND shard = ?", [g.code, g.shard]);
  const biz = `${g.code}:${g.user_id}:${g.seq + 2}`;
  await transaction(world, [
    ["INSERT INTO rp_grant (code, shard, packet_no, user_id, seq, amount, state, granted_at, settled_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",
      [g.code, g.shard, no, g.user_id, g.seq + 2, g.amount, Date.now(), Date.now()]],
    wallet(g.user_id, g.amount), wallet(g.sender_id, -g.amount),
    ["UPDATE rp_escrow SET settled = settled + ?, settled_cnt = settled_cnt + 1, refunded = refunded - ? WHERE code = ? AND shard = ?",
      [g.amount, g.amount, g.code, g.shard]],
    log("escrow", `${g.code}:${g.shard}`, -g.amount, "grant", biz, 0), log("balance", g.user_id, g.amount, "grant", biz, 1),
  ]);
}

/** A wallet grows as if by a deposit that nobody made. */
async function invent(world, rng) {
  const rows = await world.sql("SELECT DISTINCT user_id FROM rp_grant WHERE state = ? ORDER BY user_id", [SETTLED]);
  const user = rng.pick(rows).user_id;
  await transaction(world, [wallet(user, 100), log("external", "deposit", -100, "deposit", "sabotage", 0),
    log("balance", user, 100, "deposit", "sabotage", 1)]);
}

/** Tampers with the books; nothing for `hide`. */
export async function sabotageBooks(world, how, seed) {
  const rng = rngOf(seed, "sabotage");
  if (how === "lose") await lose(world, rng);
  if (how === "double") await double(world, rng);
  if (how === "invent") await invent(world, rng);
}

/** `hide`: one winner is not shown his grant, another one's OK was a final no. */
export function sabotageEvidence(evidence, how, seed) {
  if (how !== "hide") return;
  const rng = rngOf(seed, "sabotage");
  const winners = rng.shuffle(evidence.viewers.filter((v) => v.log.some((e) => e.kind === "answer" && e.name === "OK")));
  const [first, second = first] = winners;
  const win = rng.pick(first.log.filter((e) => e.kind === "answer" && e.name === "OK"));
  first.shown[win.code] = first.shown[win.code].filter((g) => g.seq !== win.seq);
  const last = second.log.filter((e) => e.kind === "answer" && e.name === "OK").at(-1);
  for (const e of second.log) {
    if (e.code !== last.code || e.seq !== last.seq || (e.kind !== "answer" && e.kind !== "push")) continue;
    if (e.name === "OK") e.name = "SOLD_OUT";
    delete e.amount;
  }
}

// After healing: waits until nothing is under way, then collects what the judge needs.
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {SERVERS, soon} from "./world.mjs";

const OVER = "(5, 6)";
const SOON_MS = 60_000;

const byUser = (rows) => Object.fromEntries(rows.map((r) => [String(r.user_id), Number(r.fen)]));

export const wallets = async (world) => byUser(await world.sql("SELECT user_id, balance + frozen AS fen FROM wallet"));

/** What still keeps the run from its end, as a text; "" when nothing does. */
export async function underWay(world, crowd) {
  const rows = await world.sql(`SELECT config_code, status FROM t_red_packet_config WHERE status NOT IN ${OVER}`);
  const parts = rows.slice(0, 3).map((r) => `rain ${r.config_code} in status ${r.status}`);
  if (rows.length > 3) parts.push(`${rows.length - 3} more rains`);
  if (!crowd.idle()) parts.push(`${crowd.unresolved()} grabs without an answer`);
  // Steps armed for later than any backoff are plans, not something under way.
  const [tasks] = await world.sql("SELECT COUNT(*) AS n FROM rp_task WHERE state = 0 AND next_at < ?", [Date.now() + SOON_MS]);
  if (!parts.length && Number(tasks.n)) parts.push(`${tasks.n} steps to do`);
  return parts.join(", ");
}

/** Rains that were never started are given up, as their anchor would. */
export async function cancelUnstarted(world) {
  const rows = await world.sql("SELECT config_code FROM t_red_packet_config WHERE status IN (1, 2)");
  for (const r of rows) await world.api("POST", `/api/v1/rains/${r.config_code}/cancel`, {}).catch(() => {});
}

/** Bounded by ms; resolves with what is still under way, "" when nothing is. */
export async function quiet(world, crowd, ms, progress) {
  let last = "unknown";
  await soon(async () => {
    await cancelUnstarted(world);
    last = await underWay(world, crowd);
    progress(last);
    return last === "";
  }, ms, 250);
  return last;
}

/** Entries the sweepers produced again, by the servers' logs: a restart does not set them back. */
function sweptOf(world) {
  let swept = 0;
  for (const name of SERVERS) {
    for (const [, n] of readFileSync(join(world.logs, `${name}.log`), "utf8").matchAll(/"outbox_swept"[^\n]*?"(\d+) entries/g)) swept += Number(n);
  }
  return swept;
}

async function shownTo(viewer, codes) {
  const shown = {};
  for (const code of codes) {
    shown[code] = await soon(() => viewer.grants(code), 20_000, 200) ?? [];
  }
  return shown;
}

async function books(world, before) {
  const rains = await world.sql("SELECT config_code, req_id, sender_id, total_price, status FROM t_red_packet_config");
  const grants = await world.sql("SELECT code, user_id, seq, shard, packet_no, amount, state, granted_at FROM rp_grant");
  const [escrow] = await world.sql("SELECT COALESCE(SUM(settled), 0) AS settled, COALESCE(SUM(refunded), 0) AS refunded FROM rp_escrow");
  const [open] = await world.sql("SELECT (SELECT COUNT(*) FROM rp_dead WHERE state <> 'closed') + "
    + "(SELECT COUNT(*) FROM rp_conflict WHERE state <> 'closed') AS n");
  const [aside] = await world.sql("SELECT (SELECT COUNT(*) FROM rp_dead) + (SELECT COUNT(*) FROM rp_conflict) AS n");
  const [offsets] = await world.sql("SELECT COALESCE(SUM(next_offset), 0) AS n FROM rp_offset");
  const verify = await world.ctl(["verify", "--all", "--json"]);
  let findings = 1;
  try {
    const json = JSON.parse(verify.stdout.trim().split("\n").at(-1));
    findings = json.ok ? 0 : Math.max(1, Number(json.findings?.length ?? json.findings) || 1);
  } catch { /* no answer is a finding */ }
  return {
    rains: rains.map((r) => ({code: r.config_code, reqId: r.req_id, sender: String(r.sender_id), total: Number(r.total_price), status: r.status})),
    grants: grants.map((r) => ({code: r.code, user: r.user_id === null ? null : String(r.user_id), seq: r.seq, shard: r.shard, no: r.packet_no,
      amount: Number(r.amount), state: r.state, grantedAt: Number(r.granted_at)})),
    before, after: await wallets(world), settledFen: Number(escrow.settled), refundedFen: Number(escrow.refunded),
    openRows: Number(open.n), consumed: Number(offsets.n) - Number(aside.n), findings, verify: verify.stdout + verify.stderr,
  };
}

export async function collect({world, crowd, rains, deposits, before, faults, wanted, seed}) {
  const all = await books(world, before);
  const codesOf = new Map();
  for (const g of all.grants) {
    if (!codesOf.has(g.user)) codesOf.set(g.user, new Set());
    codesOf.get(g.user).add(g.code);
  }
  const viewers = await Promise.all(crowd.viewers.map(async (v) => ({
    user: String(v.user), log: v.log, shown: await shownTo(v, codesOf.get(String(v.user)) ?? [])})));
  return {
    deposits, rains, viewers, books: all, seed, swept: sweptOf(world),
    windows: Object.fromEntries([...crowd.rains.values()].map((r) => [r.code, {openAt: r.openAt, endAt: r.endAt}])),
    faults: {kills: faults.kills, wanted, byTarget: faults.byTarget, done: faults.done},
  };
}

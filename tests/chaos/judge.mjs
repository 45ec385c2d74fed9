// The verdict, from what the viewers wrote down and from the books' tables. Pure: no clock, no files, no services.
//
// Evidence:
//   deposits  {sender: fen}            what the harness put into the senders' wallets, which were empty
//   rains     [{code?, reqId, sender, total, acked}]   what the harness asked for
//   windows   {code: {openAt, endAt}}  when a rain was open, as its room was told
//   viewers   [{user, log, shown: {code: rows of MY_GRANTS}}]
//   books     {rains: [{code, reqId, sender, total, status}], grants: [{code, user, seq, shard, no, amount, state, grantedAt}],
//              before, after: {user: fen, frozen included}, settledFen, refundedFen, openRows, consumed, findings}
//   faults    {kills, wanted, byTarget, done: [{at, backAt, target}]}, swept, seed
// A log is a list of {at, kind, …}: ask {code, seq, ask, again}, answer {code, seq, ask, name, shard, no, amount},
// push {biz, code, seq, shard, no, amount}, books {code, seq, found, shard, no, amount}.

export const FINAL_NO = new Set(["SOLD_OUT", "LIMIT", "ENDED", "NOT_ELIGIBLE"]);
export const STATUS_SETTLED = 5;
export const STATUS_CANCELLED = 6;
const STATE_VOID = 3;
const PROMPT_MS = 1000;
const MANY_KILLS = 200;
const SHARE_MIN = 0.05;

const packetOf = (x) => `${x.shard}/${x.no}=${x.amount}`;
const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);

/** What one viewer's log says of each (code, seq) he asked for. */
function readLog(log) {
  const keys = new Map();
  const of = (e) => {
    const key = `${e.code}/${e.seq}`;
    if (!keys.has(key)) keys.set(key, {code: e.code, seq: e.seq, asks: [], packets: new Map(), said: false, answered: false, no: null, finalAt: null});
    return keys.get(key);
  };
  const told = (k, e, said) => {
    k.packets.set(packetOf(e), {shard: e.shard, no: e.no, amount: e.amount});
    k.said ||= said;
    if (e.biz === "GRANT_SETTLED") return; // news, but no answer to what was asked
    k.answered = true;
    k.finalAt ??= e.at;
  };
  const counts = {pending: 0, recovering: 0};
  for (const e of log) {
    if (e.kind === "ask") of(e).asks[e.ask] = e.at;
    if (e.kind === "push" && e.amount !== undefined) told(of(e), e, e.biz === "GRAB_RESULT");
    if (e.kind === "books") {
      if (e.found) told(of(e), e, false);
      else of(e).no ??= e;
    }
    if (e.kind !== "answer") continue;
    const k = of(e);
    if (e.name === "PENDING") counts.pending += 1;
    if (e.name === "RECOVERING") counts.recovering += 1;
    if (e.name === "OK") {
      k.okAsk ??= e.ask;
      told(k, e, true);
    }
    // A "no" answers the newest question only: an older one may come from a cache while the newer one is granted.
    if (FINAL_NO.has(e.name) && e.ask === k.asks.length - 1 && k.packets.size === 0) {
      k.no ??= e;
      k.finalAt ??= e.at;
    }
  }
  return {keys, counts};
}

/** Compares one viewer's log with his rows and his wallet. */
function judgeViewer(viewer, rows, increase) {
  const {keys, counts} = readLog(viewer.log);
  const out = {...counts, told: 0, toldFen: 0, replayed: 0, unanswered: 0, lost: [], doubled: [], hidden: [], keys};
  const byKey = new Map();
  for (const row of rows) {
    const key = `${row.code}/${row.seq}`;
    if (byKey.has(key)) out.doubled.push(`${key}: two rows`);
    byKey.set(key, row);
  }
  let expected = 0;
  for (const [key, k] of keys) {
    const row = byKey.get(key);
    const [packet] = k.packets.values();
    if (k.packets.size > 1) out.doubled.push(`${key}: told ${[...k.packets.keys()].join(" and ")}`);
    if (k.said) {
      out.told += 1;
      out.toldFen += packet.amount;
    }
    if (packet) {
      expected += packet.amount;
      if (!row || !k.packets.has(packetOf(row))) out.lost.push(`${key}: told ${packetOf(packet)}, the books say ${row ? packetOf(row) : "nothing"}`);
      if (k.asks.length === 0) out.doubled.push(`${key}: told without having asked`);
    }
    if (!k.answered && !k.no && k.asks.length > 0) out.unanswered += 1;
    if (k.okAsk > 1 && row && row.grantedAt < k.asks[k.okAsk] - 1) out.replayed += 1;
  }
  for (const [key, row] of byKey) {
    const k = keys.get(key);
    const shown = (viewer.shown[row.code] ?? []).find((g) => g.seq === row.seq && packetOf(g) === packetOf(row)
      && ["settled", "held"].includes(g.state));
    if (!k || k.asks.length === 0) out.doubled.push(`${key}: paid ${packetOf(row)}, never asked for`);
    else if (k.no) out.hidden.push(`${key}: in the books as ${packetOf(row)}, the user was told ${k.no.name ?? "no"}`);
    else if (!shown) out.hidden.push(`${key}: in the books as ${packetOf(row)}, not shown to the user`);
    // Never told in the end, but asked for: that he has it is right, that he does not know it is counted above.
    if (k && k.packets.size === 0 && k.asks.length > 0) expected += row.amount;
  }
  if (increase > expected && !out.doubled.length) out.doubled.push(`wallet +${increase}, was told ${expected}`);
  if (increase < expected && !out.lost.length) out.lost.push(`wallet +${increase}, was told ${expected}`);
  return out;
}

/** A recovery needs these; what hurts one of them meanwhile starts its clock again. */
const isNeeded = (target) => ["redis", "kafka", "mariadb"].includes(target) || target.startsWith("settler");

/**
 * Seconds from a Redis being back, and from the end of the last fault of anything a recovery needs, until a rain that was open
 * answers somebody finally again; the longest.
 */
function recoveredMax(faults, windows, finals) {
  const needed = faults.done.filter((f) => isNeeded(f.target)).map((f) => ({at: f.at, end: f.backAt ?? f.at + (f.ms ?? 0)}));
  let max = 0;
  for (const f of faults.done) {
    if (f.target !== "redis" || !f.backAt) continue;
    for (const [code, w] of Object.entries(windows)) {
      if (f.at < w.openAt || f.at >= w.endAt) continue;
      const next = (finals.get(code) ?? []).find((at) => at >= f.backAt);
      if (!next) continue;
      const from = Math.max(f.backAt, ...needed.filter((x) => x.at < next).map((x) => x.end));
      max = Math.max(max, (next - from) / 1000);
    }
  }
  return Math.round(max * 10) / 10;
}

/** Share of the grabs first asked while their rain was open that had their final answer within a second. */
function availabilityOf(judged, windows) {
  let open = 0;
  let prompt = 0;
  for (const v of judged) {
    for (const k of v.keys.values()) {
      const w = windows[k.code];
      const first = k.asks.find((at) => at !== undefined);
      if (!w || first === undefined || first < w.openAt || first >= w.endAt) continue;
      open += 1;
      prompt += k.finalAt !== null && k.finalAt - first <= PROMPT_MS;
    }
  }
  return open ? Math.round(prompt / open * 1e4) / 1e4 : 0;
}

function finalsByRain(judged) {
  const finals = new Map();
  for (const v of judged) {
    for (const k of v.keys.values()) {
      if (k.finalAt === null) continue;
      if (!finals.has(k.code)) finals.set(k.code, []);
      finals.get(k.code).push(k.finalAt);
    }
  }
  for (const list of finals.values()) list.sort((a, b) => a - b);
  return finals;
}

/** What is wrong with the rains as such. */
function judgeRains(e, findings) {
  const byReq = new Map(e.books.rains.map((r) => [r.reqId, r]));
  let total = 0;
  for (const rain of e.rains) {
    const row = byReq.get(rain.reqId);
    if (rain.acked && (!row || row.code !== rain.code)) findings.push(`rain ${rain.code} was acknowledged and is not in the books`);
    if (!row) continue;
    total += rain.total;
    if (row.total !== rain.total) findings.push(`rain ${row.code}: asked for ${rain.total} fen, the books say ${row.total}`);
    byReq.delete(rain.reqId);
  }
  for (const row of byReq.values()) findings.push(`rain ${row.code} (${row.reqId}): nobody asked for it`);
  return total;
}

function packetsTwice(grants) {
  const seen = new Set();
  return grants.filter((g) => {
    const key = `${g.code}/${g.shard}/${g.no}`;
    const twice = seen.has(key);
    seen.add(key);
    return twice;
  }).length;
}

/** {line: the fields of the last line, findings: [text]}. */
export function judge(e) {
  const findings = [];
  const totalFen = judgeRains(e, findings);
  const grants = e.books.grants.filter((g) => g.state !== STATE_VOID);
  const rowsOf = groupBy(grants, (g) => String(g.user));
  const increaseOf = (user) => (e.books.after[user] ?? 0) - (e.books.before[user] ?? 0);
  const judged = e.viewers.map((v) => {
    const one = judgeViewer(v, rowsOf.get(String(v.user)) ?? [], increaseOf(v.user));
    for (const kind of ["lost", "doubled", "hidden"]) findings.push(...one[kind].map((text) => `${kind}: user ${v.user} ${text}`));
    return one;
  });
  const known = new Set([...e.viewers.map((v) => String(v.user)), ...Object.keys(e.deposits)]);
  const strangers = Object.keys(e.books.after).filter((user) => !known.has(user) && increaseOf(user) !== 0);
  for (const user of strangers) findings.push(`doubled: user ${user} is nobody's viewer and has ${increaseOf(user)} fen`);
  const viewersFen = sum(e.viewers, (v) => increaseOf(v.user));
  const backFen = sum(Object.entries(e.deposits), ([user, fen]) => (e.books.after[user] ?? 0) - fen) + totalFen;
  const unaccounted = totalFen - viewersFen - backFen;
  const stuck = e.books.rains.filter((r) => r.status !== STATUS_SETTLED && r.status !== STATUS_CANCELLED);
  for (const r of stuck) findings.push(`stuck: rain ${r.code} has status ${r.status}`);
  const line = {
    kills: e.faults.kills,
    kills_by_target: e.faults.byTarget,
    rains: e.books.rains.length,
    stuck_rains: stuck.length,
    told: sum(judged, (v) => v.told),
    told_fen: sum(judged, (v) => v.toldFen),
    pending: sum(judged, (v) => v.pending),
    replayed: sum(judged, (v) => v.replayed),
    swept: e.swept,
    duplicates: Math.max(0, e.books.consumed - grants.length),
    recovering: sum(judged, (v) => v.recovering),
    settled_fen: e.books.settledFen,
    refunded_fen: e.books.refundedFen,
    unaccounted_fen: unaccounted,
    lost_wins: sum(judged, (v) => v.lost.length),
    doubled: sum(judged, (v) => v.doubled.length) + strangers.length + packetsTwice(grants),
    hidden_wins: sum(judged, (v) => v.hidden.length),
    unanswered: sum(judged, (v) => v.unanswered),
    recovered_max_s: recoveredMax(e.faults, e.windows, finalsByRain(judged)),
    availability: availabilityOf(judged, e.windows),
    seed: e.seed,
  };
  findings.push(...complaints(e, line, viewersFen));
  line.verdict = findings.length ? "failed" : "ok";
  return {line, findings};
}

function groupBy(list, keyOf) {
  const map = new Map();
  for (const x of list) {
    if (!map.has(keyOf(x))) map.set(keyOf(x), []);
    map.get(keyOf(x)).push(x);
  }
  return map;
}

/** Everything the verdict depends on that is a number of the last line. */
function complaints(e, line, viewersFen) {
  const out = [];
  if (line.unaccounted_fen !== 0) out.push(`unaccounted: ${line.unaccounted_fen} fen`);
  if (line.settled_fen !== viewersFen) out.push(`the books settled ${line.settled_fen} fen, the viewers' wallets grew by ${viewersFen}`);
  if (line.unanswered) out.push(`${line.unanswered} grabs have no final answer`);
  if (packetsTwice(e.books.grants)) out.push("doubled: a packet was granted twice");
  if (e.books.openRows) out.push(`${e.books.openRows} open rows in rp_dead or rp_conflict`);
  if (e.books.findings) out.push(`redrainctl verify has ${e.books.findings} findings`);
  if (line.told === 0) out.push("nobody was told a win");
  if (line.kills < e.faults.wanted) out.push(`${line.kills} kills of ${e.faults.wanted}`);
  if (line.kills >= MANY_KILLS) {
    for (const name of ["pending", "replayed", "swept", "duplicates", "recovering"]) {
      if (!line[name]) out.push(`${name} is 0: the run did not reach what it is for`);
    }
    for (const [target, n] of Object.entries(line.kills_by_target)) {
      if (n < line.kills * SHARE_MIN) out.push(`${target} is only ${n} of ${line.kills} kills`);
    }
  }
  return out;
}

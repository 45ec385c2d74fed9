// Judges a rain from two sources only: what the viewers wrote down, and what is in SQL.
//
// told:      [{user, code, seq, shard, packet_no, amount}] the wins log, as written by the crowd
// pending:   [{user, seq}] questions that were answered PENDING at least once
// grants:    [{user, seq, shard, packet_no, amount}] rp_grant of the rain, settled or held for their users
// credits:   [{user, biz_id, delta}] account_log entries on the viewers' wallets for the rain
// increases: Map user → wallet (balance + frozen) now minus before
// Amounts are fen; user ids are decimal strings.

const winKey = (w) => `${w.user}:${w.seq}:${w.shard}:${w.packet_no}:${w.amount}`;
const seqKey = (w) => `${w.user}:${w.seq}`;

function sumByUser(rows, amountOf) {
  const sums = new Map();
  for (const row of rows) sums.set(row.user, (sums.get(row.user) ?? 0) + amountOf(row));
  return sums;
}

/** Distinct told wins, and the (user, seq) for which two different wins were told. */
function distinct(told, code) {
  const wins = new Map();
  const bySeq = new Map();
  const contradictions = new Set();
  const foreign = [];
  for (const win of told) {
    if (win.code !== code) {
      foreign.push(win);
      continue;
    }
    wins.set(winKey(win), win);
    const first = bySeq.get(seqKey(win));
    if (first !== undefined && first !== winKey(win)) contradictions.add(seqKey(win));
    bySeq.set(seqKey(win), winKey(win));
  }
  return {wins, contradictions, foreign};
}

/** How many credits a wallet got more than once, and what a wallet holds above its grants. */
function countDoubled({credits, increases, grantedFen}) {
  const perBiz = new Map();
  for (const c of credits) {
    if (c.delta > 0) perBiz.set(`${c.user} ${c.biz_id}`, (perBiz.get(`${c.user} ${c.biz_id}`) ?? 0) + 1);
  }
  const usersDoubled = new Set();
  let doubled = 0;
  for (const [key, times] of perBiz) {
    if (times > 1) {
      doubled += times - 1;
      usersDoubled.add(key.split(" ")[0]);
    }
  }
  for (const [user, increase] of increases) {
    if (increase > (grantedFen.get(user) ?? 0) && !usersDoubled.has(user)) doubled += 1;
  }
  return doubled;
}

/**
 * @returns {{told, told_fen, settled, settled_fen, lost_wins, doubled, stray, unaccounted_fen, problems: string[]}}
 */
export function judge({code, total, senderReturned, told, pending, grants, credits, increases}) {
  const problems = [];
  const {wins, contradictions, foreign} = distinct(told, code);
  const paidKeys = new Set(grants.map(winKey));
  const grantedFen = sumByUser(grants, (g) => g.amount);
  const toldFen = sumByUser(wins.values(), (w) => w.amount);
  const creditedFen = sumByUser(credits, (c) => c.delta);

  let lost = 0;
  const losers = new Set();
  for (const win of wins.values()) {
    if (!paidKeys.has(winKey(win))) {
      lost += 1;
      losers.add(win.user);
    }
  }
  for (const [user, fen] of toldFen) {
    if ((increases.get(user) ?? 0) < fen && !losers.has(user)) lost += 1;
  }

  const known = new Set([...[...wins.values()].map(seqKey), ...pending.map(seqKey)]);
  const stray = grants.filter((g) => !known.has(seqKey(g)));
  const toldOrPending = new Set([...toldFen.keys(), ...pending.map((p) => p.user)]);
  let strayWallets = 0;
  let logMismatch = 0;
  let increasesFen = 0;
  for (const [user, increase] of increases) {
    increasesFen += increase;
    if (increase !== 0 && !toldOrPending.has(user)) strayWallets += 1;
    if (increase !== (creditedFen.get(user) ?? 0)) logMismatch += 1;
  }
  const doubled = countDoubled({credits, increases, grantedFen});
  const unaccounted = total - increasesFen - senderReturned;

  const check = (bad, text) => bad && problems.push(text);
  check(wins.size === 0, "nobody was told of a win");
  check(lost > 0, `${lost} told wins are not in the viewer's wallet`);
  check(doubled > 0, `${doubled} credits too many`);
  check(contradictions.size > 0, `${contradictions.size} questions were answered with two different wins`);
  check(foreign.length > 0, `${foreign.length} wins of another rain in the log`);
  check(stray.length > 0, `${stray.length} settled grants that no viewer was told of or was waiting for`);
  check(strayWallets > 0, `${strayWallets} wallets credited without a word to the viewer`);
  check(logMismatch > 0, `${logMismatch} wallets differ from their account log`);
  check(unaccounted !== 0, `${unaccounted} fen are unaccounted for`);
  return {
    told: wins.size,
    told_fen: [...wins.values()].reduce((sum, w) => sum + w.amount, 0),
    settled: grants.length,
    settled_fen: grants.reduce((sum, g) => sum + g.amount, 0),
    lost_wins: lost,
    doubled,
    stray: stray.length + strayWallets,
    unaccounted_fen: unaccounted,
    problems,
  };
}

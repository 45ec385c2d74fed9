// The judge itself: of an honest history and honest books it says nothing, and each single lie it names.
import {test} from "node:test";
import assert from "node:assert/strict";
import {History, assertOracle} from "../../lib/oracle.mjs";

const CODE = "c0de";
const SENDER = "9001";

/** Two users, three packets of 30, 20 and 10 fen, one of them left over. */
function honest() {
  const history = new History();
  const grants = [
    {user_id: 1, seq: 0, shard: 0, packet_no: 0, amount: 30, state: 1},
    {user_id: 2, seq: 0, shard: 0, packet_no: 1, amount: 20, state: 1},
  ];
  for (const g of grants) {
    history.asked(String(g.user_id), CODE, g.seq);
    history.answered(String(g.user_id), CODE, g.seq, {name: "PENDING"});
    history.answered(String(g.user_id), CODE, g.seq, {name: "OK", shard: g.shard, no: g.packet_no, amount: g.amount});
  }
  const leg = (account_kind, account_id, delta, biz_type, biz_id) => ({account_kind, account_id, delta, biz_type, biz_id});
  return {
    history, grants,
    config: {status: 5, total_price: 60, limit_per_user: 1, sender_id: Number(SENDER)},
    escrow: {total: 60, remain: 0, settled: 50, refunded: 10},
    open: {dead: 0, conflict: 0},
    log: [leg("balance", SENDER, -60, "create", CODE), leg("escrow", `${CODE}:0`, 60, "create", CODE),
      ...grants.flatMap((g) => [leg("escrow", `${CODE}:0`, -g.amount, "grant", `${CODE}:${g.user_id}:0`), leg("balance", String(g.user_id), g.amount, "grant", `${CODE}:${g.user_id}:0`)]),
      leg("escrow", `${CODE}:0`, -10, "refund", `R:${CODE}:0`), leg("balance", SENDER, 10, "refund", `R:${CODE}:0`)],
  };
}

const judge = (w) => assertOracle({
  sql: async (query) => {
    if (query.includes("t_red_packet_config")) return [w.config];
    if (query.includes("FROM rp_grant")) return w.grants;
    if (query.includes("FROM rp_escrow")) return [w.escrow];
    if (query.includes("account_log")) return w.log;
    return [w.open];
  },
}, w.history, CODE, {total: 60});

test("honest books and histories pass", async () => {
  const {wins, hidden, voids} = await judge(honest());
  assert.deepEqual([wins.length, hidden.length, voids.length], [2, 0, 0]);
});

const told = (w, user, seq, reply) => {
  w.history.asked(user, CODE, seq);
  w.history.answered(user, CODE, seq, reply);
};

const LIES = {
  "I1: fen remain in a settled rain": (w) => { w.escrow.remain = 5; w.escrow.refunded = 5; },
  "I1: the rest never came back": (w) => { w.log = w.log.filter((r) => r.biz_type !== "refund"); },
  "I1: the rest came back twice": (w) => { w.log.push({...w.log.at(-1)}); },
  "I1: the sender paid less": (w) => { w.log[0].delta = -50; },
  "I1: an open row": (w) => { w.open.conflict = 1; },
  "I1: settled is more than the grants": (w) => { w.escrow.settled = 60; w.escrow.refunded = 0; },
  "I2: one packet twice": (w) => { w.grants[1].packet_no = 0; },
  "I2: one user over his limit": (w) => { w.grants[1].user_id = 1; w.grants[1].seq = 1; },
  "I3: told and not in the books": (w) => { told(w, "3", 0, {name: "OK", shard: 0, no: 2, amount: 10}); },
  "I3: another amount in the books": (w) => { w.grants[0].amount = 29; w.escrow.settled = 49; w.escrow.refunded = 11; },
  "I3: credited twice": (w) => { w.log.push({...w.log.find((r) => r.account_id === "1")}); },
  "I3: not credited": (w) => { w.log = w.log.filter((r) => r.account_id !== "1"); },
  "I3: somebody else is credited": (w) => { w.log.push({...w.log.find((r) => r.account_id === "1"), account_id: "77"}); },
  "I4: refused what he has": (w) => { told(w, "2", 0, {name: "SOLD_OUT"}); },
  "I5: two amounts for one seq": (w) => {
    told(w, "1", 0, {name: "OK", shard: 0, no: 2, amount: 10});
    w.grants.push({user_id: 1, seq: 0, shard: 0, packet_no: 2, amount: 10, state: 1});
  },
  "I5: no final answer": (w) => { w.history.asked("4", CODE, 0); },
};

for (const [lie, tell] of Object.entries(LIES)) {
  test(`found: ${lie}`, async () => {
    const world = honest();
    tell(world);
    await assert.rejects(judge(world), /I[1-5]:/);
  });
}

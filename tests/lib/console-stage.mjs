// A scripted room for the console's pages: rains, winners, audit rows, templates, money, all in memory. What a page shows of
// them, each state at once and exactly; the real server is tested on the real server.

import {RESULT} from "../../web-demo/constants.js";
import {startStage} from "./stage.mjs";

const code = (n) => `console-rain-${String(n).padStart(9, "0")}`;

export function rainRow(n, now, more = {}) {
  return {
    code: code(n), status: "CREATED", total: 10_000, count: 100, granted: 0, granted_fen: 0, settled: 0, settled_fen: 0, refunded_fen: 0,
    remain_fen: 10_000, open_at: 0, end_at: 0, split: "double-mean", limit: 2, shards: 2, text: "恭喜发财", created_at: now - n * 1000,
    seed_hash: "aa".repeat(32), kind: "rain", sender: "9", start_at: 0, expire_at: 0, ...more,
  };
}

/** A rain that is over: 80 of 100 taken. */
export const settledRow = (n, now, more = {}) => rainRow(n, now, {
  status: "SETTLED", granted: 80, granted_fen: 8000, settled: 80, settled_fen: 8000, refunded_fen: 2000, remain_fen: 0,
  open_at: now - 60_000, end_at: now - 30_000, ...more,
});

export const winnerOf = (i, now) => ({
  user: String(10_000 + i), seq: 0, shard: i % 2, no: (i - (i % 2)) / 2, amount: 88 + ((i * 37) % 900), state: i % 17 ? "settled" : "held", at: now - i * 20,
});

export function resultOf(rain, now) {
  const top = [3333, 2500, 2000, 1888, 1666, 1314, 1300, 1290, 1288, 1200].map((amount, i) => ({user: String(777 + i), amount, shard: 0, no: i}));
  return {
    config_code: rain.code, room: "stage", total_count: rain.count, total_price: rain.total, limit: 2, shards: 2, open_at: rain.open_at,
    end_at: now, sender: "9", kind: "rain", split: "double-mean", split_ver: 1, lo: 1, hi: rain.total, granted: rain.granted,
    granted_price: rain.granted_fen, refunded_price: rain.refunded_fen, max_price: 3333, best: top[0], top, hist: [[3333, 1]],
    sold_out_at: null, seed: "bb".repeat(32), seed_hash: "aa".repeat(32),
  };
}

/** startStage() with an anchor's answers; `room` holds what they tell and may be changed by the test. */
export async function startConsoleStage() {
  const stage = await startStage();
  const room = {
    rains: [], balance: 500_000, lag: 42, online: 12_873, winners: [], audit: [], templates: [],
    delivery: {expected: 1_204_331, sent: 1_204_290, dropped: 30, closed: 8, queued: 3, lost: 0, grabs: 5120, grabs_failed: 6},
    check: {findings: 0, unaccounted_fen: 0},
  };
  const find = ({code: of}) => room.rains.find((rain) => rain.code === of);
  const note = (action, of, detail = "", result = "OK") => {
    const id = 1000 + room.audit.length + 1;
    room.audit.unshift({id, at: stage.now(), user: "9", action, code: of ?? "", detail, result});
    return id;
  };
  const step = (action, status, change = () => ({})) => (body) => {
    const rain = find(body);
    Object.assign(rain, {status}, change(rain, body));
    return {result: RESULT.OK, code: rain.code, status, open_at: rain.open_at, end_at: rain.end_at, audit: note(action, rain.code)};
  };
  Object.assign(stage.answers, {
    HELLO: ({token}) => ({result: RESULT.OK, user: token.split(".")[0], name: "主播", role: "anchor", may_send: true, now: stage.now()}),
    STATS: () => ({
      result: RESULT.OK, delivery: room.delivery, online: room.online, balance: room.balance, now: stage.now(), lag_ms: room.lag,
      rains: room.rains,
    }),
    CREATE: (body) => {
      const n = room.rains.length + 1;
      const rain = rainRow(n, stage.now(), {
        created_at: stage.now(), total: body.total, remain_fen: body.total, count: body.count, limit: body.limit, text: body.text,
        kind: body.kind ?? "rain", start_at: body.start_at ?? 0, split: body.split,
      });
      room.rains.unshift(rain);
      room.balance -= body.total;
      const audit = note("CREATE", rain.code, `total=${body.total} count=${body.count} limit=${body.limit} kind=${rain.kind} start_at=0 biz_id=x`);
      return {result: RESULT.OK, code: rain.code, total: body.total, count: body.count, shards: 2, status: "CREATED", seed_hash: "", balance: room.balance, audit};
    },
    PREPARE: step("PREPARE", "PREPARED"),
    START: step("START", "SENT", (rain, {countdown_ms: c, duration_ms: d}) => ({open_at: stage.now() + c, end_at: stage.now() + c + d})),
    EXTEND: step("EXTEND", "SENT", (rain, {add_ms: ms}) => ({end_at: rain.end_at + ms})),
    CLOSE: step("CLOSE", "SETTLED", (rain) => ({refunded_fen: rain.total - rain.granted_fen, remain_fen: 0, settled: rain.granted, settled_fen: rain.granted_fen})),
    CANCEL: step("CANCEL", "CANCELLED", (rain) => ({refunded_fen: rain.total, remain_fen: 0})),
    ANNOUNCE: ({text}) => {
      note("ANNOUNCE", "", text);
      return {result: RESULT.OK};
    },
    MUTE: ({user, secs}) => {
      note("MUTE", "", `user=${user} secs=${secs}`);
      return {result: RESULT.OK};
    },
    KICK: ({user, secs}) => {
      note("KICK", "", `user=${user} secs=${secs}`);
      return {result: RESULT.OK};
    },
    WINNERS: ({user, limit = 100, after_shard: shard, after_no: no}) => {
      const from = no === undefined ? 0 : room.winners.findIndex((w) => w.shard === shard && w.no === no) + 1;
      const page = user ? room.winners.filter((w) => w.user === user) : room.winners.slice(from, from + limit);
      const last = page.at(-1);
      return {result: RESULT.OK, code: "", winners: page, next: !user && page.length === limit ? {shard: last.shard, no: last.no} : null};
    },
    AUDIT: ({before}) => ({result: RESULT.OK, rows: room.audit.filter(({id}) => !before || id < before).slice(0, 50)}),
    TEMPLATES: ({name, spec}) => {
      if (name) room.templates = room.templates.filter((row) => row.name !== name);
      if (name && spec) room.templates.push({name, spec});
      return {result: RESULT.OK, templates: room.templates};
    },
    CHECK: (body) => {
      const {status, total, settled_fen: settled, refunded_fen: refunded, remain_fen: remain} = find(body);
      return {result: RESULT.OK, code: body.code, status, total, settled_fen: settled, refunded_fen: refunded, remain_fen: remain, at: stage.now(), ...room.check};
    },
  });
  return {stage, room};
}

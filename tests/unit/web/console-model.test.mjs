import {test} from "node:test";
import assert from "node:assert/strict";
import {CreateTicket, books, checkCreate, checkStart, parseDetail, parseUsers, readTemplate, shownState, templateOf, verdict}
  from "../../../web-demo/console-model.js";
import {formatFen, parseCount, parseYuan, yuanDigits} from "../../../web-demo/money.js";
import {plain} from "../../../web-demo/dom.js";

test("yuan to fen without floats", () => {
  const cases = {
    "0.01": 1, "0.1": 10, "1": 100, "1.1": 110, "19.99": 1999, "0.29": 29, "1.15": 115,
    "4.35": 435, "1,234.5": 123450, " ¥8.88 ": 888, "￥3": 300, "999999999999.99": 99999999999999,
  };
  for (const [text, fen] of Object.entries(cases)) assert.equal(parseYuan(text), fen, text);
  for (const bad of ["", "abc", "1.234", "-1", "1e3", ".5", "1.", "0x10", "1 2", "NaN", "１"]) {
    assert.equal(parseYuan(bad), null, bad);
  }
  for (let fen = 0; fen < 20_000; fen += 7) assert.equal(parseYuan(yuanDigits(fen)), fen);
});

test("fen are shown exactly, with ¥ and grouping", () => {
  assert.equal(formatFen(123456), "¥1,234.56");
  assert.equal(formatFen(5), "¥0.05");
  assert.equal(formatFen(0, "en"), "¥0.00");
  assert.equal(formatFen(900719925474099, "en"), "¥9,007,199,254,740.99");
  assert.equal(yuanDigits(-105), "-1.05");
  assert.equal(formatFen(undefined), "¥–");
});

test("counts are plain integers", () => {
  assert.equal(parseCount("12"), 12);
  for (const bad of ["", "1.0", "-1", "1e2", "12a"]) assert.equal(parseCount(bad), null, bad);
});

const FORM = {total: "10.00", count: "100", limit: "2", lo: "0.01", split: "equal", text: " 你好 "};
const check = (change, balance = 100_000) =>
  checkCreate({...FORM, ...change}, balance, formatFen);

test("a good form gives CREATE's body", () => {
  const {errors, body, meanFen} = check({});
  assert.deepEqual(errors, {});
  assert.deepEqual(body,
    {total: 1000, count: 100, split: "equal", limit: 2, lo: 1, text: "你好", duration_ms: 30_000});
  assert.equal(meanFen, 10);
});

test("each field has its own error and no body is made", () => {
  for (const [change, field] of [
    [{total: "x"}, "total"], [{total: "0"}, "total"], [{total: "0.99"}, "total"],
    [{total: "5000.00"}, "total"], [{count: "0"}, "count"], [{count: "1000001"}, "count"],
    [{limit: "101"}, "limit"], [{count: "100000", total: "1000", limit: "1001"}, "limit"],
    [{limit: "0"}, "limit"], [{lo: "0"}, "lo"],
  ]) {
    const {errors, body} = check(change);
    assert.deepEqual(Object.keys(errors), [field], JSON.stringify(change));
    assert.equal(body, null);
  }
  assert.deepEqual(check({total: "5000"}, null).errors, {}, "an unknown balance blocks nothing");
});

test("start form", () => {
  assert.deepEqual(checkStart("5", "30"), {countdown_ms: 5000, duration_ms: 30_000});
  for (const [c, d] of [["0", "1"], ["1", "0"], ["3601", "1"], ["5", "86401"], ["x", "5"]]) {
    assert.equal(checkStart(c, d), null);
  }
});

test("SENT is shown by the clock", () => {
  const r = {status: "SENT", open_at: 10, end_at: 20};
  assert.deepEqual([5, 10, 19, 20].map((now) => shownState(r, now)),
    ["COUNTDOWN", "OPEN", "OPEN", "ENDED"]);
  assert.equal(shownState({status: "SETTLED"}, 5), "SETTLED");
  assert.equal(shownState(r, null), "COUNTDOWN");
});

test("the books balance or say that they do not", () => {
  const row = {total: 100, granted_fen: 60, settled_fen: 40, remain_fen: 60, refunded_fen: 0};
  assert.deepEqual(books(row),
    {settled: 40, pending: 20, remain: 40, refunded: 0, total: 100, balanced: true});
  assert.equal(books({...row, remain_fen: 59}).balanced, false);
  assert.deepEqual(books({...row, settled_fen: 60, remain_fen: 0, refunded_fen: 40}),
    {settled: 60, pending: 0, remain: 0, refunded: 40, total: 100, balanced: true});
  const late = books({...row, granted_fen: 30});
  assert.deepEqual([late.pending, late.remain], [0, 60], "an older count than the books is no debt");
});

test("biz_id stays until success, and changes with the content", () => {
  const map = new Map();
  const storage = {
    getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, v),
    removeItem: (k) => map.delete(k),
  };
  const ticket = new CreateTicket(storage, "r1");
  const id = ticket.take({total: 1});
  assert.equal(ticket.take({total: 1}), id, "a double click asks for the same rain");
  assert.equal(new CreateTicket(storage, "r1").take({total: 1}), id, "so does a reload");
  assert.notEqual(ticket.take({total: 2}), id);
  ticket.take({total: 1});
  ticket.done();
  assert.notEqual(ticket.take({total: 1}), id);
});

test("others' text cannot reorder or break the page", () => {
  assert.equal(plain("a\u202eb\u0000c\n"), "a b c ");
  assert.equal([...plain("x".repeat(500), 20)].length, 21);
  assert.equal(plain(null), "");
});

test("kinds: what does not apply is not sent, named users are checked", () => {
  const good = check({kind: "enterprise", users: "11，12 13", count: "3", limit: "1", split: "equal"});
  assert.deepEqual(good.errors, {});
  assert.deepEqual([good.body.kind, good.body.users, good.body.duration_ms], ["enterprise", "11,12,13", 86_400_000]);
  assert.deepEqual(Object.keys(check({kind: "enterprise", users: ""}).errors), ["users"]);
  assert.deepEqual(check({kind: "enterprise", users: "1,2", count: "3", limit: "1"}).errors.users, ["e.usersMore"]);
  assert.deepEqual(check({kind: "personal", users: "1,2"}).errors.users, ["e.usersOne"]);
  const personal = check({kind: "personal", users: "77", count: "999", split: "double-mean"});
  assert.deepEqual([personal.body.count, personal.body.limit, personal.body.split], [1, 1, "equal"]);
  assert.equal(check({kind: "group", split: "equal"}).body.split, "double-mean", "a split the kind does not know");
  assert.equal(parseUsers("1,x"), null);
  assert.equal(parseUsers("0"), null);
  assert.deepEqual(parseUsers(" 7,7、8 "), ["7", "8"]);
});

test("how it starts: by hand, now, in a while, at a time", () => {
  const now = Date.UTC(2026, 0, 1);
  const of = (more) => checkCreate({...FORM, ...more}, 100_000, formatFen, now);
  assert.deepEqual(of({}).begin, {mode: "manual"});
  assert.deepEqual(of({begin: "now"}).begin, {mode: "now", countdownMs: 5000});
  assert.deepEqual(of({begin: "after", after: "90"}).begin, {mode: "after", countdownMs: 90_000});
  for (const after of ["0", "3601", "x"]) assert.ok(of({begin: "after", after}).errors.after, after);
  const at = of({begin: "at", at: new Date(now + 60_000).toISOString()});
  assert.equal(at.body.start_at, now + 60_000);
  for (const ms of [-1, 5000, 8 * 86400000]) assert.ok(of({begin: "at", at: new Date(now + ms).toISOString()}).errors.at, String(ms));
  assert.ok(of({begin: "at", at: ""}).errors.at);
  assert.equal(shownState({status: "CREATED", start_at: now}, now), "SCHEDULED");
});

test("a tick is the checker's word and the sum together", () => {
  const rain = {status: "SETTLED", total: 100};
  const said = {findings: 0, unaccounted_fen: 0, remain_fen: 0, settled_fen: 60, refunded_fen: 40};
  assert.equal(verdict(rain, said), "ok");
  assert.equal(verdict(rain, null), "running");
  assert.equal(verdict({...rain, status: "SENT"}, said), "wait");
  for (const bad of [{findings: 1}, {unaccounted_fen: 1}, {remain_fen: 1}, {settled_fen: 59}]) {
    assert.equal(verdict(rain, {...said, ...bad}), "bad", JSON.stringify(bad));
  }
});

test("templates hold what the form knows, and nothing a stranger could add", () => {
  const spec = templateOf({...FORM, kind: "rain", duration: "20", users: "secret"});
  assert.deepEqual(readTemplate(spec), {...FORM, kind: "rain", duration: "20"});
  assert.deepEqual(readTemplate('{"total":"1","evil":"x","count":5}'), {total: "1"});
  for (const bad of ["", "null", "[", "7"]) assert.equal(readTemplate(bad), null, bad);
});

test("details of audit rows", () => {
  assert.deepEqual(parseDetail("total=100 count=5 kind=rain"), {total: "100", count: "5", kind: "rain"});
  assert.deepEqual(parseDetail("随便说的话"), {});
});

// MySQL fails in every way it can, in the middle of a rain. Grabs need no MySQL, so viewers see nothing of it but 确认中 in
// their list; the books catch up, each grant once. The rows are those of docs/FAULTS.md.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {rainUnder, startBehindProxies, toldMore} from "../lib/faults.mjs";
import {mysqlCommand, mysqlFails, mysqlTooMany} from "../lib/proxy.mjs";
import {mariadbKill9, mariadbPause, mariadbResume, mariadbStart} from "../lib/services.mjs";
import {OP, enter, until} from "../lib/ws.mjs";
import {ANCHOR, bizId, newRoom, startRain} from "./helpers.mjs";

const ANY_COMMIT = mysqlCommand(/^COMMIT/);
const GRANTS = mysqlCommand(/^INSERT INTO rp_grant/);
/** The COMMIT of a batch of grants, not of any other transaction. */
const COMMIT = (chunk, _text, link) => {
  if (GRANTS(chunk)) link.batch = true;
  return ANY_COMMIT(chunk) && link.batch && !(link.batch = false);
};

let stack;
let mysql; // the server's way
let books; // the settler's way
before(async () => {
  stack = await startBehindProxies({mysql: true, settlerMysql: true, workers: 2, conf: {"mysql.timeout_ms": 1000}});
  mysql = stack.proxies.mysql;
  books = stack.proxies.settlerMysql;
});
after(() => stack?.end());

const settledOf = async (code) => Number((await stack.sql("SELECT COUNT(*) AS n FROM rp_grant WHERE code = ?", [code]))[0].n);

/** Viewers see nothing of what happens to the books. */
async function unseen(hurt, o) {
  const done = await rainUnder(stack, hurt, o);
  const seen = [...done.history.names()].filter((n) => !["OK", "PENDING", "LIMIT"].includes(n));
  assert.deepEqual(seen, [], "a grab needs no MySQL");
  return done;
}

test("the answer to COMMIT is lost: the offset in the books says that it was", async () => {
  await unseen(async () => {
    // Each cut COMMIT is a batch that is in the books: a quick settler needs few of them for a whole rain.
    const rule = books.on({match: COMMIT, times: 2, then: "cut-after"});
    await rule.waitHit(2, 30_000);
    await books.heal();
  });
  await until("the settler says that the offset has moved", () => stack.logs().some((l) => l.includes('"offset_moved"')));
});

test("the connection goes before COMMIT arrives: rolled back, done again", () => unseen(async () => {
  await books.on({match: COMMIT, times: 4, then: "cut-before"}).waitHit(4, 30_000);
}));

for (const [number, name, where] of [
  [1213, "deadlock", GRANTS], [1205, "lock wait timeout", GRANTS], [1020, "record has changed", GRANTS],
  [1213, "deadlock", COMMIT], [1290, "read only", GRANTS], [1290, "read only", COMMIT], [1053, "shutdown", GRANTS],
  [1927, "killed", COMMIT], [1040, "too many connections", GRANTS],
]) {
  test(`MySQL says ${number} (${name}) ${where === COMMIT ? "to COMMIT" : "in the middle of a batch"}: the same batch again`, () => unseen(async () => {
    const rule = books.on({match: where, times: 3, then: mysqlFails(number, name)});
    await rule.waitHit(3, 30_000);
    await books.heal();
  }));
}

test("MySQL has gone away (2006): the connection was dead before the statement", () => unseen(async () => {
  await books.on({match: GRANTS, times: 3, then: "reset"}).waitHit(3, 30_000);
}));

test("the connection is lost in the middle of an answer (2013)", () => unseen(async () => {
  const asked = books.on({match: GRANTS, times: Infinity, then: {call: (link) => { link.marked = true; }}});
  const answered = books.on({to: "client", times: 3, then: "half", match: (_c, _t, link) => link.marked && !(link.marked = false)});
  await answered.waitHit(3, 30_000);
  assert.ok(asked.hits >= 3);
}));

test("too many connections (1040) at the door", () => unseen(async () => {
  const rule = books.on({to: "client", times: 3, then: {replace: mysqlTooMany}, match: (chunk) => chunk.length > 20 && chunk[3] === 0 && chunk[4] === 10});
  books.cut();
  await rule.waitHit(3, 30_000);
  await books.heal();
}));

test("answers in pieces of one byte", () => unseen(async ({code}) => {
  books.slice(1);
  const before = await settledOf(code);
  await until("it settles on", async () => await settledOf(code) > before, {timeoutMs: 20_000});
  await books.heal();
}));

test("300 ms of latency to the books: they lag, nothing else", () => unseen(async ({history}) => {
  books.latency({up: 150, down: 150});
  await toldMore(history, "OK", 20);
  await books.heal();
}));

test("MySQL cannot be reached: grabs go on, my list says confirming and shows no amount", () => unseen(async ({history, code, room}) => {
  await books.refuse();
  await toldMore(history, "OK", 20);
  const win = history.wins(code).at(-1);
  const client = await enter(stack, win.user, {room});
  const mine = await until("the win is in my list", async () => {
    const {grants} = await client.request(OP.MY_GRANTS, {code});
    return grants?.find((g) => g.seq === win.seq);
  });
  assert.equal(mine.state, "confirming");
  assert.equal(mine.amount, undefined, "what is not in the books is not shown");
  await client.close();
  await books.heal();
}));

test("a black hole to MySQL for 3 s: the settler's locks are gone when it comes back", () => unseen(async ({history}) => {
  const lines = stack.settler.current().lines.length;
  books.blackhole();
  await toldMore(history, "OK", 20);
  await until("the settler says that it cannot settle", () =>
    stack.settler.current().lines.slice(lines).some((l) => l.includes("settling")), {timeoutMs: 40_000} /* its deadline is 10 s */);
  await books.heal();
}));

test("MySQL stands still (SIGSTOP)", () => unseen(async ({history}) => {
  await mariadbPause();
  try {
    await toldMore(history, "OK", 20);
  } finally {
    await mariadbResume();
  }
}));

test("kill -9 of MySQL", () => unseen(async ({history}) => {
  await mariadbKill9();
  try {
    await toldMore(history, "OK", 20);
  } finally {
    await mariadbStart();
  }
}));

test("an anchor's command whose COMMIT has no answer: the repeat gets the first code", async () => {
  const body = {sender: ANCHOR, room: newRoom("lost"), count: 3, total: 30, biz_id: bizId()};
  await stack.deposit(ANCHOR, 30);
  const rule = mysql.on({match: ANY_COMMIT, times: 1, then: "cut-after"});
  const first = await stack.api("POST", "/api/v1/rains", body);
  await rule.waitHit();
  assert.notEqual(first.status, 200);
  const second = await until("an answer", async () => {
    const answer = await stack.api("POST", "/api/v1/rains", body);
    if (answer.status >= 300) throw new Error(answer.text);
    return answer.body;
  });
  const rows = await stack.sql("SELECT config_code FROM t_red_packet_config WHERE room_id = ?", [body.room]);
  assert.deepEqual(rows.map((r) => r.config_code), [second.code], "one rain, and that is its code");
  await stack.must("POST", `/api/v1/rains/${second.code}/cancel`, {});
});

test("a COMMIT that was refused is rolled back, not committed by the next statement", async () => {
  const body = {sender: ANCHOR, room: newRoom("refused"), count: 3, total: 30, biz_id: bizId()};
  await stack.deposit(ANCHOR, 30);
  const rule = mysql.on({match: ANY_COMMIT, times: 1, then: mysqlFails(1213, "Deadlock")});
  const answer = await stack.api("POST", "/api/v1/rains", body);
  assert.equal(rule.hits, 1);
  assert.equal(answer.body.name, "UNAVAILABLE");
  for (let i = 0; i < 12; i += 1) await stack.deposit("9777", 1); // whichever thread and connection it was
  assert.deepEqual(await stack.sql("SELECT config_code FROM t_red_packet_config WHERE room_id = ?", [body.room]), []);
});

test("an anchor's command without MySQL says so, and nothing is half done", async () => {
  const body = {sender: ANCHOR, room: newRoom("none"), count: 3, total: 30, biz_id: bizId()};
  await stack.deposit(ANCHOR, 30);
  await mysql.refuse();
  const answer = await stack.api("POST", "/api/v1/rains", body);
  assert.equal(answer.body.name, "UNAVAILABLE");
  await mysql.heal();
  assert.deepEqual(await stack.sql("SELECT config_code FROM t_red_packet_config WHERE room_id = ?", [body.room]), []);
});

test("the schema is missing: the settler says what it waits for, and goes on when it is there", async () => {
  const other = await startBehindProxies({migrate: false, server: false, settler: false});
  try {
    const settler = other.settler.start();
    await until(() => `it waits or ends; ${settler.tail()}`, () => settler.exit || settler.lines.some((l) => l.includes("waiting")), {timeoutMs: 20_000});
    assert.equal(settler.exit, null, settler.tail());
    await other.migrate();
    await until(() => `it goes on; ${settler.tail()}`, () => settler.events().some((e) => e.event === "ready"), {timeoutMs: 30_000});
    await other.startServer();
    await other.waitReady();
    const {code} = await startRain(other, {room: newRoom("schema"), count: 2, total: 20, limit: 2});
    assert.ok(code);
  } finally {
    await other.end();
  }
});

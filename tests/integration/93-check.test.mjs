// CHECK of a big rain takes a database thread for as long as it runs: one at a time in a worker, and everybody else goes on.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import mysql from "mysql2/promise";
import {mysqlOptions, startStack} from "../lib/stack.mjs";
import {mysqlUrl} from "../lib/services.mjs";
import {enter, OP, until} from "../lib/ws.mjs";
import {ANCHOR, closeRain, newRoom, settled, startRain} from "./helpers.mjs";

let stack;
before(async () => {
  stack = await startStack({workers: 1, conf: {"limits.command_per_s": 1000, "mysql.threads": 2}});
});
after(() => stack?.stop());

test("one check at a time; who asks meanwhile is told BUSY, and nobody else waits", async (t) => {
  const room = newRoom("check");
  const anchors = await Promise.all([ANCHOR, "9000077"].map((user) => enter(stack, user, {room, role: "anchor"})));
  const {code} = await startRain(stack, {room, total: 1000, count: 4, limit: 2, shards: 2});
  await closeRain(stack, code);
  await settled(stack, code);
  await stack.sql("DELETE FROM rp_checked WHERE code = ?", [code]);
  // The checker's last statement waits for this table: the check runs as long as the test wants.
  const holder = await mysql.createConnection(mysqlOptions(mysqlUrl, stack.namespace));
  t.after(() => holder.destroy());
  await holder.query("LOCK TABLES rp_check WRITE");
  const slow = anchors[0].request(OP.CHECK, {code}, 30_000);
  await until("it runs", async () =>
    Number((await stack.sql("SELECT COUNT(*) AS n FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"))[0].n) > 0);
  assert.equal((await anchors[1].request(OP.CHECK, {code})).name, "BUSY");
  assert.equal((await anchors[1].request(OP.WINNERS, {code})).name, "OK", "the other thread serves");
  await holder.query("UNLOCK TABLES");
  const word = await slow;
  assert.deepEqual([word.name, word.findings], ["OK", 0]);
  const again = await until("asked again", async () => {
    const reply = await anchors[1].request(OP.CHECK, {code});
    return reply.name === "OK" && reply;
  });
  assert.equal(again.at, word.at, "a clean one is remembered");
});

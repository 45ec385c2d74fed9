// The private services are what the promises rest on: set up as documented, and back with their data after a kill -9.
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {join} from "node:path";
import test from "node:test";
import {promisify} from "node:util";
import Redis from "ioredis";
import mysql from "mysql2/promise";
import * as services from "../lib/services.mjs";

const run = promisify(execFile);
const ours = services.broker !== "external";

const kafkaAnswers = (timeoutMs = 3000) => run(
  join(process.env.REDRAIN_SERVICES_RUN ?? join(services.root, ".run"), "bin", "redrain-membroker"),
  ["--ping", services.kafkaBootstrap, "--timeout-ms", String(timeoutMs)]).then(() => true, () => false);

test("Redis writes each command to disk before it answers, and evicts nothing", {skip: !ours && "external services"}, async () => {
  const redis = new Redis(services.redisUrl);
  try {
    for (const [name, value] of [["appendonly", "yes"], ["appendfsync", "always"],
      ["no-appendfsync-on-rewrite", "no"], ["maxmemory-policy", "noeviction"]]) {
      assert.deepEqual(await redis.config("GET", name), [name, value]);
    }
  } finally {
    redis.disconnect();
  }
});

test("MariaDB: binlog on, READ COMMITTED, each commit on disk, an account without SUPER", {skip: !ours && "external services"}, async () => {
  const url = new URL(services.mysqlUrl);
  url.pathname = "/";
  const db = await mysql.createConnection(url.href);
  try {
    const [[v]] = await db.query("SELECT @@log_bin AS bin, @@binlog_format AS format, " +
      "@@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS sync");
    assert.deepEqual({...v}, {bin: 1, format: "ROW", flush: 1, sync: 1});
    // The variable's name differs between versions.
    const [iso] = await db.query("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')");
    for (const row of iso) assert.equal(row.Value, "READ-COMMITTED");
    assert.ok(iso.length > 0);
    await assert.rejects(db.query("SET GLOBAL max_connections = 10"), /SUPER|Access denied/);
    await assert.rejects(db.query("CREATE DATABASE something_else"), /Access denied/);
    await db.query("CREATE DATABASE svc_redrain_test");
    await db.query("DROP DATABASE svc_redrain_test");
  } finally {
    await db.end();
  }
});

test("Kafka: paused it does not answer, resumed it does", {skip: services.skipWithoutKafka}, async () => {
  assert.equal(await kafkaAnswers(), true);
  await services.kafkaPause();
  try {
    assert.equal(await kafkaAnswers(500), false);
  } finally {
    await services.kafkaResume();
  }
  assert.equal(await kafkaAnswers(10000), true);
});

test("Kafka: after kill -9 and a start it serves again", {skip: services.skipWithoutKafka}, async () => {
  await services.kafkaKill9();
  assert.equal(await kafkaAnswers(300), false);
  await services.kafkaStart();
  assert.equal(await kafkaAnswers(), true);
});

test("Redis and MariaDB keep what they acknowledged over a kill -9", {skip: !ours && "external services"}, async () => {
  const redis = new Redis(services.redisUrl);
  const url = new URL(services.mysqlUrl);
  url.pathname = "/";
  const db = await mysql.createConnection(url.href);
  try {
    await redis.set("svc:kept", "1");
    await db.query("CREATE DATABASE IF NOT EXISTS svc_redrain_kept");
    await db.query("CREATE TABLE svc_redrain_kept.t (a INT) ENGINE = InnoDB");
    await db.query("INSERT INTO svc_redrain_kept.t VALUES (7)");
  } finally {
    redis.disconnect();
    db.destroy();
  }
  await Promise.all([services.redisKill9(), services.mariadbKill9()]);
  await Promise.all([services.redisStart(), services.mariadbStart()]);
  const redis2 = new Redis(services.redisUrl);
  const db2 = await mysql.createConnection(url.href);
  try {
    assert.equal(await redis2.get("svc:kept"), "1");
    const [rows] = await db2.query("SELECT a FROM svc_redrain_kept.t");
    assert.deepEqual(rows.map((r) => r.a), [7]);
    await db2.query("DROP DATABASE svc_redrain_kept");
    await redis2.del("svc:kept");
  } finally {
    redis2.disconnect();
    await db2.end();
  }
});

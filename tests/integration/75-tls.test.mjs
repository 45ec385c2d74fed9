// TLS of the public listener: which versions and ciphers, a certificate swapped under open sockets, a whole rain through it.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {chmodSync, copyFileSync, mkdtempSync, rmSync} from "node:fs";
import {connect as tcpConnect} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {connect as tlsConnect} from "node:tls";
import {makeAuthority, makeCertificate} from "../lib/certs.mjs";
import {startStack} from "../lib/stack.mjs";
import {Client, OP, enter, pooled, until, within} from "../lib/ws.mjs";
import {assertAlive, assertBooks, grabAll, newRoom, settled, startRain} from "./helpers.mjs";

const OPEN = process.env.REDRAIN_TEST_LONG === "1" ? 1000 : 200;
const STALL_MS = 20_000; // the handshake's deadline and some
let stack;
let dir;
let authority;
let first;
let second;
let port;
let stalled;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "redrain-tls-"));
  authority = makeAuthority(dir);
  first = makeCertificate(authority, "first", {days: 2});
  second = makeCertificate(authority, "second", {days: 30, rsa: 2048}); // another kind of key, too
  stack = await startStack({workers: 2, conf: {
    "server.tls_cert_file": join(dir, "cert.pem"), "server.tls_key_file": join(dir, "key.pem"),
    "limits.grab_per_s": 1000, "limits.command_per_s": 1000, "limits.queue_bytes": 16777216,
  }, server: false});
  install(first);
  await stack.startServer();
  await stack.waitReady();
  stack.wsUrl = stack.wsUrl.replace("ws:", "wss:");
  port = Number(new URL(stack.url).port);
  stalled = stall();
});
after(async () => {
  await stack?.stop();
  rmSync(dir, {recursive: true, force: true});
});

function install({certFile, keyFile}) {
  copyFileSync(certFile, join(dir, "cert.pem"));
  copyFileSync(keyFile, join(dir, "key.pem"));
  chmodSync(join(dir, "key.pem"), 0o600);
}

const events = (name, text = "") => stack.logs().filter((line) => line.includes(`"event":"${name}"`) && line.includes(text));
const trust = () => ({ca: authority.pem});

async function gauge(name) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^redrain_${name} (\\d+)`, "m").exec(text)?.[1] ?? -1);
}

/** A handshake: {protocol, cipher, name} or {error}. */
function handshake(options = {}) {
  return within(new Promise((resolve) => {
    const socket = tlsConnect({host: "127.0.0.1", port, ca: authority.pem, ...options}, () => {
      resolve({protocol: socket.getProtocol(), cipher: socket.getCipher().name, name: socket.getPeerCertificate().subject.CN});
      socket.destroy();
    });
    socket.on("error", (error) => resolve({error: error.code}));
  }), 10_000, "a handshake");
}

const exactly = (version, more = {}) => handshake({minVersion: version, maxVersion: version, ...more});

/** Sockets that begin a handshake and say no more: how long until each is closed. */
function stall() {
  const hello = Buffer.from("16030100c8010000c40303", "hex"); // the first bytes of a ClientHello
  return [Buffer.alloc(0), hello].map((bytes) => new Promise((resolve) => {
    const from = Date.now();
    const socket = tcpConnect({host: "127.0.0.1", port}, () => bytes.length && socket.write(bytes));
    socket.on("error", () => {});
    socket.on("close", () => resolve(Date.now() - from));
    socket.resume();
  }));
}

async function reload(changes = {}) {
  Object.assign(stack.conf, changes);
  stack.writeConfig();
  const n = events("config_reloaded", "").filter((line) => !line.includes('"src":"settler"')).length;
  stack.server.child.kill("SIGHUP");
  await until("all children reloaded", () => events("config_reloaded").filter((line) => !line.includes('"src":"settler"')).length >= n + 3);
}

test("1.2 and 1.3 with forward secrecy are spoken, nothing older or weaker", async () => {
  const old = {ciphers: "DEFAULT:@SECLEVEL=0"};
  assert.equal((await exactly("TLSv1.3")).protocol, "TLSv1.3");
  assert.equal((await exactly("TLSv1.2")).protocol, "TLSv1.2");
  for (const version of ["TLSv1", "TLSv1.1"]) {
    assert.equal((await exactly(version, old)).error, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", version);
  }
  for (const weak of ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES256-SHA", "NULL", "aNULL"]) {
    const answer = await exactly("TLSv1.2", {ciphers: `${weak}:@SECLEVEL=0`});
    assert.ok(answer.error, `${weak}: ${JSON.stringify(answer)}`);
  }
  assert.match((await exactly("TLSv1.2", {ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256"})).cipher, /GCM/);
  assert.ok((await handshake({ca: undefined})).error, "a client that does not know the authority does not come in");
});

test("plain HTTP gets nothing, pages and the Origin rules are as without TLS", async () => {
  const plain = await fetch(stack.url).catch((error) => error);
  assert.ok(plain instanceof Error);
  await assert.rejects(Client.open(stack.wsUrl, {origin: "https://evil.example", ...trust()}), {status: 403});
  await assert.rejects(Client.open(stack.wsUrl, {...trust()}), {status: 403});
  await assert.rejects(Client.open(stack.wsUrl.replace("wss:", "ws:"), {origin: stack.origin}));
  const page = await new Promise((resolve, reject) => {
    const socket = tlsConnect({host: "127.0.0.1", port, ca: authority.pem}, () => {
      socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    let text = "";
    socket.on("data", (data) => { text += data; if (text.includes("</html>")) resolve(text); });
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
  });
  assert.match(page, /^HTTP\/1.1 200/);
  assert.match(page, /content-security-policy: default-src 'none'/i);
});

test("the certificate is swapped under open sockets: none closes, who comes next sees the new one", async () => {
  const room = newRoom("tls");
  const expiry = await gauge("tls_certificate_expiry_timestamp_seconds");
  assert.ok(Math.abs(expiry - Date.now() / 1000 - 2 * 86400) < 3600, `${expiry}`);
  assert.equal((await handshake()).name, "first");
  const there = await pooled(Array.from({length: OPEN}, (_, i) => i), 20, (i) => enter(stack, 1000 + i, {room, ...trust()}));
  install(second);
  await reload();
  for (let i = 0; i < 12; i += 1) {
    assert.equal((await exactly(i % 2 ? "TLSv1.2" : "TLSv1.3")).name, "second");
  }
  assert.ok(Math.abs(await gauge("tls_certificate_expiry_timestamp_seconds") - Date.now() / 1000 - 30 * 86400) < 3600);
  assert.equal(there.filter((client) => client.isClosed).length, 0);
  const said = await enter(stack, 999, {room, maySend: true, ...trust()});
  assert.equal((await said.request(OP.SAY, {text: "after"})).name, "OK");
  await Promise.all(there.map((client) => client.push("SAY", (p) => p.text === "after")));
  // A key of another certificate, a readable key: refused, the second one stays.
  copyFileSync(first.keyFile, join(dir, "key.pem"));
  for (const spoil of [() => {}, () => { install(first); chmodSync(join(dir, "key.pem"), 0o640); }]) {
    spoil();
    const n = events("config_refused").length;
    stack.server.child.kill("SIGHUP");
    await until("the reload is refused", () => events("config_refused").length > n);
    assert.match(events("config_refused").at(-1), /belongs to another certificate|mode 640/);
    assert.equal((await handshake()).name, "second");
    assert.equal(await gauge("config_reload_success"), 0);
  }
  install(first);
  await reload({"server.tls_min_version": "1.3"});
  for (let i = 0; i < 6; i += 1) {
    assert.equal((await exactly("TLSv1.3")).name, "first");
    assert.equal((await exactly("TLSv1.2")).error, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
  }
  await reload({"server.tls_min_version": "1.2"});
  await Promise.all(there.map(assertAlive));
  await Promise.all([...there, said].map((client) => client.close()));
});

test("turning TLS off waits for a restart", async () => {
  await reload({"server.tls_cert_file": "", "server.tls_key_file": ""});
  assert.ok(events("config_waits", "TLS on or off").length > 0);
  assert.equal((await handshake()).name, "first");
  await reload({"server.tls_cert_file": join(dir, "cert.pem"), "server.tls_key_file": join(dir, "key.pem")});
});

test("a whole rain through TLS", async () => {
  const room = newRoom("tls");
  const viewers = await pooled([1, 2, 3, 4, 5, 6], 6, (i) => enter(stack, 5000 + i, {room, ...trust()}));
  const {code} = await startRain(stack, {room, count: 30, total: 3000, limit: 30, countdown_ms: 300, duration_ms: 20_000});
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_CONFIG", (p) => p.config_code === code)));
  const wins = (await Promise.all(viewers.map(async (v) => (await grabAll(v, code)).wins))).flat();
  assert.equal(wins.length, 30);
  await stack.must("POST", `/api/v1/rains/${code}/close`, {});
  await settled(stack, code);
  await Promise.all(viewers.map((v) => v.push("RED_PACKET_RESULT")));
  await assertBooks(stack, code, wins, {total: 3000});
  await Promise.all(viewers.map((v) => v.close()));
});

test("a reader that stops and goes on gets every frame, in order", async () => {
  const room = newRoom("tls");
  const slow = await enter(stack, 6001, {room, ...trust()});
  const text = "x".repeat(8000);
  let sent = 0;
  slow.socket._socket.pause();
  // Until the kernel takes no more of it: what is left of a frame then waits encrypted, the next ones wait whole.
  while (await gauge("outbound_queue_bytes") < 50_000) {
    for (let i = 0; i < 8; i += 1, sent += 1) {
      await stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: "TEST", payload: {i: sent, text}});
    }
    assert.ok(sent < 1000);
  }
  slow.socket._socket.resume();
  await slow.when("the last one", () => slow.pushesOf("TEST").length === sent || slow.isClosed, 20_000);
  assert.deepEqual(slow.pushesOf("TEST").map((p) => p.payload.i), Array.from({length: sent}, (_, i) => i));
  assert.equal(await gauge("slow_consumers_closed_total"), 0);
  await slow.close();
});

test("a handshake that stalls is closed by its deadline", async () => {
  const took = await within(Promise.all(stalled), STALL_MS, "the stalled sockets are closed");
  assert.ok(took.every((ms) => ms > 1000 && ms < STALL_MS), `closed after ${took.join(" and ")} ms`);
  assert.equal((await handshake()).name, "first");
});

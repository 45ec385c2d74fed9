// PROXY protocol v2 on the public listener: whom a trusted proxy speaks for, and everything that is no such header.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {randomBytes} from "node:crypto";
import {mkdtempSync, rmSync} from "node:fs";
import {connect} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {connect as tlsConnect} from "node:tls";
import {makeAuthority, makeCertificate} from "../lib/certs.mjs";
import {startStack} from "../lib/stack.mjs";
import {SUBPROTOCOL, until, within} from "../lib/ws.mjs";

const PROXY = "127.0.0.9";
const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const PER_ADDRESS = 3;
const TIMEOUT_MS = 1500;
let plain;
let secure;
let dir;
let authority;
const opened = [];

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "redrain-proxies-"));
  authority = makeAuthority(dir);
  const {certFile, keyFile} = makeCertificate(authority, "server", {days: 2});
  const conf = {
    "server.workers": 1, "server.trusted_proxies": `${PROXY}, 10.9.0.0/16`, "server.proxy_protocol": "v2",
    "server.proxy_timeout_ms": TIMEOUT_MS, "limits.connections_per_address": PER_ADDRESS,
  };
  plain = await startStack({workers: 1, settler: false, conf});
  secure = await startStack({workers: 1, settler: false, conf: {...conf, "server.tls_cert_file": certFile, "server.tls_key_file": keyFile}});
});
after(async () => {
  for (const socket of opened) socket.destroy();
  await plain?.stop();
  await secure?.stop();
  rmSync(dir, {recursive: true, force: true});
});

function header(rest, {command = 0x21, family = 0x11, announced = rest.length} = {}) {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, announced >> 8, announced & 255]), rest]);
}
const v4 = (address, more = Buffer.alloc(0)) =>
  header(Buffer.concat([Buffer.from(address.split(".").map(Number)), Buffer.from([127, 0, 0, 1, 1, 2, 3, 4]), more]));
function v6(tail) {
  const rest = Buffer.alloc(36);
  Buffer.from("20010db8", "hex").copy(rest);
  rest[15] = tail;
  return header(rest, {family: 0x21});
}
const local = () => header(Buffer.alloc(0), {command: 0x20, family: 0});

function upgrade(stack, more = {}) {
  const headers = {
    Host: "x", Upgrade: "websocket", Connection: "Upgrade", Origin: stack.origin, "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": SUBPROTOCOL, ...more,
  };
  return `GET /ws HTTP/1.1\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n`;
}

/** Sends the parts one after another from `from`; the HTTP status that comes, or "closed". A socket with 101 stays open. */
function ask(stack, parts, {from = PROXY, byByte = false} = {}) {
  const socket = connect({host: "127.0.0.1", port: Number(new URL(stack.url).port), localAddress: from, noDelay: true});
  opened.push(socket);
  let text = "";
  const status = within(new Promise((resolve) => {
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const found = /^HTTP\/1\.[01] (\d+)/.exec(text);
      if (found) resolve(Number(found[1]));
    });
    socket.on("close", () => resolve("closed"));
    socket.on("error", () => {});
  }), 15_000, "an answer");
  const all = Buffer.concat(parts.map((p) => Buffer.from(p)));
  socket.once("connect", async () => {
    if (!byByte) return socket.write(all);
    for (const byte of all) {
      await new Promise((resolve) => { socket.write(Buffer.from([byte]), resolve); });
    }
    return undefined;
  });
  return status.then((result) => ({status: result, socket}));
}

async function metric(stack, name, labels) {
  const text = await (await fetch(`${stack.adminUrl}/metrics`)).text();
  const start = `redrain_${name}${labels ? `{${labels}}` : ""} `;
  return Number(text.split("\n").find((l) => l.startsWith(start)).slice(start.length));
}

const whys = (stack) => stack.logs().filter((line) => line.includes('"event":"proxy_refused"')).join("\n");

/** All sockets of this test are gone from the server again. */
async function clear(stack) {
  for (const socket of opened.splice(0)) socket.destroy();
  await until("all sockets are gone", async () => await metric(stack, "connections") === 0);
}

test("limits hold for the address in the header, not for the proxy's", async () => {
  for (const n of [4, 6]) {
    const one = n === 4 ? v4("203.0.113.7") : v6(7);
    const other = n === 4 ? v4("203.0.113.8") : header(Buffer.concat([Buffer.from("20010db900000000", "hex"), Buffer.alloc(28)]), {family: 0x21});
    for (let i = 0; i < PER_ADDRESS; i += 1) assert.equal((await ask(plain, [one, upgrade(plain)])).status, 101);
    assert.equal((await ask(plain, [one, upgrade(plain)])).status, 503, `IPv${n}: one too many`);
    assert.equal((await ask(plain, [other, upgrade(plain)])).status, 101, `IPv${n}: somebody else`);
    await clear(plain);
  }
});

test("a header that drips byte by byte, with TLVs up to the bound, is one header", async () => {
  assert.equal((await ask(plain, [v4("203.0.113.9"), upgrade(plain)], {byByte: true})).status, 101);
  assert.equal((await ask(plain, [v4("203.0.113.9", Buffer.alloc(508, 4)), upgrade(plain)])).status, 101);
  await clear(plain);
});

test("LOCAL and unspecified are the proxy's own; what their request says of a client is not believed", async () => {
  const unspecified = header(Buffer.alloc(0), {family: 0});
  for (let i = 0; i < PER_ADDRESS; i += 1) {
    assert.equal((await ask(plain, [i % 2 ? local() : unspecified, upgrade(plain, {"X-Forwarded-For": `198.51.100.${i}`})])).status, 101);
  }
  assert.equal((await ask(plain, [unspecified, upgrade(plain, {"X-Forwarded-For": "198.51.100.99"})])).status, 503);
  await clear(plain);
  // The address of the header is a proxy of ours again: its HTTP header is believed.
  for (let i = 0; i < PER_ADDRESS; i += 1) {
    assert.equal((await ask(plain, [v4("10.9.0.1"), upgrade(plain, {"X-Forwarded-For": "198.51.100.7"})])).status, 101);
  }
  assert.equal((await ask(plain, [v4("10.9.0.1"), upgrade(plain, {"X-Forwarded-For": "198.51.100.7"})])).status, 503);
  assert.equal((await ask(plain, [v4("10.9.0.1"), upgrade(plain, {"X-Forwarded-For": "198.51.100.8"})])).status, 101);
  await clear(plain);
});

test("everything else from a proxy is closed and counted, with the reason in the log", async () => {
  const bad = [
    [upgrade(plain)],
    ["PROXY TCP4 203.0.113.7 127.0.0.1 4711 8480\r\n", upgrade(plain)],
    [header(Buffer.alloc(12), {command: 0x11}), upgrade(plain)],
    [header(Buffer.alloc(12), {command: 0x2f}), upgrade(plain)],
    [header(Buffer.alloc(12), {family: 0x12}), upgrade(plain)],
    [header(Buffer.alloc(4)), upgrade(plain)],
    [header(Buffer.alloc(36), {announced: 521}), upgrade(plain)],
  ];
  const before = await metric(plain, "connections_refused_total", 'reason="proxy"');
  for (const parts of bad) assert.equal((await ask(plain, parts)).status, "closed", parts[0].toString("latin1"));
  const left = await ask(plain, [], {from: PROXY}).catch(() => null); // closed by the deadline
  assert.equal(left.status, "closed");
  const half = await ask(plain, [v4("203.0.113.7").subarray(0, 20)]);
  assert.equal(half.status, "closed");
  assert.equal(await metric(plain, "connections_refused_total", 'reason="proxy"'), before + bad.length);
  assert.equal(await metric(plain, "connections_late_total", 'phase="proxy"'), 2);
  assert.match(whys(plain), /no PROXY protocol header|version 1 of/);
});

test("who is no proxy speaks without a header, and is refused with one", async () => {
  assert.equal((await ask(plain, [upgrade(plain)], {from: "127.0.0.5"})).status, 101);
  const forged = await ask(plain, [v4("203.0.113.7"), upgrade(plain)], {from: "127.0.0.5"});
  assert.notEqual(forged.status, 101);
  await clear(plain);
});

test("under TLS the header comes before the handshake", async () => {
  const enter = (head, from = PROXY) => within(new Promise((resolve) => {
    const socket = connect({host: "127.0.0.1", port: Number(new URL(secure.url).port), localAddress: from}, () => {
      socket.write(head);
      const tls = tlsConnect({socket, ca: authority.pem, servername: "localhost", checkServerIdentity: () => undefined}, () => tls.write(upgrade(secure)));
      opened.push(tls);
      tls.on("data", (data) => resolve(Number(/^HTTP\/1\.[01] (\d+)/.exec(data.toString("latin1"))?.[1])));
      tls.on("error", () => resolve("closed"));
      tls.on("close", () => resolve("closed"));
    });
    opened.push(socket);
    socket.on("error", () => {});
  }), 15_000, "an answer");
  for (let i = 0; i < PER_ADDRESS; i += 1) assert.equal(await enter(v4("203.0.113.7")), 101);
  assert.equal(await enter(v4("203.0.113.7")), "closed", "one too many");
  assert.equal(await enter(v4("203.0.113.8")), 101);
  assert.equal(await enter(Buffer.alloc(0)), "closed", "a ClientHello without a header");
  assert.equal(await enter(Buffer.alloc(0), "127.0.0.5"), 101, "from no proxy");
  assert.equal(await enter(v4("203.0.113.9"), "127.0.0.5"), "closed", "a header from no proxy");
  await clear(secure);
});

test("turned off and on again by SIGHUP; a list of proxies must be there", async () => {
  const reload = async (value) => {
    const n = plain.logs().filter((l) => l.includes('"event":"config_reloaded"')).length;
    plain.conf["server.proxy_protocol"] = value;
    plain.writeConfig();
    plain.server.child.kill("SIGHUP");
    await until("reloaded", () => plain.logs().filter((l) => l.includes('"event":"config_reloaded"')).length >= n + 2);
  };
  await reload("off");
  assert.equal((await ask(plain, [upgrade(plain)])).status, 101);
  assert.notEqual((await ask(plain, [v4("203.0.113.7"), upgrade(plain)])).status, 101);
  await reload("v2");
  assert.equal((await ask(plain, [upgrade(plain)])).status, "closed");
  assert.equal((await ask(plain, [v4("203.0.113.7"), upgrade(plain)])).status, 101);
  await clear(plain);
});

test("a server that waits for headers ends in time", async () => {
  const waiting = await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
    const socket = connect({host: "127.0.0.1", port: Number(new URL(secure.url).port), localAddress: PROXY}, () => resolve(socket));
    socket.on("error", reject);
  })));
  await secure.stopServer();
  for (const socket of waiting) socket.destroy();
});

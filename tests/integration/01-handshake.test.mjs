// Before a WebSocket exists: Origin, path, subprotocol, other upgrades, extensions.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {connect as http2Connect} from "node:http2";
import {Client, RawSocket, SUBPROTOCOL, rawFrame} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";

const LISTED = "https://live.example";
let stack;

before(async () => {
  stack = await startStack({workers: 1, settler: false});
  await stack.stopServer();
  stack.conf["server.origins"] = `${stack.origin}, ${LISTED}:8443,${LISTED}`;
  stack.writeConfig();
  await stack.startServer();
  await stack.waitReady();
});

after(() => stack?.stop());

async function upgrade(changed, path) {
  const raw = await RawSocket.open(stack.url);
  try {
    return await raw.upgrade(stack, changed, path);
  } finally {
    raw.destroy();
  }
}

test("each listed origin gets 101", async () => {
  for (const origin of [stack.origin, LISTED, `${LISTED}:8443`]) {
    const {status, headers} = await upgrade({Origin: origin});
    assert.equal(status, 101, origin);
    assert.equal(headers["sec-websocket-protocol"], SUBPROTOCOL);
  }
});

test("every other origin gets 403 before 101", async () => {
  const refused = [
    "https://evil.example", "null", "https://live.example.evil", "https://live.exampl", "https://xlive.example",
    "https://LIVE.example", "http://live.example", "https://live.example:8444", "https://live.example/",
    "https://live.example:443", "https://live.example.", "live.example", "https://xn--live-.example", "*", ",",
    `${LISTED},https://evil.example`, `${LISTED} https://evil.example`, `,${LISTED},`, "",
  ];
  for (const origin of refused) {
    const {status} = await upgrade({Origin: origin});
    assert.equal(status, 403, `Origin: ${origin}`);
  }
});

test("no origin is refused, and so are two", async () => {
  assert.equal((await upgrade({Origin: null})).status, 403);
  assert.notEqual((await upgrade({Origin: ["https://evil.example", LISTED]})).status, 101);
  assert.notEqual((await upgrade({Origin: [LISTED, "https://evil.example"]})).status, 101);
});

test("a refused origin cannot go on as if it were upgraded", async () => {
  const raw = await RawSocket.open(stack.url);
  const {status} = await raw.upgrade(stack, {Origin: "https://evil.example"});
  assert.equal(status, 403);
  raw.write(rawFrame({payload: Buffer.from([0x93, 4, 1, 0x81, 0xa2, 0x74, 0x30, 1])}));
  raw.write(rawFrame({opcode: 9}));
  raw.write("GET /nothing-here HTTP/1.1\r\nHost: x\r\n\r\n");
  await raw.when("the connection to end", () => raw.ended);
  assert.ok(!raw.frames().some((f) => f.opcode === 10 || f.opcode === 2), "no frame comes back");
});

test("without the subprotocol there is no WebSocket", async () => {
  for (const protocol of [null, "redrain.v2", "chat", "redrain.v1x"]) {
    const {status} = await upgrade({"Sec-WebSocket-Protocol": protocol});
    assert.notEqual(status, 101, `subprotocol ${protocol}`);
    assert.ok(status >= 400 || status === 0, `a refusal, not ${status}`);
  }
});

test("other paths are no WebSocket", async () => {
  for (const path of ["/", "/ws/", "/ws2", "/index.html", "/WS", "/ws/../ws2", "/%77s2", "/livez"]) {
    const {status} = await upgrade({}, path);
    assert.notEqual(status, 101, path);
  }
});

test("incomplete handshakes are refused", async () => {
  assert.notEqual((await upgrade({"Sec-WebSocket-Key": null})).status, 101);
  assert.notEqual((await upgrade({Upgrade: "websocketx"})).status, 101);
  const post = await RawSocket.open(stack.url);
  const {status} = await post.request([
    "POST /ws HTTP/1.1", `Host: ${new URL(stack.url).host}`, "Upgrade: websocket", "Connection: Upgrade",
    `Origin: ${stack.origin}`, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`, "Content-Length: 0"]);
  post.destroy();
  assert.notEqual(status, 101);
});

test("h2c is not offered, neither by upgrade nor by prior knowledge", async () => {
  const {status} = await upgrade({Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP__"});
  assert.notEqual(status, 101);
  const session = http2Connect(stack.url);
  const failed = await new Promise((resolve) => {
    session.once("error", () => resolve(true));
    session.once("close", () => resolve(true));
    session.once("remoteSettings", () => resolve(false));
  });
  session.destroy();
  assert.ok(failed, "no HTTP/2 on the public port");
});

test("permessage-deflate is not negotiated, and a compressed frame is a protocol error", async () => {
  const {status, headers} = await upgrade({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"});
  assert.equal(status, 101);
  assert.equal(headers["sec-websocket-extensions"], undefined);
  const client = await Client.open(stack.wsUrl, {origin: stack.origin, perMessageDeflate: true});
  assert.equal(client.extensions, "");
  await client.close();
  const raw = await RawSocket.open(stack.url);
  await raw.upgrade(stack);
  raw.write(rawFrame({rsv1: true, payload: Buffer.from([0x93, 4, 1, 0x80])}));
  const code = await raw.closeCode();
  assert.ok(code === 1002 || code === 0, `close code ${code}`);
  raw.destroy();
});

test("pages come with a strict policy, and only from their folder", async () => {
  const page = await fetch(`${stack.url}/constants.js`);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type"), /javascript/);
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  const policy = page.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'|default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.match(policy, /frame-ancestors 'none'/);
  for (const path of ["/../CMakeLists.txt", "/..%2fCMakeLists.txt", "/%2e%2e/CMakeLists.txt", "//etc/passwd",
    "/vendor/../../CMakeLists.txt", "/..%252fCMakeLists.txt", "/.%2e/CMakeLists.txt"]) {
    const raw = await RawSocket.open(stack.url);
    const {status} = await raw.request([`GET ${path} HTTP/1.1`, "Host: x", "Connection: close"]);
    assert.ok(![101, 200].includes(status), `${path} gave ${status}`);
    assert.ok(!raw.bytes.includes("project(redrain"), path);
    raw.destroy();
  }
});

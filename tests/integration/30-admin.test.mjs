// The private listener: probes, metrics, the JSON API, and that none of it is public.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {networkInterfaces} from "node:os";
import {RawSocket, enter, until} from "../lib/ws.mjs";
import {startStack} from "../lib/stack.mjs";
import {ANCHOR, assertAlive, bizId, newRoom, prepareRain, settled, showRain} from "./helpers.mjs";

let stack;
before(async () => { stack = await startStack({workers: 2}); });
after(() => stack?.stop());

test("livez and readyz", async () => {
  const live = await fetch(`${stack.adminUrl}/livez`);
  assert.equal(live.status, 200);
  const ready = await fetch(`${stack.adminUrl}/readyz`);
  assert.equal(ready.status, 200);
  const verbose = await (await fetch(`${stack.adminUrl}/readyz?verbose`)).text();
  for (const name of ["redis", "mysql", "kafka"]) assert.match(verbose, new RegExp(`^\\[\\+\\]${name}`, "m"));
});

test("metrics are Prometheus text that adds up", async () => {
  const room = newRoom();
  const clients = [await enter(stack, "1", {room}), await enter(stack, "2", {room})];
  // Gauges are copied once a second.
  await until("both are counted", async () =>
    /^redrain_connections 2$/m.test(await (await fetch(`${stack.adminUrl}/metrics`)).text()));
  const answer = await fetch(`${stack.adminUrl}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  const seen = new Set();
  for (const line of text.split("\n").filter(Boolean)) {
    if (line.startsWith("#")) {
      assert.match(line, /^# (HELP|TYPE) redrain_[a-z0-9_]+ \S/);
      continue;
    }
    assert.match(line, /^redrain_[a-z0-9_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.]+(e[+-]?\d+)?$/, line);
    const name = line.split(" ")[0];
    assert.ok(!seen.has(name), `${name} twice`);
    seen.add(name);
  }
  assert.match(text, /^redrain_build_info\{version="[^"]+"\} 1$/m);
  assert.match(text, /^redrain_process_up\{slot="0"\} 1$/m);
  assert.match(text, /^redrain_joins_total [2-9]/m);
  assert.match(text, /^redrain_loop_lag_seconds_count [1-9]/m);
  assert.doesNotMatch(text, new RegExp(room), "no room ids");
  for (const client of clients) await client.close();
});

test("the API wants its token", async () => {
  const paths = [
    ["GET", "/api/v1/rains"], ["POST", "/api/v1/rains"], ["GET", `/api/v1/rains/${"A".repeat(22)}`],
    ["POST", `/api/v1/rains/${"A".repeat(22)}/start`], ["GET", "/api/v1/wallets/1"], ["POST", "/api/v1/wallets/1/deposit"],
    ["POST", "/api/v1/rooms/r/push"], ["GET", "/api/v1/nothing"],
  ];
  const wrong = [null, "", "x", stack.adminToken.slice(0, -1), `${stack.adminToken}x`, stack.adminToken.toUpperCase(), "\u00e9"];
  for (const [method, path] of paths) {
    for (const token of wrong.filter((t) => t === null || /^[\x20-\x7e]*$/.test(t))) {
      if (token === stack.adminToken) continue;
      const {status, body} = await stack.api(method, path, method === "POST" ? {} : undefined, token);
      assert.equal(status, 401, `${method} ${path} with ${token}`);
      assert.equal(body.name, "UNAUTHORIZED");
    }
  }
});

test("rains and wallets by the API", async () => {
  const room = newRoom();
  const wallet = await stack.must("POST", "/api/v1/wallets/50/deposit", {amount: 500, biz_id: "once"});
  assert.deepEqual([wallet.user, wallet.balance, wallet.frozen], ["50", 500, 0]);
  const again = await stack.must("POST", "/api/v1/wallets/50/deposit", {amount: 500, biz_id: "once"});
  assert.equal(again.balance, 500, "the same deposit never twice");
  const other = await stack.api("POST", "/api/v1/wallets/50/deposit", {amount: 501, biz_id: "once"});
  assert.equal(other.status, 409);
  assert.equal(other.body.name, "CONFLICT");
  assert.equal((await stack.must("GET", "/api/v1/wallets/50")).balance, 500);
  assert.equal((await stack.must("GET", "/api/v1/wallets/51")).balance, 0);
  const rain = await stack.must("POST", "/api/v1/rains",
    {room, sender: "50", total: 200, count: 4, biz_id: bizId(), split: "line-cut", limit: 2, shards: 2, text: "福", duration_ms: 5000});
  assert.deepEqual([rain.room, rain.sender, rain.total, rain.count, rain.split, rain.limit, rain.shards, rain.text, rain.status],
    [room, "50", 200, 4, "line-cut", 2, 2, "福", "CREATED"]);
  assert.equal((await stack.must("GET", "/api/v1/wallets/50")).balance, 300);
  assert.deepEqual((await stack.must("GET", `/api/v1/rains?room=${room}`)).rains.map((r) => r.code), [rain.code]);
  assert.ok((await stack.must("GET", "/api/v1/rains")).rains.some((r) => r.code === rain.code));
  for (const [step, body, status] of [["prepare", {}, "PREPARED"], ["start", {countdown_ms: 100, duration_ms: 60_000}, "SENT"]]) {
    assert.equal((await stack.must("POST", `/api/v1/rains/${rain.code}/${step}`, body)).status, status);
  }
  const closed = await stack.must("POST", `/api/v1/rains/${rain.code}/close`, {});
  assert.ok(["CLOSING", "SETTLED"].includes(closed.status));
  const end = await settled(stack, rain.code);
  assert.equal(end.refunded_fen, 200);
  const cancelled = await prepareRain(stack, {room});
  assert.equal((await stack.must("POST", `/api/v1/rains/${cancelled}/cancel`, {})).status, "CANCELLED");
  assert.equal((await showRain(stack, cancelled)).status, "CANCELLED");
});

test("bad requests are named", async () => {
  const rows = [
    ["POST", "/api/v1/wallets/0/deposit", {amount: 1, biz_id: "x"}, 404],
    ["POST", "/api/v1/wallets/abc/deposit", {amount: 1, biz_id: "x"}, 404],
    ["POST", "/api/v1/wallets/1/deposit", {amount: 0, biz_id: "x"}, 400, "amount"],
    ["POST", "/api/v1/wallets/1/deposit", {amount: -1, biz_id: "x"}, 400, "amount"],
    ["POST", "/api/v1/wallets/1/deposit", {amount: 1.5, biz_id: "x"}, 400, "amount"],
    ["POST", "/api/v1/wallets/1/deposit", {amount: "1", biz_id: "x"}, 400, "amount"],
    ["POST", "/api/v1/wallets/1/deposit", {amount: Number.MAX_SAFE_INTEGER, biz_id: "x"}, 400, "amount"],
    ["POST", "/api/v1/wallets/1/deposit", {amount: 1}, 400, "biz_id"],
    ["POST", "/api/v1/rains", {}, 400, "room"],
    ["POST", "/api/v1/rains", {room: "r", sender: "x", biz_id: "b", total: 1, count: 1}, 400, "sender"],
    ["POST", "/api/v1/rains", {room: "r", sender: ANCHOR, total: 1, count: 1}, 400, "biz_id"],
    ["POST", "/api/v1/rains", {room: "a b", sender: ANCHOR, biz_id: "b", total: 1, count: 1}, 400],
    ["GET", "/api/v1/rains?room=a/b", undefined, 400, "room"],
    ["GET", `/api/v1/rains/${"A".repeat(22)}`, undefined, 404],
    ["GET", "/api/v1/rains/short", undefined, 404],
    ["POST", `/api/v1/rains/${"A".repeat(22)}/prepare`, {}, 404],
    ["POST", `/api/v1/rains/${"A".repeat(22)}/explode`, {}, 404],
    ["GET", "/nothing", undefined, 404],
    ["POST", "/livez", {}, 404],
  ];
  for (const [method, path, body, status, field] of rows) {
    const answer = await stack.api(method, path, body);
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`);
    if (field) assert.equal(answer.body.field, field, `${method} ${path} ${JSON.stringify(body)}`);
  }
  for (const body of ["", "{", "[]", "1", '{"amount":1,"amount":2,"biz_id":"x"}', `{"a":${"[".repeat(3000)}`, "\u0000"]) {
    const answer = await fetch(`${stack.adminUrl}/api/v1/wallets/1/deposit`,
      {method: "POST", headers: {authorization: `Bearer ${stack.adminToken}`}, body});
    assert.equal(answer.status, 400, JSON.stringify(body.slice(0, 20)));
  }
  const huge = await fetch(`${stack.adminUrl}/api/v1/wallets/1/deposit`, {
    method: "POST", headers: {authorization: `Bearer ${stack.adminToken}`}, body: "x".repeat(4 << 20),
  }).then((r) => r.status, () => 413);
  assert.equal(huge, 413);
  assert.equal((await fetch(`${stack.adminUrl}/livez`)).status, 200, "still there");
});

test("nothing of it is on the public port", async () => {
  for (const path of ["/livez", "/readyz", "/metrics", "/healthz", "/api/v1/rains", "/api/v1/wallets/1", "/api", "/admin"]) {
    const answer = await fetch(stack.url + path, {headers: {authorization: `Bearer ${stack.adminToken}`}});
    assert.equal(answer.status, 404, path);
    const posted = await fetch(stack.url + path,
      {method: "POST", headers: {authorization: `Bearer ${stack.adminToken}`}, body: "{}"}).catch(() => ({status: 0}));
    assert.ok([0, 404, 405].includes(posted.status), `POST ${path} gave ${posted.status}`);
  }
});

test("the admin listener is on loopback only and speaks no WebSocket", async () => {
  const others = Object.values(networkInterfaces()).flat().filter((i) => i.family === "IPv4" && !i.internal);
  for (const {address} of others) {
    await assert.rejects(fetch(`http://${address}:${stack.adminPort}/livez`), `on ${address}`);
  }
  const raw = await RawSocket.open(stack.adminUrl);
  const {status} = await raw.upgrade(stack);
  assert.notEqual(status, 101);
  raw.destroy();
});

test("a drained server says it is leaving and ends well, its sockets too", async () => {
  const room = newRoom();
  const client = await enter(stack, "60", {room});
  await assertAlive(client);
  const stopping = stack.stopServer();
  const {code} = await client.waitClosed(15_000);
  assert.equal(code, 4001);
  await stopping;
});

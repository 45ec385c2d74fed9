// The tests' own TCP proxy does to bytes what it is told, and nothing else.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {connect, createServer} from "node:net";
import {Proxy, mysqlError, redisCommands, redisFails} from "../../lib/proxy.mjs";
import {until} from "../../lib/ws.mjs";

let upstream;
let seen;
before(async () => {
  upstream = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      seen.push(chunk.toString());
      socket.write(`<${chunk}>`);
    });
  });
  await new Promise((resolve) => { upstream.listen(0, "127.0.0.1", resolve); });
});
after(() => upstream.close());

/** A proxy before the echo, and a client through it. */
async function through(fn) {
  seen = [];
  const proxy = await Proxy.start({host: "127.0.0.1", port: upstream.address().port});
  const open = () => new Promise((resolve, reject) => {
    const socket = connect(proxy.port, "127.0.0.1");
    const client = {socket, text: "", chunks: 0, ended: false, send: (t) => socket.write(t)};
    socket.on("data", (d) => {
      client.text += d;
      client.chunks += 1;
    });
    socket.on("error", reject);
    socket.on("close", () => { client.ended = true; });
    socket.on("connect", () => {
      socket.on("error", () => {});
      resolve(client);
    });
  });
  try {
    await fn(proxy, open);
  } finally {
    await proxy.close();
  }
}
const says = (client, text) => until(() => `"${text}"; there is "${client.text}"`, () => client.text === text);

test("untold, bytes pass both ways", () => through(async (proxy, open) => {
  const c = await open();
  c.send("hello");
  await says(c, "<hello>");
  assert.equal(proxy.accepted, 1);
}));

test("cut-after: the request arrives, its answer does not", () => through(async (proxy, open) => {
  const c = await open();
  const rule = proxy.on({match: /COMMIT/, then: "cut-after"});
  c.send("COMMIT");
  await rule.waitHit();
  await until("the client is cut off", () => c.ended);
  await until("the service has it", () => seen.includes("COMMIT"));
  assert.equal(c.text, "");
}));

test("cut-before: the request does not arrive", () => through(async (proxy, open) => {
  const c = await open();
  proxy.on({match: /COMMIT/, then: "cut-before"});
  c.send("COMMIT");
  await until("the client is cut off", () => c.ended);
  const again = await open();
  again.send("COMMIT"); // once only
  await says(again, "<COMMIT>");
  assert.deepEqual(seen, ["COMMIT"]);
}));

test("half an answer, and then nothing", () => through(async (proxy, open) => {
  const c = await open();
  proxy.on({to: "client", match: /</, then: "half"});
  c.send("1234");
  await until("the end", () => c.ended);
  assert.equal(c.text, "<12");
}));

test("skip, times, answers and replacements", () => through(async (proxy, open) => {
  const c = await open();
  const rule = proxy.on({match: /q/, skip: 1, times: 1, then: {answer: "no"}});
  c.send("q1");
  await says(c, "<q1>");
  c.send("q2");
  await says(c, "<q1>no");
  c.send("q3");
  await says(c, "<q1>no<q3>");
  assert.deepEqual([rule.hits, seen], [1, ["q1", "q3"]]);
  proxy.on({to: "client", match: /q4/, then: {replace: (b) => Buffer.from(b.toString().toUpperCase())}});
  c.send("q4");
  await says(c, "<q1>no<q3><Q4>");
}));

test("a pattern that two chunks share is found", () => through(async (proxy, open) => {
  const c = await open();
  const rule = proxy.on({match: /COMMIT/, then: "cut-before"});
  c.send("xCOM");
  await says(c, "<xCOM>");
  c.send("MIT");
  await rule.waitHit();
}));

test("pieces of one byte arrive as one whole", () => through(async (proxy, open) => {
  const c = await open();
  proxy.slice(1);
  c.send("abc");
  await until("all of it", () => seen.join("") === "abc");
  await until("all answers", () => c.text.replaceAll(/[<>]/g, "") === "abc");
}));

test("latency delays, a black hole swallows, refuse refuses, heal heals", () => through(async (proxy, open) => {
  const c = await open();
  proxy.latency({up: 150, down: 150});
  const begin = Date.now();
  c.send("slow");
  await says(c, "<slow>");
  assert.ok(Date.now() - begin >= 290, `${Date.now() - begin} ms`);
  proxy.latency({});
  proxy.blackhole();
  c.send("lost");
  await until("it is swallowed", () => proxy.swallowedBytes === "lost".length);
  assert.deepEqual([c.text, c.ended, seen.includes("lost")], ["<slow>", false, false]);
  await proxy.heal();
  await until("what lost bytes is cut", () => c.ended);
  await proxy.refuse();
  await assert.rejects(open());
  await proxy.accept();
  const again = await open();
  again.send("back");
  await says(again, "<back>");
}));

test("commands are counted, each gets its error", () => {
  const one = "*2\r\n$3\r\nGET\r\n$4\r\n*1\r\n\r\n";
  assert.equal(redisCommands(Buffer.from(one)), 1);
  assert.equal(redisCommands(Buffer.from(one + one)), 2);
  assert.match(redisFails("OOM").answer(Buffer.from(one + one)).toString(), /^-OOM [^\r]+\r\n-OOM [^\r]+\r\n$/);
  const e = mysqlError(1213, "x", Buffer.from([1, 0, 0, 0, 3]));
  assert.deepEqual([...e.subarray(0, 7)], [10, 0, 0, 1, 0xff, 1213 & 255, 1213 >> 8]);
});

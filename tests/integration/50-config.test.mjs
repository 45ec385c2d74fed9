// Configuration of the three programs: what is wrong is named with file and line, and nothing starts half-configured.
import {after, before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {program} from "../lib/stack.mjs";

const PROGRAMS = ["redrain-server", "redrain-settler", "redrainctl"];
const KEY = Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64url");
const END_MS = 15_000;
let dir;
let file;
let keysFile;

before(() => {
  dir = mkdtempSync(join(tmpdir(), "redrain-conf-"));
  file = join(dir, "redrain.conf");
  keysFile = join(dir, "keys.json");
  writeFileSync(keysFile, JSON.stringify({keys: [{kid: "k", alg: "HS256", k: KEY}]}), {mode: 0o600});
});
after(() => rmSync(dir, {recursive: true, force: true}));

/** Runs to the end: {code, stdout, stderr}; code is null when it had to be stopped. */
function run(name, args, env = {}) {
  return new Promise((resolve) => {
    execFile(program(name), args, {env: {...process.env, ...env}, timeout: END_MS, killSignal: "SIGKILL"},
      (error, stdout, stderr) => resolve({code: error ? (error.killed ? null : error.code) : 0, stdout, stderr}));
  });
}

function write(text, mode = 0o600) {
  writeFileSync(file, text);
  chmodSync(file, mode);
}

const bad = [
  ["[server]\nprot = 1\n", ':2: unknown key "prot" in [server], did you mean "port"?'],
  ["[sever]\nport = 1\n", ":1: unknown section [sever], did you mean [server]?"],
  ["port = 1\n", ':1: key "port" before the first [section]'],
  ["[server\n", ":1: neither"],
  ["[server]\nport\n", ":2: neither"],
  ["[server]\nport = 70000\n", ":2: [server] port = 70000: must be 0 to 65535"],
  ["[server]\nport = eighty\n", 'port = "eighty": not a whole number'],
  ["[server]\nport = 1\nport = 2\n", ':3: key "port" in [server] is given twice'],
  ["# fine\n[server]\nworkers = 0\n", ":3: [server] workers = 0: must be 1 to 64"],
  ["[server]\nallow_no_origin = perhaps\n", "must be true or false"],
  ["[server]\nnamespace = Live\n", "only a-z, 0-9 and _ are allowed"],
  ["[server]\norigins = *\n", "each origin must be"],
  ["[admin]\nhost = 0.0.0.0\n", "only a loopback address"],
  ["[redis]\nurl = localhost\n", "[redis] url: must be redis://"],
  ["[mysql]\nurl = localhost\n", "[mysql] url: must be mysql://"],
  ["[log]\nlevel = loud\n", "must be debug, info, notice, warn or error"],
];

for (const name of PROGRAMS) {
  test(`${name}: a wrong file is refused with its place`, async () => {
    for (const [text, wanted] of bad) {
      write(text);
      for (const args of [["--config", file, "--check-config"], ["--config", file]]) {
        const {code, stderr} = await run(name, args);
        assert.equal(code, 2, text);
        assert.ok(stderr.includes(file) && stderr.includes(wanted), `${JSON.stringify(text)} said ${stderr}`);
      }
    }
  });
}

test("a missing file and a folder are refused", async () => {
  for (const [path, wanted] of [[join(dir, "none"), "No such file"], [dir, "is a folder"]]) {
    const {code, stderr} = await run("redrain-server", ["--config", path]);
    assert.equal(code, 2);
    assert.ok(stderr.includes(wanted), stderr);
  }
});

test("environment and flags are checked the same way, and win in order", async () => {
  write("[server]\nport = 1\n[admin]\nport = 1\n[token]\nleeway_s = 1\n");
  const {stdout} = await run("redrain-server", ["--config", file, "--set", "admin.port=3", "--print-config"],
    {REDRAIN_SERVER_PORT: "2", REDRAIN_ADMIN_PORT: "2"});
  assert.match(stdout, /\[server\][^[]*port = 2\n/);
  assert.match(stdout, /\[admin\][^[]*port = 3\n/);
  assert.match(stdout, /leeway_s = 1\n/);
  const wrongEnv = await run("redrain-server", ["--config", file], {REDRAIN_SERVER_PORT: "x"});
  assert.equal(wrongEnv.code, 2);
  assert.match(wrongEnv.stderr, /REDRAIN_SERVER_PORT: .*not a whole number/);
  const wrongFlag = await run("redrain-server", ["--config", file, "--set", "server.prt=1"]);
  assert.equal(wrongFlag.code, 2);
  assert.match(wrongFlag.stderr, /--set: unknown key "prt" in \[server\], did you mean "port"\?/);
  const unknown = await run("redrain-server", ["--config", file, "--bogus"]);
  assert.equal(unknown.code, 2);
});

test("a file with a password that others may read is refused", async () => {
  const text = "[mysql]\nurl = mysql://u:geheim@127.0.0.1:1/d\n";
  for (const mode of [0o644, 0o640, 0o604]) {
    write(text, mode);
    const {code, stderr} = await run("redrain-server", ["--config", file, "--check-config"]);
    assert.equal(code, 2);
    assert.match(stderr, /chmod\s+600/);
    assert.doesNotMatch(stderr, /geheim/);
  }
  write(text);
  const {code, stdout} = await run("redrain-settler", ["--config", file, "--print-config"]);
  assert.equal(code, 0);
  assert.match(stdout, /mysql:\/\/u:\*\*\*@127/);
  assert.doesNotMatch(stdout, /geheim/);
});

test("the default configuration is valid and complete", async () => {
  const {code, stdout} = await run("redrain-server", ["--print-default-config"]);
  assert.equal(code, 0);
  write(stdout);
  const printed = await run("redrain-server", ["--config", file, "--print-config"]);
  assert.equal(printed.code, 0);
  const bare = stdout.split("\n").filter((line) => line && !line.startsWith("#"));
  assert.deepEqual(printed.stdout.split("\n").filter(Boolean), bare);
  for (const name of PROGRAMS) {
    const {stdout: version} = await run(name, ["--version"]);
    assert.match(version, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\n$`));
  }
});

test("the server does not start without keys, or with bad ones", async () => {
  const start = (keys) => {
    write(`[server]\nport = 0\n[admin]\nport = 0\n[token]\nkeys_file = ${keys}\n`);
    return run("redrain-server", ["--config", file]);
  };
  const cases = [
    ["", "keys_file"],
    [join(dir, "none"), "No such file"],
  ];
  for (const [content, mode, wanted] of [
    ["{", 0o600, "not JSON"], ['{"keys":[]}', 0o600, "holds no"],
    [JSON.stringify({keys: [{kid: "k", alg: "HS256", k: "c2hvcnQ"}]}), 0o600, "too short"],
    [JSON.stringify({keys: [{kid: "k", alg: "none", k: KEY}]}), 0o600, "must be HS256, RS256 or EdDSA"],
    [readFileSync(keysFile, "utf8"), 0o644, "chmod 600"],
  ]) {
    const path = join(dir, `keys-${cases.length}.json`);
    writeFileSync(path, content);
    chmodSync(path, mode);
    cases.push([path, wanted]);
  }
  for (const [path, wanted] of cases) {
    const {code, stderr} = await start(path);
    assert.notEqual(code, 0, path);
    assert.notEqual(code, null, `${path}: it started`);
    assert.ok(stderr.includes(wanted), `${wanted}: ${stderr}`);
    assert.ok(!stderr.includes(KEY), "no key in a message");
  }
});

test("a port that is taken is said", async () => {
  const {createServer} = await import("node:net");
  const taken = createServer();
  await new Promise((resolve) => { taken.listen(0, "127.0.0.1", resolve); });
  try {
    write(`[server]\nport = ${taken.address().port}\n[admin]\nport = 0\n[token]\nkeys_file = ${keysFile}\n`);
    const {code, stderr} = await run("redrain-server", ["--config", file]);
    assert.ok(code > 0, `code ${code}`);
    assert.ok(stderr.includes(String(taken.address().port)), stderr);
  } finally {
    taken.close();
  }
});

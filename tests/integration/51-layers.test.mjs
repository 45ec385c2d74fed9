// The structure: forbidden includes do not compile, foreign libraries stay where they belong, the documents name what exists.
import {before, test} from "node:test";
import assert from "node:assert/strict";
import {execFile, spawn} from "node:child_process";
import {existsSync, readFileSync, readdirSync} from "node:fs";
import {join} from "node:path";
import {promisify} from "node:util";
import {root} from "../lib/services.mjs";

const run = promisify(execFile);
const bin = process.env.REDRAIN_BIN_DIR ?? join(root, "build", "asan");

/** Of each folder: a source, and the folders it may include (docs/ARCHITECTURE.md). */
const LAYERS = {
  base: ["base"],
  risk: ["base", "risk"],
  protocol: ["base", "protocol"],
  rain: ["base", "protocol", "rain"],
  room: ["base", "protocol", "rain", "room"],
  store: ["base", "protocol", "rain", "room", "store"],
  "settle/ledger": ["base", "risk", "protocol", "rain", "ledger"],
  "settle/settler": ["base", "risk", "protocol", "rain", "room", "store", "ledger", "settler"],
  "server/token": ["base", "protocol", "token"],
};
const HEADERS = {
  base: "base/err.h", risk: "risk/rules.h", protocol: "protocol/msg.h", rain: "rain/pool.h", room: "room/bus.h", store: "store/store_sync.h",
  ledger: "ledger/ledger.h", settler: "settler/topic.h", token: "token/token.h",
};
/** Public headers of these belong to one folder's sources (tools and tests aside). */
const FOREIGN = [
  [/<libwebsockets\.h>/, ["server"]], [/<hiredis\//, ["store"]], [/<msgpack/, ["protocol"]],
  [/<(mysql|mariadb)/, ["settle/ledger"]], [/<librdkafka\//, ["server", "settle/settler"]], [/<curl\//, []],
];

let compdb;

before(async () => {
  const {stdout} = await run("ninja", ["-C", bin, "-t", "compdb"], {maxBuffer: 1 << 28});
  compdb = JSON.parse(stdout.slice(stdout.indexOf("[")));
});

/** The -I and -D flags a source of the folder (not of a folder within it) is compiled with. */
function flagsOf(folder) {
  const own = new RegExp(`/${folder}/[^/]+\\.c$`);
  const entry = compdb.find((e) => own.test(e.file) && !/\/tests\//.test(e.file) && / -c /.test(e.command));
  assert.ok(entry, `a source of ${folder} is compiled`);
  return entry.command.split(/\s+/).filter((word) => /^-(I|D|std=)/.test(word));
}

function compiles(flags, header) {
  return new Promise((resolve) => {
    const cc = spawn("cc", [...flags, "-fsyntax-only", "-x", "c", "-"], {cwd: "/"});
    let stderr = "";
    cc.stderr.on("data", (data) => { stderr += data; });
    cc.on("close", (code) => resolve({ok: code === 0, stderr}));
    cc.stdin.end(`#include "${header}"\nint main(void)\n{\n    return 0;\n}\n`);
  });
}

for (const [folder, allowed] of Object.entries(LAYERS)) {
  test(`${folder} sees ${allowed.join(", ")} and nothing else`, async () => {
    const flags = flagsOf(folder);
    await Promise.all(Object.entries(HEADERS).map(async ([module, header]) => {
      const {ok, stderr} = await compiles(flags, header);
      assert.equal(ok, allowed.includes(module), `${folder} including ${header}: ${stderr}`);
      if (!ok) assert.match(stderr, /No such file or directory/);
    }));
  });
}

test("no include path names the root of the tree", () => {
  for (const {command, directory} of compdb) {
    for (const word of command.split(/\s+/).filter((w) => w.startsWith("-I"))) {
      assert.ok(!existsSync(join(word.slice(2), "CMakePresets.json")), `${word} in ${directory}`);
    }
  }
});

function sources(folder) {
  const found = [];
  const walk = (path) => {
    for (const entry of readdirSync(join(root, path), {withFileTypes: true})) {
      const name = join(path, entry.name);
      if (entry.isDirectory() && !["node_modules", "build"].includes(entry.name)) walk(name);
      else if (/\.[ch]$/.test(entry.name)) found.push(name);
    }
  };
  walk(folder);
  return found;
}

test("foreign libraries are included where they belong only", () => {
  for (const folder of ["base", "risk", "protocol", "rain", "room", "store", "settle", "server"]) {
    for (const file of sources(folder)) {
      const text = readFileSync(join(root, file), "utf8");
      for (const [include, homes] of FOREIGN) {
        if (include.test(text)) assert.ok(homes.some((home) => file.startsWith(`${home}/`)), `${file} includes ${include}`);
      }
    }
  }
});

test("every hop of the walk of a grab exists: file and function", () => {
  const text = readFileSync(join(root, "docs", "ARCHITECTURE.md"), "utf8");
  const start = text.indexOf("## The walk of a grab");
  assert.ok(start >= 0, "there is a walk");
  const section = text.slice(start, text.indexOf("\n## ", start + 1));
  const hops = [...section.matchAll(/^\| *\d+ *\| `([^`]+)` \| `([^`]+)` \|/gm)];
  assert.ok(hops.length >= 20, `${hops.length} hops`);
  for (const [, file, name] of hops) {
    assert.ok(existsSync(join(root, file)), file);
    const source = readFileSync(join(root, file), "utf8");
    const defined = file.endsWith(".lua") ? source.includes(name) || file.endsWith(`/${name}.lua`)
      : new RegExp(`^[a-z][^;\\n]*\\b${name}\\(`, "m").test(source);
    assert.ok(defined, `${file} : ${name}`);
  }
});

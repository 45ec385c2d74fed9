// Failpoints: each of the map stands at exactly one place of the code, and nothing of them is in what is released.
import {test} from "node:test";
import assert from "node:assert/strict";
import {execFileSync, spawnSync} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, readdirSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {failMap} from "../lib/failpoints.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const bin = process.env.REDRAIN_BIN_DIR ?? join(root, "build", "asan");
const skip = existsSync(join(bin, "build.ninja")) ? false : `nothing is built in ${bin}`;

function sources(dir) {
  return readdirSync(join(root, dir), {withFileTypes: true}).flatMap((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? sources(path) : /\.c$/.test(entry.name) ? [path] : [];
  });
}
const folders = ["base", "protocol", "rain", "room", "store", "settle", "server", "tools"];
const points = failMap();
const uses = folders.flatMap(sources).flatMap((file) =>
  [...readFileSync(join(root, file), "utf8").matchAll(/\brr_fail(?:_error)?\(([A-Z_]+)\)/g)].map(([, id]) => ({file, id})));

test("each failpoint of the map stands at one place", () => {
  assert.ok(points.length > 20);
  assert.equal(new Set(points.map((p) => p.name)).size, points.length, "names are unique");
  for (const {id} of points) assert.equal(uses.filter((u) => u.id === id).length, 1, `${id} is used once`);
  assert.deepEqual([...new Set(uses.map((u) => u.id))].sort(), points.map((p) => p.id).sort());
});

test("the preset that is released has none, those that test have them", () => {
  const presets = JSON.parse(readFileSync(join(root, "CMakePresets.json"), "utf8")).configurePresets;
  const on = presets.filter((p) => p.cacheVariables?.RR_FAILPOINTS === "ON").map((p) => p.name);
  assert.deepEqual(on.sort(), ["asan", "coverage", "dev", "tsan"]);
  assert.match(readFileSync(join(root, "CMakeLists.txt"), "utf8"), /option\(RR_FAILPOINTS "[^"]*" OFF\)/);
});

/** What of the failpoints is in an object or a program. */
function traces(file) {
  const symbols = execFileSync("nm", [file], {encoding: "utf8", maxBuffer: 1 << 28});
  const bytes = readFileSync(file).toString("latin1");
  return [...symbols.matchAll(/\brr_fail_\w+/g)].map((m) => m[0])
    .concat([...points.map((p) => p.name), "REDRAIN_FAIL"].filter((text) => bytes.includes(text)));
}

test("compiled without them, no symbol and no string of theirs is in an object", {skip}, () => {
  const db = JSON.parse(execFileSync("ninja", ["-C", bin, "-t", "compdb"], {encoding: "utf8", maxBuffer: 1 << 28}));
  const dir = mkdtempSync(join(tmpdir(), "redrain-fail-"));
  try {
    for (const file of new Set(uses.map((u) => u.file))) {
      const entry = db.find((e) => e.file.endsWith(`/${file}`) || e.file === file);
      assert.ok(entry, `${file} is compiled`);
      const object = join(dir, file.replaceAll("/", "_"));
      const compile = (drop) => {
        const command = entry.command.replace(/ -o \S+/, ` -o ${object}.o`).replace(/ -M[DTF]\S*( \S+\.(o|d))?/g, "").replace(drop, "");
        const done = spawnSync("sh", ["-c", command], {cwd: entry.directory, encoding: "utf8"});
        assert.equal(done.status, 0, `${command}: ${done.stderr}`);
      };
      compile(/ -DRR_FAILPOINTS/);
      assert.deepEqual(traces(`${object}.o`), [], file);
    }
  } finally {
    rmSync(dir, {recursive: true, force: true});
  }
});

test("what tests run against has them: the check above could fail", {skip}, (t) => {
  const program = join(bin, "settle", "settler", "redrain-settler");
  if (!existsSync(program) || !/RR_FAILPOINTS:BOOL=ON/.test(readFileSync(join(bin, "CMakeCache.txt"), "utf8"))) {
    t.skip("this build has no failpoints");
    return;
  }
  assert.ok(traces(program).includes("settle.before_commit"));
});

test("a release build that lies around is clean", () => {
  const release = join(root, "build", "release");
  const programs = ["server/redrain-server", "settle/settler/redrain-settler", "tools/ctl/redrainctl"].map((p) => join(release, p)).filter(existsSync);
  for (const program of programs) assert.deepEqual(traces(program), [], program);
});

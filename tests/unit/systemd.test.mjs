// configs/systemd: the units are what systemd understands, and take away what our programs do not need.
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import test from "node:test";

const FOLDER = new URL("../../configs/systemd/", import.meta.url).pathname;
const UNITS = readdirSync(FOLDER).filter((name) => name.endsWith(".service"));
const EXPOSURE_MAX = 20; // tenths; 100 is a unit without any of it

const run = (args) => new Promise((resolve) => {
  execFile("systemd-analyze", args, (error, stdout, stderr) => resolve({missing: error?.code === "ENOENT", code: error?.code ?? 0, text: stdout + stderr}));
});
const {missing} = await run(["--version"]);
const skip = missing ? "no systemd-analyze here" : false;

test("the units drop privileges: no root, no new ones, no capability, a read-only system, a filter of system calls", () => {
  assert.deepEqual(UNITS, ["redrain-server.service", "redrain-settler.service"]);
  for (const name of UNITS) {
    const lines = readFileSync(FOLDER + name, "utf8").split("\n");
    for (const line of ["User=redrain", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=", "ProtectSystem=strict",
      "ProtectHome=yes", "PrivateTmp=yes", "SystemCallFilter=@system-service", "LimitCORE=0", "UMask=0077"]) {
      assert.ok(lines.includes(line), `${name}: ${line}`);
    }
  }
});

test("systemd understands the units and finds them hardly exposed", {skip}, async () => {
  const dir = mkdtempSync(join(tmpdir(), "redrain-units-"));
  try {
    for (const name of UNITS) {
      const copy = join(dir, name); // the program is not installed here
      writeFileSync(copy, readFileSync(FOLDER + name, "utf8").replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
      const verified = await run(["verify", copy]);
      assert.doesNotMatch(verified.text, new RegExp(`${name}:`), "nothing to say about the unit");
      const {code, text} = await run(["security", "--offline=true", "--no-pager", `--threshold=${EXPOSURE_MAX}`, copy]);
      assert.equal(code, 0, text.split("\n").slice(-3).join(" "));
    }
  } finally {
    rmSync(dir, {recursive: true, force: true});
  }
});

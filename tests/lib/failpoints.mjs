// Arms failpoints (base/include/base/fail.h) of a running stack, one file each.
import {existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {until} from "./ws.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Rows of fail_map.h: [{id, name, row}]. */
export function failMap() {
  const text = readFileSync(join(root, "base", "include", "base", "fail_map.h"), "utf8");
  return [...text.matchAll(/X\(([A-Z_]+),\s+"([a-z_.]+)",\s+"([a-z]+)",/g)].map(([, id, name, row]) => ({id, name, row}));
}

export class Failpoints {
  dir = mkdtempSync(join(tmpdir(), "redrain-fail-"));

  /** For startStack({env}). */
  get env() { return {REDRAIN_FAIL_DIR: this.dir}; }

  /** spec: "", "2", "stop", "2 error"; see fail.h. */
  arm(name, spec = "") {
    rmSync(join(this.dir, `${name}.hit`), {force: true});
    writeFileSync(join(this.dir, name), spec);
  }

  /** The id of the process that was hit, or null. */
  hit(name) {
    const file = join(this.dir, `${name}.hit`);
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
  }

  waitHit(name, timeoutMs = 20_000) {
    return until(`failpoint ${name} is reached`, () => this.hit(name), {timeoutMs, everyMs: 10});
  }

  disarm() { for (const name of readdirSync(this.dir)) rmSync(join(this.dir, name), {force: true}); }
  remove() { rmSync(this.dir, {recursive: true, force: true}); }
}

/** Resolves when no process with this id is left (or only its zombie). */
export function gone(pid, timeoutMs = 10_000) {
  return until(`process ${pid} is gone`, () => {
    try {
      return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return true;
    }
  }, {timeoutMs, everyMs: 10});
}

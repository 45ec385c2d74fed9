// Every statement our programs send, as the database's general log has it. Needs a private MariaDB: only its root may look.
import {execFile} from "node:child_process";
import {existsSync} from "node:fs";
import {join} from "node:path";
import {promisify} from "node:util";
import {runDir} from "./services.mjs";

const run = promisify(execFile);
const dir = join(runDir, "mariadb", "data");

/** For `test(name, {skip: skipWithoutRoot}, …)`. */
export const skipWithoutRoot = existsSync(join(dir, "s.sock")) ? false : "needs a private MariaDB";

/** Rows of a statement as root, each a list of texts. The socket is named relative to its folder: paths may be too long. */
export async function rootSql(sql) {
  const args = ["--no-defaults", "--socket=s.sock", "--batch", "--skip-column-names", "-e", sql];
  const {stdout} = await run("mariadb", args, {cwd: dir, maxBuffer: 1 << 29});
  return stdout.split("\n").filter(Boolean).map((line) => line.split("\t"));
}

/** Before the programs start: a statement prepared without the log is in it without its values. */
export async function logStart() {
  await rootSql("SET GLOBAL general_log = 0; SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1");
}

/** Ends the log: [{thread, user, text}] of what was executed. Statements of a test's own carry a comment: see `own`. */
export async function logStop() {
  await rootSql("SET GLOBAL general_log = 0");
  const rows = await rootSql("SELECT thread_id, user_host, HEX(argument) FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')");
  await rootSql("TRUNCATE mysql.general_log; SET GLOBAL log_output = 'FILE'");
  return rows.map(([thread, user, hex]) => ({thread, user: /^(\w+)\[/.exec(user)?.[1] ?? user, text: Buffer.from(hex, "hex").toString("latin1")}))
    .filter(({user, text}) => user !== "root" && !text.startsWith(own));
}

/** In front of a statement that is a test's, not the product's. */
export const own = "/*test*/";

/** A statement without its values: what is the same code in the program has the same shape. */
export function shape(text) {
  return text.replace(/_binary'(?:[^'\\]|\\.|'')*'|'(?:[^'\\]|\\.|'')*'/gs, "?").replace(/\b-?\d+\b/g, "?")
    .replace(/\(\?(?:,\s*\?)+\)/g, "(?…)").replace(/(\(\?…\)|\(\?\))(?:,\s*(\(\?…\)|\(\?\)))+/g, "$1…").replace(/\s+/g, " ").trim();
}

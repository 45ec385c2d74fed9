// A redis-server of one test: killed, wiped, rolled back as the test likes, without hurting anybody else's.
import {spawn} from "node:child_process";
import {cpSync, mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import Redis from "ioredis";
import {freePort} from "./services.mjs";
import {until} from "./ws.mjs";

export class PrivateRedis {
  #child = null;
  #client = null;

  /** fsync: "always", "everysec" or null (no AOF: nothing survives). root: where its folder is made. args: more of the command line. */
  constructor({fsync = "everysec", root = tmpdir(), args = []} = {}) {
    this.fsync = fsync;
    this.args = args;
    this.root = mkdtempSync(join(root, "redrain-redis-"));
    this.dir = join(this.root, "data");
    cpSync(mkdtempSync(join(this.root, "empty-")), this.dir, {recursive: true});
  }

  get url() { return `redis://127.0.0.1:${this.port}/0`; }

  async start() {
    this.port ??= await freePort();
    const aof = this.fsync ? ["--appendonly", "yes", "--appendfsync", this.fsync] : ["--appendonly", "no"];
    const child = spawn("redis-server", ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.dir,
      "--save", "", "--auto-aof-rewrite-percentage", "0", ...aof, ...this.args], {stdio: "ignore"});
    this.#child = child;
    child.exited = new Promise((resolve) => { child.once("exit", resolve); });
    this.#client?.disconnect();
    this.#client = new Redis(this.url, {maxRetriesPerRequest: 3});
    this.#client.on("error", () => {});
    await until("the private Redis answers", () => this.#client.ping(), {timeoutMs: 20_000});
  }

  get client() { return this.#client; }
  get ended() { return this.#child.exitCode !== null || this.#child.signalCode !== null; }

  async kill9() {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async restart() {
    await this.kill9();
    await this.start();
  }

  /** What is on disk now, to go back to. */
  save(name) { cpSync(this.dir, join(this.root, name), {recursive: true}); }

  /** Dead, then with the data of an earlier save(). */
  async rollBack(name) {
    await this.kill9();
    rmSync(this.dir, {recursive: true});
    cpSync(join(this.root, name), this.dir, {recursive: true});
    await this.start();
  }

  async destroy() {
    this.#client?.disconnect();
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) await this.kill9();
    rmSync(this.root, {recursive: true, force: true});
  }
}

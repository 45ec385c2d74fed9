// Runs redrain-bench crowd as a child: its progress lines (JSON on stderr, once a second) and its summary (stdout).
import {spawn} from "node:child_process";
import {EventEmitter} from "node:events";
import {createInterface} from "node:readline";

/**
 * Emits "progress" (object). `result` resolves with the summary once the crowd ended, or rejects.
 * @param {object} o {program, url, origin, tokensFile, room, viewers, winsLog, durationMaxMs}
 */
export class Crowd extends EventEmitter {
  #child;
  latest = {};

  constructor(o) {
    super();
    this.#child = spawn(o.program, [
      "crowd", "--url", o.url, "--origin", o.origin, "--tokens-file", o.tokensFile, "--room", o.room,
      "--viewers", String(o.viewers), "--rate", "3", "--wins-log", o.winsLog,
      "--duration-max-ms", String(o.durationMaxMs), "--json", "--progress",
    ], {stdio: ["ignore", "pipe", "pipe"]});
    let summary = null;
    const said = [];
    createInterface({input: this.#child.stderr}).on("line", (line) => {
      try {
        this.latest = JSON.parse(line);
      } catch {
        said.push(line);
        if (said.length > 20) said.shift();
        return;
      }
      this.emit("progress", this.latest);
    });
    createInterface({input: this.#child.stdout}).on("line", (line) => {
      if (line.startsWith("{")) summary = line;
    });
    this.result = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => {
        if (summary !== null) resolve(JSON.parse(summary));
        else reject(new Error(`the crowd ended (${signal ?? code}) without a summary\n${said.join("\n")}`));
      });
    });
    this.result.catch(() => {});
  }

  /** Resolves once all viewers are in the room; with how many there are at the deadline. */
  async joined(viewers, timeoutMs) {
    const deadline = Date.now() + timeoutMs;
    while ((this.latest.joined ?? 0) < viewers && Date.now() < deadline) {
      const next = new Promise((resolve) => {
        this.once("progress", resolve);
        setTimeout(resolve, 2000).unref();
      });
      await Promise.race([next, this.result]);
    }
    return this.latest.joined ?? 0;
  }

  kill() {
    this.#child.kill("SIGTERM");
  }
}

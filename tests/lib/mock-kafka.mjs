// librdkafka's mock cluster (redrain-membroker --control), steered from the test: errors, latency, outages. It keeps nothing
// when it ends.
import {spawn, execFile} from "node:child_process";
import {once} from "node:events";
import {createInterface} from "node:readline";
import {promisify} from "node:util";
import {program} from "./stack.mjs";
import {within} from "./ws.mjs";

/** Kafka's error numbers. */
export const KAFKA = {NOT_LEADER: 6, REQUEST_TIMED_OUT: 7, MSG_SIZE_TOO_LARGE: 10, NOT_ENOUGH_REPLICAS: 19};
export const API = {PRODUCE: 0, FETCH: 1, METADATA: 3, JOIN_GROUP: 11};

export class MockKafka {
  #child;
  #lines;

  static async start({brokers = 3} = {}) {
    const mock = new MockKafka();
    mock.brokers = brokers;
    mock.#child = spawn(program("redrain-membroker"), ["--control", "--brokers", String(brokers)], {stdio: ["pipe", "pipe", "inherit"]});
    mock.#lines = createInterface({input: mock.#child.stdout});
    [mock.bootstrap] = await within(once(mock.#lines, "line"), 10_000, "the mock cluster starts");
    return mock;
  }

  async #tell(command) {
    const answer = once(this.#lines, "line");
    this.#child.stdin.write(`${command}\n`);
    const [line] = await within(answer, 5000, `answer to ${command}`);
    if (line !== "ok") throw new Error(`${command}: ${line}`);
  }

  /** The next `times` requests of this kind each get the codes, one after the other. */
  errors(api, times, ...codes) { return this.#tell(`errors ${api} ${times} ${codes.join(" ")}`); }
  async rtt(ms) { for (let id = 1; id <= this.brokers; id += 1) await this.#tell(`rtt ${id} ${ms}`); }
  async down() { for (let id = 1; id <= this.brokers; id += 1) await this.#tell(`down ${id}`); }
  async up() { for (let id = 1; id <= this.brokers; id += 1) await this.#tell(`up ${id}`); }
  topic(name, partitions) { return this.#tell(`topic ${name} ${partitions}`); }
  leader(topic, partition, broker) { return this.#tell(`leader ${topic} ${partition} ${broker}`); }

  async stop() {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await gone;
  }
}

/** One record of any bytes into a topic. */
export function produceRaw(bootstrap, topic, key, bytes) {
  return promisify(execFile)(program("redrain-membroker"),
    ["--produce", bootstrap.split(",")[0], topic, key, Buffer.from(bytes).toString("hex"), "--timeout-ms", "10000"]);
}

// Several redis-servers of one test: a cluster, or a primary with a replica and sentinels. All on the loopback.
import {spawn} from "node:child_process";
import {mkdtempSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import Redis from "ioredis";
import {freePort} from "./services.mjs";
import {until} from "./ws.mjs";

const WHOLE_MS = 30_000;
const SLOTS = 16384;
const REPL = {user: "repl", password: "only-for-replicas"};

/** One process. args: of its command line beside port and folder. */
class Node {
  constructor(root, args, file = null) {
    this.dir = mkdtempSync(join(root, "node-"));
    this.args = args;
    this.file = file;
  }

  async start() {
    this.port ??= await freePort();
    this.busPort ??= await freePort();
    const config = this.file ? [this.file, "--sentinel"] : [];
    const child = spawn("redis-server", [...config, "--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.dir,
      ...this.args(this)], {stdio: "ignore"});
    this.child = child;
    child.exited = new Promise((resolve) => { child.once("exit", resolve); });
    this.client?.disconnect();
    this.client = new Redis(`redis://127.0.0.1:${this.port}/0`, {maxRetriesPerRequest: 3});
    this.client.on("error", () => {});
    await until("a redis-server answers", () => this.client.ping(), {timeoutMs: 20_000});
  }

  get alive() { return this.child && this.child.exitCode === null && this.child.signalCode === null; }

  async kill9() {
    this.client.disconnect();
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  /** No replica follows it from here on: what it acknowledges now is lost when it dies. */
  async cutReplicas() {
    await this.client.call("ACL", "SETUSER", REPL.user, "off");
    await this.client.call("CLIENT", "KILL", "TYPE", "replica");
  }
}

const COMMON = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0",
  "--masteruser", REPL.user, "--masterauth", REPL.password, "--repl-diskless-sync-delay", "0",
  "--user", REPL.user, "on", `>${REPL.password}`, "~*", "&*", "+@all"];

class Group {
  constructor() {
    this.root = mkdtempSync(join(tmpdir(), "redrain-redis-"));
    this.nodes = [];
  }

  async destroy() {
    for (const node of this.nodes) {
      node.client?.disconnect();
      if (node.alive) await node.kill9();
    }
    rmSync(this.root, {recursive: true, force: true});
  }
}

export class PrivateCluster extends Group {
  /** replicas: of the first primary. */
  constructor({primaries = 3, replicas = 0} = {}) {
    super();
    this.primaries = primaries;
    for (let i = 0; i < primaries + replicas; i += 1)
      this.nodes.push(new Node(this.root, (n) => [...COMMON, "--cluster-enabled", "yes", "--cluster-port", String(n.busPort),
        "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
        "--cluster-allow-replica-migration", "no"]));
  }

  get url() { return `redis://${this.nodes.slice(0, 2).map((n) => `127.0.0.1:${n.port}`).join(",")}`; }

  async start() {
    const first = this.nodes[0];
    for (const [i, node] of this.nodes.entries()) {
      await node.start();
      node.id = await node.client.call("CLUSTER", "MYID");
      await node.client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
      if (i < this.primaries)
        await node.client.call("CLUSTER", "ADDSLOTSRANGE", Math.floor(i * SLOTS / this.primaries),
          Math.floor((i + 1) * SLOTS / this.primaries) - 1);
      if (i > 0) await node.client.call("CLUSTER", "MEET", "127.0.0.1", first.port, first.busPort);
    }
    for (const replica of this.nodes.slice(this.primaries)) {
      await until("the replica knows its primary", () => replica.client.call("CLUSTER", "REPLICATE", first.id).catch(() => false),
        {timeoutMs: WHOLE_MS});
      await until("the replica follows", async () => /master_link_status:up/.test(await replica.client.info("replication")),
        {timeoutMs: WHOLE_MS});
    }
    await this.untilWhole();
  }

  untilWhole() {
    return until("the cluster is whole", async () => {
      for (const node of this.nodes.filter((n) => n.alive)) {
        const info = await node.client.call("CLUSTER", "INFO");
        if (!info.includes("cluster_state:ok") || !info.includes(`cluster_slots_ok:${SLOTS}`)
          || !info.includes(`cluster_size:${this.primaries}`)) return false;
      }
      return true;
    }, {timeoutMs: WHOLE_MS, everyMs: 20});
  }

  /** The node that serves a key, by its own word. */
  async ownerOf(key) {
    const slot = await this.nodes.find((n) => n.alive).client.call("CLUSTER", "KEYSLOT", key);
    for (const node of this.nodes.filter((n) => n.alive)) {
      for (const [from, to, [, port]] of await node.client.call("CLUSTER", "SLOTS"))
        if (slot >= from && slot <= to && port === node.port) return {node, slot};
    }
    throw new Error(`nobody serves ${key}`);
  }

  /** Moves the slot of a key to another primary, as an operator's tool does it. */
  async moveSlotOf(key) {
    const {node: from, slot} = await this.ownerOf(key);
    const to = this.nodes.slice(0, this.primaries).find((n) => n !== from);
    await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
    await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    for (;;) {
      const keys = await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, 100);
      if (!keys.length) break;
      for (const k of keys) await from.client.call("MIGRATE", "127.0.0.1", to.port, k, 0, 5000);
    }
    await to.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
    await from.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
    return {from, to, slot};
  }
}

/** A primary, a replica, and a sentinel that alone decides. */
export class PrivateSentinel extends Group {
  master = "rain";

  async start() {
    const [primary, replica] = [new Node(this.root, () => COMMON),
      new Node(this.root, () => [...COMMON, "--replicaof", "127.0.0.1", String(primary.port)])];
    this.nodes.push(primary, replica);
    await primary.start();
    await replica.start();
    await until("the replica follows", async () => /master_link_status:up/.test(await replica.client.info("replication")),
      {timeoutMs: WHOLE_MS});
    const file = join(this.root, "sentinel.conf");
    writeFileSync(file, [`sentinel monitor ${this.master} 127.0.0.1 ${primary.port} 1`,
      `sentinel down-after-milliseconds ${this.master} 1000`, `sentinel failover-timeout ${this.master} 5000`,
      `sentinel auth-user ${this.master} ${REPL.user}`, `sentinel auth-pass ${this.master} ${REPL.password}`, ""].join("\n"));
    this.sentinel = new Node(this.root, () => [], file);
    this.nodes.push(this.sentinel);
    await this.sentinel.start();
    await until("the sentinel knows the replica", async () =>
      (await this.sentinel.client.call("SENTINEL", "REPLICAS", this.master)).length === 1, {timeoutMs: WHOLE_MS});
    [this.primary, this.replica] = [primary, replica];
    this.deadPort = await freePort();
  }

  /** The first of the sentinels is not there. */
  get url() { return `redis://127.0.0.1:${this.deadPort},127.0.0.1:${this.sentinel.port}/0`; }
}

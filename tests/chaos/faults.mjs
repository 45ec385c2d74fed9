// What is done to the world: a deck of faults drawn from the seed, dealt while a rain is open with an unresolved grab.
import {rngOf} from "./rng.mjs";
import {SERVERS, SETTLERS, WORKERS, sleep, soon} from "./world.mjs";

/** Kills of one deck, per kind of target: each at least 5% of 18. */
export const DECK = {supervisor: 2, admin: 1, worker: 2, settler: 2, redis: 2, kafka: 1, mariadb: 2};
export const TARGETS = ["supervisor", "admin", ...SERVERS.flatMap((s) => Array.from({length: WORKERS}, (_, i) => `${s}.worker${i}`)),
  "settler", "redis", "kafka", "mariadb"];

export const PACE_MS = 1100;
const DISTURB_EVERY = 2; // after every second kill something that is no kill
const WAIT_ALIVE_MS = 25_000;
const WAIT_EXPOSED_MS = 20_000;
const ROLLBACK_MS = [1100, 2500];

/** The kind of target a kill is counted under. */
export const countedAs = (target) => {
  const [name, part] = target.split(".");
  if (part === "supervisor" || part === "admin") return part;
  return name.startsWith("settler") ? "settler" : target;
};

const isLeft = (target, without) => without.includes(target) || without.includes(countedAs(target));

function deck(rng, without) {
  const cards = [];
  const add = (n, make) => { for (let i = 0; i < n; i += 1) cards.push(make(i)); };
  const first = rng.int(0, 1);
  add(DECK.supervisor, (i) => ({target: `${SERVERS[(first + i) % 2]}.supervisor`}));
  add(DECK.admin, () => ({target: `${rng.pick(SERVERS)}.admin`}));
  for (const s of SERVERS) for (let w = 0; w < WORKERS; w += 1) add(DECK.worker, () => ({target: `${s}.worker${w}`}));
  add(DECK.settler, (i) => ({target: SETTLERS[(first + i) % 2]}));
  add(DECK.redis, () => ({target: "redis", how: rng.weighted({kill: 4, wipe: 3, rollback: 3}), fsync: rng.pick(["always", "everysec"]),
    backMs: rng.int(...ROLLBACK_MS), downMs: rng.int(0, 800)}));
  add(DECK.kafka, () => ({target: "kafka", downMs: rng.int(0, 1500)}));
  add(DECK.mariadb, () => ({target: "mariadb", downMs: rng.int(0, 1500)}));
  return rng.shuffle(cards.filter((c) => !isLeft(c.target, without)));
}

/** Endless: kills by decks, other disturbances between them. */
export function* schedule(seed, {without = [], paceMs = PACE_MS} = {}) {
  const rng = rngOf(seed, "faults");
  const disturbed = [...SERVERS.flatMap((s) => [`${s}.worker0`, `${s}.worker1`]), ...SETTLERS, "redis", "kafka", "mariadb"]
    .filter((t) => !isLeft(t, without));
  const links = [...SERVERS, ...SETTLERS].flatMap((p) => ["redis", "mariadb"].map((s) => `${p}/${s}`)).concat("kafka");
  for (let n = 0; ;) {
    for (const card of deck(rng, without)) {
      n += 1;
      yield {...card, kind: "kill", how: card.how ?? "kill", afterMs: Math.round(paceMs * (0.5 + rng.next()))};
      if (n % DISTURB_EVERY) continue;
      const kind = rng.weighted({pause: 3, cut: 4, restart: 1});
      if (kind === "pause") {
        const target = rng.pick(disturbed);
        // Longer than a consumer's session: a settler wakes up as one whose partitions another one has.
        const ms = SETTLERS.includes(target) && rng.chance(0.4) ? rng.int(6500, 9000) : rng.int(300, 3500);
        yield {kind, target, ms, afterMs: rng.int(100, 500)};
      }
      if (kind === "cut") {
        yield {kind, target: rng.pick(links), how: rng.pick(["refuse", "hole", "deaf", "deaf"]), ms: rng.int(200, 2500), afterMs: rng.int(100, 500)};
      }
      if (kind === "restart") yield {kind, target: rng.pick([...SERVERS.map((s) => `${s}.supervisor`), ...SETTLERS]), afterMs: rng.int(100, 500)};
    }
  }
}

export class Faults {
  kills = 0;
  byTarget = Object.fromEntries(TARGETS.map((t) => [t, 0]));
  others = {pause: 0, cut: 0, restart: 0};
  done = []; // {at, backAt?, …card}
  #busy = new Map(); // target → promise of its return
  #stopped = false;

  constructor({world, crowd, seed, without, paceMs, note}) {
    Object.assign(this, {world, crowd, note});
    if (world.broker === "memory") without = [...(without ?? []), "kafka"];
    this.cards = schedule(seed, {without, paceMs});
  }

  stop() { this.#stopped = true; }

  /** Deals until `kills` were counted, or stop(). */
  async run(kills) {
    for (const card of this.cards) {
      if (this.#stopped || this.kills >= kills) break;
      await sleep(card.afterMs);
      if (card.kind === "kill") await this.#kill(card);
      else await this.#disturb(card);
    }
    await Promise.all(this.#busy.values());
  }

  /** Condition and kill without anything between: what is counted is true at that moment. */
  async #strike(card, how) {
    const deadline = Date.now() + WAIT_EXPOSED_MS;
    while (!this.#stopped && Date.now() < deadline) {
      if (this.crowd.exposed() > 0) {
        const hit = this.world.signal(card.target, how);
        if (hit) return hit;
      }
      await sleep(4);
    }
    return null;
  }

  async #kill(card) {
    const service = !card.target.includes(".") && !card.target.startsWith("settler");
    await this.#busy.get(card.target);
    const name = card.target.split(".")[0];
    if (!await soon(() => !this.#busy.has(name) && this.world.process(card.target), WAIT_ALIVE_MS, 10)) {
      this.note(`${card.target} was not alive in ${WAIT_ALIVE_MS} ms: not killed`);
      return;
    }
    if (card.how === "rollback") await this.#snapshot(card);
    const hit = await this.#strike(card, "SIGKILL");
    if (!hit) {
      if (!this.#stopped) this.note(`no grab was open for ${WAIT_EXPOSED_MS} ms: ${card.target} lives`);
      return;
    }
    const entry = {...card, at: Date.now()};
    this.done.push(entry);
    this.kills += 1;
    this.byTarget[countedAs(card.target)] += 1;
    if (service) this.#later(card.target, this.#bringBack(card, hit, entry));
  }

  /** What the disk will show: as it is now. Only of a Redis that does not promise each write to it. */
  async #snapshot(card) {
    if (this.world.fsync !== "everysec") {
      card.how = "kill";
      card.fsync = "everysec";
      return;
    }
    this.world.redisSnapshot();
    card.fsync = "everysec";
    await sleep(card.backMs);
  }

  async #bringBack(card, hit, entry) {
    await soon(() => this.world.gone(hit), 10_000, 5);
    if (card.how === "wipe") this.world.redisForget();
    if (card.how === "rollback") this.world.redisPutBack();
    if (card.fsync) this.world.fsync = card.fsync;
    await sleep(card.downMs);
    await this.world.startService(card.target);
    entry.backAt = Date.now();
  }

  #later(name, promise) {
    const kept = promise.catch((error) => this.note(`${name}: ${error.message}`)).finally(() => this.#busy.delete(name));
    this.#busy.set(name, kept);
  }

  async #disturb(card) {
    const name = card.target.includes("/") ? card.target : card.target.split(".")[0];
    if (this.#busy.has(name) || this.#busy.has(card.target)) return;
    const entry = {...card, at: Date.now()};
    if (card.kind === "pause") {
      if (!this.world.signal(card.target, "SIGSTOP")) return;
      this.#later(card.target, sleep(card.ms).then(() => this.world.resume(card.target)));
    } else if (card.kind === "cut") {
      const link = this.world.links[card.target];
      link.set(card.how);
      this.#later(card.target, sleep(card.ms).then(() => link.set("pass")));
    } else if (!this.world.signal(card.target, "SIGTERM")) {
      return;
    }
    this.others[card.kind] += 1;
    this.done.push(entry);
  }
}

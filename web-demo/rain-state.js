// What a viewer knows of one rain, and what that means. No DOM, no network: pages draw it.

/** Order in which a grant's state may change; it never goes back. */
const STATE_RANK = {confirming: 0, pending: 1, held: 2, settled: 3, void: 3, taken_back: 3};

export class Rain {
  /** @param {string} code */
  constructor(code) {
    this.code = code;
    this.config = null; // RED_PACKET_CONFIG
    this.granted = 0;
    this.grantedFen = 0;
    this.endedAt = null; // server ms, once RED_PACKET_END came
    this.soldOutAt = null;
    this.result = null; // RED_PACKET_RESULT
    this.announced = null; // seed_hash of the first RED_PACKET_CONFIG
    this.proof = null; // what proof-view.js made of the revealed seed
    this.cancelled = false;
    this.recovering = false; // RED_PACKET_STATE: its pool is being recovered
    this.outcome = null; // last final no: "SOLD_OUT" | "LIMIT" | "ENDED"
    this.confirming = false; // a grab is PENDING
    this.taps = 0;
    this.notForMe = false; // a packet for others: NOT_ELIGIBLE
    this.dismissed = false; // the result card was closed
    this.grants = new Map(); // seq → {seq, no, shard, amount?, state, at}
  }

  onConfig(config) {
    this.announced ??= config.seed_hash ?? null;
    this.config = config;
    this.soldOutAt = config.sold_out_at ?? this.soldOutAt;
    // Extended after this page thought it was over.
    if (this.endedAt !== null && config.end_at > this.endedAt && !this.result) this.endedAt = null;
    if (this.outcome === "ENDED") this.outcome = null;
  }

  /** RECOVERING, OPEN or CLOSED. What was seen of the lost pool says nothing: counts start anew, there may be packets again. */
  onState({state}) {
    this.recovering = state === "RECOVERING";
    this.granted = 0;
    this.grantedFen = 0;
    if (this.result) return;
    this.soldOutAt = null;
    if (this.outcome === "SOLD_OUT") this.outcome = null;
  }

  /** Counts only grow: late or reordered ticks change nothing. */
  onTick(tick) {
    this.granted = Math.max(this.granted, tick.granted);
    this.grantedFen = Math.max(this.grantedFen, tick.granted_price);
  }

  onEnd(end) {
    this.#learnRules(end);
    this.endedAt = end.end_at;
    this.soldOutAt = end.sold_out_at ?? this.soldOutAt;
  }

  onResult(result) {
    this.#learnRules(result);
    this.result = result;
    this.granted = result.granted;
    this.grantedFen = result.granted_price;
    this.soldOutAt = result.sold_out_at ?? this.soldOutAt;
    this.endedAt ??= this.config?.end_at ?? 0;
  }

  /** END and RESULT repeat the rules: all that a late joiner gets of a rain that is over. */
  #learnRules({total_count, total_price, limit, open_at, end_at}) {
    if (this.config || limit === undefined || open_at === undefined) return;
    this.config = {config_code: this.code, total_count, total_price, limit, open_at, end_at};
  }

  /** Takes a grant in: from a grab's answer, MY_GRANTS or GRANT_SETTLED. Never forgets an amount. */
  onGrant({seq, no, shard, amount, state, at}) {
    const old = this.grants.get(seq);
    const next = old ?? {seq, no, shard, state, at};
    if (amount !== undefined && amount !== null) next.amount = amount;
    if (at !== undefined) next.at = at;
    if (no !== undefined) next.no = no;
    if (STATE_RANK[state] >= STATE_RANK[next.state]) next.state = state;
    this.grants.set(seq, next);
  }

  /** Takes a grab's final answer in. */
  onGrab(answer, at) {
    this.confirming = false;
    if (answer.name === "OK") this.onGrant({...answer, state: "pending", at});
    else this.outcome = answer.name;
  }

  /** Grants whose amount the server has told and that are still his. */
  get wins() {
    return [...this.grants.values()].filter((g) => g.amount !== undefined && !["void", "taken_back"].includes(g.state));
  }

  get wonFen() {
    return this.wins.reduce((sum, grant) => sum + grant.amount, 0);
  }

  get confirmingCount() {
    const listed = [...this.grants.values()].filter((g) => g.amount === undefined).length;
    return Math.max(listed, this.confirming ? 1 : 0);
  }

  /** "waiting" (no open time), "countdown", "open", "over" or "cancelled". */
  phase(now) {
    if (this.cancelled) return "cancelled";
    if (!this.config || now === null) return "waiting";
    if (this.result || this.endedAt !== null) return "over";
    if (now < this.config.open_at) return "countdown";
    return now < this.config.end_at ? "open" : "over";
  }

  /** True if another grab could still win something. */
  mayGrab(now) {
    return this.phase(now) === "open" && this.outcome === null && this.soldOutAt === null
      && this.grants.size < this.config.limit;
  }

  /** True once this viewer has nothing more to do in this rain. */
  isDone(now) {
    const phase = this.phase(now);
    if (phase === "over") return true;
    return phase === "open" && !this.mayGrab(now) && !this.confirming;
  }

  /** False once it has nothing more for this viewer, although others may still grab: the next one may begin. */
  holdsStage(now) {
    if (this.phase(now) === "over") return false;
    return !(this.notForMe || (this.dismissed && this.isDone(now)));
  }

  /** What the result card says. An amount is in it only if the server told it. */
  card() {
    const wins = this.wins;
    const base = {wonFen: this.wonFen, count: wins.length, confirming: this.confirmingCount};
    if (wins.length > 0) {
      const held = wins.some((grant) => grant.state === "held");
      return {...base, kind: held ? "held" : "win"};
    }
    if (base.confirming > 0) return {...base, kind: "confirming"};
    if (this.outcome === "LIMIT") return {...base, kind: "limit"};
    const soldOut = this.outcome === "SOLD_OUT" || this.soldOutAt !== null
      || (this.result && this.result.granted === this.result.total_count);
    if (soldOut) return {...base, kind: this.taps > 0 ? "almost" : "sold_out"};
    return {...base, kind: "ended"};
  }

  /** Seconds from opening until the last packet went, or null. */
  get soldOutSeconds() {
    if (this.soldOutAt === null || !this.config) return null;
    return Math.max(0, (this.soldOutAt - this.config.open_at) / 1000);
  }
}

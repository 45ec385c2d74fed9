// What the page knows of the room's campaign of five cards. No DOM, no network.

export const CARDS = Object.freeze([1, 2, 3, 4, 5]);
export const EVENTS = Object.freeze(["join", "signin", "rain"]);

const DAY_MS = 24 * 3600 * 1000;

export class FuModel {
  /** The last FU_CAMPAIGN, or null. */
  campaign = null;
  /** The last FU_MINE of this campaign, or null. */
  mine = null;
  /** The last rain of the room that gives a card: {code, open_at}. */
  rain = null;
  /** Whose card was drawn for which event, by this page: what FU_MINE says once more. */
  #drawn = new Map();

  /** A FU_CAMPAIGN push, from the room or JOIN's answer. */
  onCampaign(payload) {
    if (this.campaign?.code !== payload.code) {
      this.mine = null;
      this.#drawn.clear();
    }
    this.campaign = payload;
  }

  /** FU_MINE: it knows more than the push, and what the user has. */
  onMine(reply) {
    const {code, state, text, pool, split, winners, winners_max, day_draws, share_at, rain, weights} = reply;
    this.onCampaign({...this.campaign, code, state, text, pool, split, winners, winners_max, day_draws, share_at, rain, weights});
    this.mine = reply;
    this.#drawn.clear();
    for (const {event} of reply.drawn) this.#drawn.set(eventOf(event, reply.day), true);
  }

  /** A rain of kind "rain" that began. */
  onRain({config_code: code, open_at: openAt, kind}) {
    if ((kind ?? "rain") === "rain" && openAt && (!this.rain || openAt >= this.rain.openAt)) this.rain = {code, openAt};
  }

  /** The answer of FU_DRAW, FU_GIVE or FU_JOIN: what the user has now. */
  onAnswer(reply, event) {
    if (event) this.#drawn.set(event === "rain" ? `rain:${this.rain?.code}` : event, true);
    if (this.mine) this.mine = {...this.mine, ...pick(reply, ["held", "draws", "gifts"])};
  }

  get held() { return this.mine?.held ?? [0, 0, 0, 0, 0]; }
  get missing() { return this.held.filter((n) => n === 0).length; }
  get joined() { return Boolean(this.mine?.joined); }
  get isOpen() { return this.campaign?.state === "OPEN"; }

  /** It is open and its time has not come. */
  isRunning(now) { return this.isOpen && (now === null || now < this.campaign.share_at); }
  get drawsLeft() { return Math.max(0, (this.campaign?.day_draws ?? 0) - (this.mine?.draws ?? 0)); }
  mayJoin(now) { return this.isRunning(now) && Boolean(this.mine) && !this.joined && this.missing === 0; }

  /** "ready", "done", or "none": there is no rain to draw for. */
  eventState(event, now) {
    if (event !== "rain") return this.#drawn.has(event) ? "done" : "ready";
    if (!this.rain || now === null || now < this.rain.openAt || this.rain.openAt < (this.mine?.created_at ?? 0)) return "none";
    return this.#drawn.has(`rain:${this.rain.code}`) ? "done" : "ready";
  }

  /** A campaign worth a button: open, or shared less than a day ago. */
  isShown(now) {
    if (!this.campaign || this.campaign.state === "GIVEN_BACK") return false;
    return this.isOpen || this.campaign.state === "SHARING" || now === null || now < this.campaign.share_at + DAY_MS;
  }
}

/** "join:20512" is "join" on that day of the server's; of another day it is nothing of today's. */
function eventOf(event, day) {
  const [kind, of] = event.split(":");
  return kind !== "rain" && Number(of) === day ? kind : event;
}

const pick = (from, names) => Object.fromEntries(names.filter((n) => from[n] !== undefined).map((n) => [n, from[n]]));

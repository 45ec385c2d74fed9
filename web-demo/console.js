// The anchor's console: create, start, watch, close, and see what became of every fen. The server decides everything; this page
// repeats a question safely (biz_id kept until success) and shows what it was told. Each panel is a file of its own: a function
// that takes ctx and wires its part of console.html.

import {byId, plain, setText} from "./dom.js";
import {fuConsole} from "./fu-console.js";
import {applyTexts, language, onLanguage, t, toggleLanguage} from "./i18n.js";
import {mountAudit} from "./console-audit.js";
import {mountCreate} from "./console-create.js";
import {mountLive} from "./console-live.js";
import {mountPeople} from "./console-people.js";
import {ConsoleStore} from "./console-store.js";
import {mountTabs} from "./console-tabs.js";
import {mountWinners} from "./console-winners.js";
import {connectionPill, pageClient, readSession} from "./page.js";

const PANELS = [mountCreate, mountLive, mountPeople, mountTabs, mountWinners, mountAudit];
const STATS_BUSY_MS = 1000;
const STATS_IDLE_MS = 3000;
const DRAW_MS = 200;
const SECOND_MS = 1000;

/** A list of functions that are called together. */
function signal() {
  const fns = [];
  return {add: (fn) => fns.push(fn), fire: () => fns.forEach((fn) => fn())};
}

function gate(titleKey, text) {
  setText(byId("gate-title"), t(titleKey));
  setText(byId("gate-text"), text);
  byId("gate").hidden = false;
}

/** Asks for the figures again and again; refresh() asks at once. */
function poller(client, store, done) {
  let timer;
  let asking = false;
  async function poll() {
    clearTimeout(timer);
    if (client.state === "ready" && !asking) {
      asking = true;
      try {
        store.onStats(await client.request("STATS", {}));
        done();
      } catch {
        // the pill says when the connection is gone; the figures stay as they were
      }
      asking = false;
    }
    clearTimeout(timer);
    timer = setTimeout(poll, document.hidden || !store.busy() ? STATS_IDLE_MS : STATS_BUSY_MS);
  }
  return poll;
}

function wirePushes(client, store, refresh, draw) {
  client.on("RED_PACKET_TICK", (tick) => store.onTick(tick) && draw());
  client.on("RED_PACKET_RESULT", (result) => {
    store.results.set(result.config_code, result);
    refresh();
  });
  client.on("RED_PACKET_STATE", (state) => store.onState(state));
  for (const biz of ["RED_PACKET_CONFIG", "RED_PACKET_END", "RED_PACKET_CANCEL"]) {
    client.on(biz, (payload, meta) => meta.snapshot || refresh());
  }
  client.on("ROOM_COUNT", ({online}) => {
    store.online = online;
  });
  client.on("snapshot", (snapshot) => {
    setText(byId("room-name"), plain(snapshot.room, 24));
    refresh();
  });
  client.on("refused", (error) => gate("refusedTitle", error.text(language())));
  client.on("state", ({state, code}) => {
    if (state === "stopped") gate("stoppedTitle", t(`close.${code}`));
    else byId("gate").hidden = true;
  });
}

function main() {
  const {room, token} = readSession();
  byId("lang").addEventListener("click", toggleLanguage);
  onLanguage(() => {
    applyTexts();
    document.title = t("c.pageTitle", {room: plain(room ?? "", 24)});
    setText(byId("lang"), t("otherLanguage"));
  });
  if (!room) return gate("noRoomTitle", t("noRoomText"));
  if (!token) return gate("noTokenTitle", t("noTokenText"));

  const client = pageClient(token);
  const store = new ConsoleStore();
  const [drawn, second, stats, acted] = [signal(), signal(), signal(), signal()];
  const poll = poller(client, store, () => {
    stats.fire();
    drawn.fire();
  });
  const redrawPill = connectionPill(client, byId("pill"), byId("pill-text"), t);
  /** What a panel may use. */
  const ctx = {
    client, store, room,
    now: () => client.serverNow(),
    draw: () => drawn.fire(),
    /** After an action: figures and the audit trail. */
    refresh: () => {
      poll();
      acted.fire();
    },
    onDraw: drawn.add, onSecond: second.add, onStats: stats.add, onAction: acted.add, onLanguage,
  };
  for (const mount of PANELS) mount(ctx);
  onLanguage(() => {
    redrawPill();
    drawn.fire();
  });
  wirePushes(client, store, poll, ctx.draw);
  client.connect().catch(() => {}); // "state" tells
  fuConsole(client, room);
  client.join(room).catch(() => {}); // "refused" tells
  setInterval(ctx.draw, DRAW_MS);
  setInterval(() => {
    store.sample(ctx.now() ?? Date.now());
    second.fire();
  }, SECOND_MS);
}

main();

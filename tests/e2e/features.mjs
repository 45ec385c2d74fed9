// What people must find on the pages, and the test that shows it. A unit test (tests/unit/web/features.test.mjs) fails when a row names
// no test, when the test is not there, or when an area that must be covered has no rows.
//
// [area, feature, file below tests/, title of the test]

const FU = "e2e/fu.test.mjs";
const STATES = "e2e/states.test.mjs";
const PAGES = "e2e/pages.test.mjs";
const RAIN = "e2e/rain.test.mjs";
const SEND = "e2e/send.test.mjs";
const CON = "e2e/console.test.mjs";
const COMPANY = "e2e/company.test.mjs";
const WEB = "unit/web/";

/** Areas of the viewer's page and of the anchor's console; each needs rows. */
export const VIEWER_AREAS = Object.freeze(["before", "rain", "result", "always", "late", "reconnect", "a11y", "tests"]);
export const CONSOLE_AREAS = Object.freeze(["create", "live", "after", "trust"]);

export const VIEWER = [
  ["before", "banner and synced countdown", RAIN, "prepare and start; both viewers count down together"],
  ["before", "offset from the sample with the smallest round trip", `${WEB}clock.test.mjs`, "the sample with the smallest round trip wins over lopsided ones"],
  ["before", "monotonic clock: a wall clock that is moved changes nothing", STATES, "a wall clock moved by ten minutes in the middle changes no countdown"],
  ["before", "pictures loaded before the rain, rules", STATES, "every state on a phone, and its picture"],
  ["rain", "falling packets, at most 200 things", `${WEB}rain-field.test.mjs`, "the sky is full from the first frame on, and never fuller than it may be"],
  ["rain", "50 frames a second, CPU slowed four times", STATES, "frames: at least 50 a second with the CPU slowed four times (asserted: 30)"],
  ["rain", "low mode for slow devices", STATES, "a slow device gets a low mode of 30 frames a second"],
  ["rain", "elements where there is no canvas", STATES, "no canvas: the packets are elements, and can be grabbed"],
  ["rain", "hit boxes of 44 px", `${WEB}rain-field.test.mjs`, "a hit box is at least 44 px, around the smallest packet too"],
  ["rain", "tap near a packet, no zoom, no scroll", STATES, "a finger anywhere near a packet grabs it"],
  ["rain", "combo, seconds left, what is gone", STATES, "every state on a desktop, and its picture"],
  ["rain", "sound, vibration, motion: switched and remembered", STATES, "sound, vibration and motion are remembered; sounds are made in the page after a gesture"],
  ["rain", "one open question per rain, the server's pace", `${WEB}grab.test.mjs`, "at most one question per rain is open; further taps share it"],
  ["result", "win, 差一点, 已抢完, 已领过, 确认中 that resolves itself, 审核中", STATES, "cards: 差一点, 已抢完, 已领过, 确认中, 审核中, each in its own words"],
  ["result", "no amount before the server's OK", PAGES, "broker paused: 确认中 and no amount, then the amount by itself"],
  ["result", "手气最佳 and top list as in SQL", RAIN, "what the viewers see is what SQL holds"],
  ["result", "own place from the steps of the amounts", `${WEB}rank.test.mjs`, "within a step the place is estimated, between its neighbours"],
  ["result", "the rain is proven on the card", RAIN, "the page proves the rain: own packets and the luckiest are ticked"],
  ["result", "a page that proves any rain", STATES, "the proof page recomputes a rain in both languages, and says no to a wrong number"],
  ["always", "我的红包 with 入账中 and 已入账", STATES, "every state on a phone, and its picture"],
  ["always", "my packets as in SQL", RAIN, "what the viewers see is what SQL holds"],
  ["always", "online count, connection pill", RAIN, "all three connect, and no token stays in an address"],
  ["always", "chat", RAIN, "chat: what others write is text"],
  ["always", "send a packet", SEND, "send, grab, see the refund"],
  ["always", "what I sent, page by page", STATES, "what I sent comes page by page"],
  ["always", "collect five cards, give, join, open the share", FU, "draw, give, hand in, open the share: two viewers, phone and desktop, zh and en"],
  ["always", "five cards by keyboard and without motion", COMPANY, "five cards: keyboard only and no motion: open, draw two, hand in, close; the focus comes back"],
  ["always", "five cards with a wrong clock, offline, hidden", COMPANY, "five cards: a clock ten minutes off, a lost connection and a hidden minute change neither countdown nor cards"],
  ["always", "five cards on a phone, hostile text, zh and en, axe", COMPANY, "five cards: every state on a phone, hostile text, zh and en, axe"],
  ["always", "five cards on a desktop", COMPANY, "five cards: every state on a desktop, hostile text, zh and en, axe"],
  ["late", "mid-rain, sold out, over", STATES, "late: in the middle of a rain, sold out already, and after its end"],
  ["late", "late on the real server", RAIN, "a late joiner sees the result and no money of his own"],
  ["late", "hidden for 60 s", STATES, "a tab hidden for 60 s is up to date at once, and replays nothing"],
  ["late", "reload", RAIN, "a reload keeps the session and brings my packets back from the server"],
  ["reconnect", "full jitter from 0.5 to 30 s, retry_after, terminal codes", `${WEB}connection.test.mjs`, "backoff is full jitter from 0.5 s to 30 s"],
  ["reconnect", "keeps (code, seq) and asks again", STATES, "a grab without an answer is asked again after a reload, with again: true"],
  ["reconnect", "the page stays alive and says what it does", STATES, "a lost connection is said, comes back by itself and keeps the page alive"],
  ["reconnect", "offline and back on the real server", PAGES, "offline and back: says so, catches up with what was missed, wins stay"],
  ["reconnect", "terminal answers", PAGES, "no token, bad token, wrong room: said plainly, no retries"],
  ["reconnect", "a gap is noticed", `${WEB}room.test.mjs`, "a gap rejoins with the position; missed ones come first, then what was held"],
  ["a11y", "nothing flashes", `${WEB}settings-sound.test.mjs`, "nothing flashes: what is repeated for ever takes a second or more"],
  ["a11y", "reduced motion: a still grid of buttons", PAGES, "reduced motion: a still grid of buttons, by pointer and by keyboard"],
  ["a11y", "motion can be paused", STATES, "packets pause by hand: nothing moves then"],
  ["a11y", "targets of 44 px", STATES, "a finger anywhere near a packet grabs it"],
  ["a11y", "screen reader", STATES, "a screen reader hears 10, 5, 3, 2, 1 politely and the result at once"],
  ["a11y", "contrast and roles: axe", STATES, "axe finds nothing serious: idle, rain, still rain, cards, lists, dialogs, proof; zh and en"],
  ["a11y", "the proof page by keyboard, axe", COMPANY, "the proof page on a phone: keyboard only, zh and en, axe, no motion"],
  ["a11y", "keyboard only", STATES, "keyboard only: menu, rules, grab, card, list, always with a place for the focus"],
  ["a11y", "English", PAGES, "English: remembered, complete, and the page says its language"],
  ["a11y", "each text in both languages", `${WEB}texts.test.mjs`, "each key has two texts with the same variables"],
  ["tests", "375×667, 667×375 and 1280×800", PAGES, "nothing overflows: phone, small phone on its side, desktop"],
  ["tests", "a whole rain, two browsers", RAIN, "packets fall; a finger and the space bar grab up to the limit"],
  ["tests", "a clock ten minutes off, on the real server", PAGES, "a computer whose clock is ten minutes off counts down right"],
  ["tests", "hostile names and texts", STATES, "hostile names, chat, blessings and announcements stay text and in their place"],
  ["tests", "no console error, no CSP report, no failed request", RAIN, "no page broke a rule: console, CSP, requests"],
  ["tests", "strict policy on every page", PAGES, "headers: strict policy on every page, nothing loads from elsewhere"],
  ["tests", "the client module and its documentation", `${WEB}client-docs.test.mjs`, "every method and property is documented, and nothing else"],
];

export const CONSOLE = [
  ["create", "total, count, minimum, limit: errors in place", CON, "console: each field says what is wrong with it, in place, and the first one gets the focus"],
  ["create", "confirmation with the sum on the real server, double click harmless", RAIN, "console: a bad form is told where, a good one is confirmed with its sum"],
  ["create", "kinds, equal or lucky split, eligibility, blessing, duration; balance before and after", CON, "console: kinds, who may have one, blessing, start in a while: the confirmation says it all, a double click creates once"],
  ["create", "start by hand, now, after N s, at a time", `${WEB}console-model.test.mjs`, "how it starts: by hand, now, in a while, at a time"],
  ["create", "scheduled start, cancelled again", CON, "console: scheduled: start_at goes to the server, the page counts down to it, cancelling needs a yes"],
  ["create", "templates", CON, "console: templates: built in and one's own, kept on the server, deleted again"],
  ["create", "preview of the split as a chart with 人均", CON, "console: every state on a desktop, and its picture"],
  ["create", "idempotent also when the answer was lost", CON, "console: no answer is not a no: the same create is asked again under the same biz_id"],
  ["live", "countdown and state chip: all states, 恢复中 too", CON, "console: every state has its word, its clock and only the actions that fit"],
  ["live", "viewers and grabs a second as charts, granted of total, ¥ left, error rate, delivery, lag", CON, "console: figures and charts: granted of total, ¥ left, grabs a second, errors, delivery, lag, viewers"],
  ["live", "close and extend after a question", CON, "console: extend and close ask first, run once, and leave a receipt with the number of their row"],
  ["live", "close with the rest refunded", RAIN, "close: the rest is refunded and the books balance on the page"],
  ["live", "announce, mute, kick", CON, "console: announce, mute and kick: from a line of the chat and by id; a kick asks first"],
  ["after", "手气最佳, top list, winners by page and search, CSV", CON, "console: 手气最佳, top list, winners by page and by user, CSV that no spreadsheet runs"],
  ["after", "winners as in SQL", "integration/91-console-api.test.mjs", "winners: every page once, in order, as in SQL; one user by his id; nobody else may ask"],
  ["after", "settled, pending and refunded make the total", RAIN, "what the console shows is what SQL holds"],
  ["after", "a tick only when the checker says so", CON, "console: the tick is the checker's word: none while it is asked, a cross when it found something"],
  ["after", "the checker's word is true", "integration/91-console-api.test.mjs", "the checker's word: not while it rains, clean when it is over, findings when the books were touched"],
  ["trust", "connection and delay", CON, "console: connection and its delay are shown, a lost one comes back, errors say what to do in both languages"],
  ["trust", "audit trail", CON, "console: the audit trail says who did what and how it ended, older rows on request"],
  ["trust", "audit rows for each action and refusal", "integration/91-console-api.test.mjs", "who did what: each step and each refusal of the anchor, what the platform did to his rains, no other room's"],
  ["trust", "the console in English", CON, "console: English is complete"],
  ["trust", "the console on a phone", CON, "console: every state on a phone, and its picture"],
  ["trust", "the console by keyboard", CON, "console: keyboard only: create, confirm, prepare, start, close, winners; the focus is never lost"],
  ["trust", "the console and axe", CON, "console: axe finds nothing serious: empty, confirm, live, settled, winners, audit, a question; zh and en, phone and desktop"],
  ["trust", "the console with a wrong clock and hidden for 60 s", COMPANY, "console: a clock ten minutes off and a tab hidden for 60 s change no countdown"],
  ["trust", "the console with reduced motion", COMPANY, "console: reduced motion: nothing moves while it rains"],
  ["trust", "hostile texts of others", CON, "console: hostile names, blessings, announcements and templates stay text and in their place"],
];

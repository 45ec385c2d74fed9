// Announcements, chat, muting and kicking.

import {byId, el, plain, setText} from "./dom.js";
import {t} from "./i18n.js";
import {act, ask, logDone, logLine} from "./console-parts.js";

const USER = /^[1-9]\d{0,18}$/;

function chosen() {
  const user = byId("f-user").value.trim();
  const ok = USER.test(user);
  setText(byId("e-user"), ok ? "" : t("e.user"));
  byId("f-user").setAttribute("aria-invalid", String(!ok));
  return ok ? user : null;
}

const secsChosen = () => Number(byId("f-secs").value);
const secsText = (secs) => t(`secs.${secs}`);

export function mountPeople({client, refresh}) {
  const error = byId("e-user");
  const mute = (user, secs, button) => act("mute", button, error, async () => {
    const reply = await client.request("MUTE", {user, secs});
    logDone(t("log.muted", {user, secs}), reply);
  }).finally(refresh);
  const kick = async (user, secs, button) => {
    if (!await ask(t("c.askKick", {user, time: secsText(secs)}), t("c.kick"))) return;
    await act("kick", button, error, async () => {
      const reply = await client.request("KICK", {user, secs});
      logDone(t("log.kicked", {user}), reply);
    }).finally(refresh);
  };

  byId("announce-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("f-announce").value.trim();
    if (!text) return;
    act("announce", byId("announce"), error, async () => {
      const reply = await client.request("ANNOUNCE", {text});
      byId("f-announce").value = "";
      logDone(t("log.announced", {text}), reply);
    }).finally(refresh);
  });
  byId("people-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const user = chosen();
    if (user) mute(user, secsChosen(), byId("mute"));
  });
  byId("unmute").addEventListener("click", () => {
    const user = chosen();
    if (user) mute(user, 0, byId("unmute"));
  });
  byId("kick").addEventListener("click", () => {
    const user = chosen();
    if (user) kick(user, secsChosen(), byId("kick"));
  });

  client.on("SAY", ({user, name, text}) => {
    const line = logLine(t("log.chat", {name: plain(name, 24), text}), "chat");
    line.dataset.testid = "chat-line";
    if (!USER.test(String(user)) || String(user) === client.me?.user) return;
    const button = (key, label, fn) => {
      const node = el("button", {type: "button", class: "mini", "aria-label": t(label, {user}), text: t(key)});
      node.addEventListener("click", () => fn(String(user), secsChosen(), node));
      return node;
    };
    line.append(el("span", {class: "minis"}, button("c.mute", "c.muteUser", mute), button("c.kick", "c.kickUser", kick)));
  });
}

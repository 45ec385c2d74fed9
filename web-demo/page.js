// What both pages share: who am I (token), which room, the client wired to the page's life.

import {RedrainClient} from "./redrain-client.js";

/**
 * Reads ?room=R#token=JWT. The token never was in the query, leaves the address bar at once and
 * lives in this tab's sessionStorage, so that a reload still works.
 * @returns {{room: string|null, token: string|null}}
 */
export function readSession() {
  const room = new URLSearchParams(location.search).get("room");
  const key = `redrain.token.${location.pathname}.${room}`;
  const fromHash = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromHash) {
    sessionStorage.setItem(key, fromHash);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return {room, token: fromHash ?? sessionStorage.getItem(key)};
}

/** A client for the server this page came from, told about visibility and network. */
export function pageClient(token) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const client = new RedrainClient({
    url: `${scheme}://${location.host}/ws`, token, storage: sessionStorage,
  });
  document.addEventListener("visibilitychange", () => client.setVisible(!document.hidden));
  window.addEventListener("online", () => client.setOnline(true));
  window.addEventListener("offline", () => client.setOnline(false));
  return client;
}

/** Keeps a connection pill up to date: data-state and a text. Returns a function to redraw it. */
export function connectionPill(client, pill, label, t) {
  let last = {state: client.state};
  const draw = () => {
    pill.dataset.state = last.state;
    const closeText = last.state === "stopped" ? t(`close.${last.code}`) : null;
    label.textContent = closeText ?? t(`state.${last.state}`);
  };
  client.on("state", (state) => {
    last = state;
    draw();
  });
  draw();
  return draw;
}

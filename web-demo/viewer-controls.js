// What a viewer can switch: motion, sound, vibration, language, the menu, the rules.

import {byId} from "./dom.js";
import {toggleLanguage} from "./i18n.js";
import {Settings, safeStorage} from "./settings.js";
import {Sound} from "./sound.js";

const BUZZ_MS = 20;

/**
 * @param {object} o {setReduced(reduced): motion was switched}
 * @returns {{sound: Sound, buzz: function, closeMenu: function}} closeMenu() tells whether it was open
 */
export function viewerControls({setReduced}) {
  const settings = new Settings(safeStorage());
  const sound = new Sound();
  const device = matchMedia("(prefers-reduced-motion: reduce)");

  function applyMotion() {
    const on = settings.get("motion") ?? !device.matches;
    setReduced(!on);
    document.body.classList.toggle("still", !on);
    byId("motion").setAttribute("aria-pressed", String(on));
  }

  function toggle(name, apply) {
    const node = byId(name);
    const show = () => {
      node.setAttribute("aria-checked", String(settings.get(name)));
      apply?.(settings.get(name));
    };
    node.addEventListener("click", () => {
      settings.set(name, !settings.get(name));
      show();
    });
    show();
  }

  function openMenu(open) {
    byId("menu").hidden = !open;
    byId("menu-open").setAttribute("aria-expanded", String(open));
  }

  function closeMenu() {
    if (byId("menu").hidden) return false;
    openMenu(false);
    byId("menu-open").focus();
    return true;
  }

  byId("motion").addEventListener("click", () => {
    settings.set("motion", byId("motion").getAttribute("aria-pressed") !== "true");
    applyMotion();
  });
  device.addEventListener("change", applyMotion);
  applyMotion();
  toggle("sound", (on) => sound.setOn(on));
  toggle("haptic");
  byId("lang").addEventListener("click", toggleLanguage);
  byId("menu-open").addEventListener("click", () => openMenu(byId("menu").hidden));
  byId("rules-open").addEventListener("click", () => {
    openMenu(false);
    byId("rules").showModal();
  });
  byId("rules-close").addEventListener("click", () => byId("rules").close());
  document.addEventListener("pointerdown", (event) => {
    sound.unlock();
    if (!(event.target instanceof Element) || !event.target.closest("#menu, #menu-open")) openMenu(false);
  }, {capture: true});
  // A click with the mouse leaves no focus behind: the space bar grabs, it does not press the button again.
  document.querySelector(".tools").addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest("button")?.blur();
  });
  document.addEventListener("keydown", () => sound.unlock(), {capture: true});
  return {
    sound,
    closeMenu,
    buzz() {
      // Before the first touch of the page a browser allows none, and complains.
      if (settings.get("haptic") && navigator.userActivation?.hasBeenActive !== false) navigator.vibrate?.(BUZZ_MS);
    },
  };
}

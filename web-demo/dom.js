// Small DOM helpers. Text always goes in through textContent: what other people typed is never
// markup.

/** The element with this id; its absence is a bug of the page. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`no element #${id}`);
  return node;
}

/** el("p", {class: "x", text: "…", "data-testid": "y"}, ...children) */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Sets an element's text only if it differs: live regions and selections stay calm. */
export function setText(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

const drawn = new WeakMap();

/**
 * Calls draw() only if `key` differs from the last time for this element: lists that did not
 * change keep their focus, scroll position and selection.
 */
export function redraw(node, key, draw) {
  const text = JSON.stringify(key);
  if (drawn.get(node) === text) return;
  drawn.set(node, text);
  draw();
}

/** Longest text shown of what others typed; control and bidi characters cannot reorder the page. */
export function plain(text, max = 200) {
  const clean = String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, " ");
  const chars = [...clean];
  return chars.length > max ? `${chars.slice(0, max).join("")}…` : clean;
}

const ID_SHOWN = 10;

/** A user's id in a list: long ones by both ends, for ids made by a clock differ only at theirs. */
export function shortId(user) {
  const id = plain(user, 20);
  return /^\d+$/.test(id) && id.length > ID_SHOWN ? `${id.slice(0, 4)}…${id.slice(-4)}` : id;
}

/** 125 → "2:05". */
export function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

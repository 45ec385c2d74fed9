// What the send form makes of its fields: SEND's body, or what is wrong with them. No DOM, no network.

import {parseCount, parseYuan} from "./money.js";

/** Kinds a viewer may send; "personal" and "enterprise" name their users. */
export const SEND_KINDS = Object.freeze(["group", "equal", "personal", "enterprise"]);

export const namesUsers = (kind) => kind === "personal" || kind === "enterprise";

/** "3, 1 2" → "3,1,2"; null if it is no list of user ids. */
export function userList(text) {
  const ids = String(text).split(/[\s,，、;；]+/).filter(Boolean);
  return ids.length && ids.every((id) => /^[1-9]\d{0,18}$/.test(id)) ? ids.join(",") : null;
}

/**
 * @param {object} f {kind, amount (yuan), count, users, text} as typed
 * @returns {{body: object|null, errors: Object<string, string>}} errors: field → key of a text
 */
export function sendBody(f) {
  const errors = {};
  const total = parseYuan(f.amount);
  const count = f.kind === "personal" ? 1 : parseCount(f.count);
  const users = namesUsers(f.kind) ? userList(f.users) : "";
  if (!SEND_KINDS.includes(f.kind)) errors.kind = "send.badKind";
  if (!total) errors.amount = "send.badAmount";
  if (!count) errors.count = "send.badCount";
  else if (total && total < count) errors.amount = "send.tooLittle";
  if (users === null || (f.kind === "personal" && users.includes(","))) errors.users = "send.badUsers";
  else if (f.kind === "enterprise" && count > users.split(",").length) errors.count = "send.moreThanUsers";
  if (Object.keys(errors).length) return {body: null, errors};
  const body = {kind: f.kind, total, count, text: String(f.text).trim()};
  if (users) body.users = users;
  return {body, errors};
}

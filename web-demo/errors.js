// The one error type of the client module.

import {CLOSE_INFO, RESULT_INFO} from "./constants.js";

/** Failures that have no number on the wire. */
export const LOCAL = Object.freeze({
  DISCONNECTED: {zh: "连接已断开", en: "Not connected", retryable: true},
  TIMEOUT: {zh: "等待超时", en: "No answer in time", retryable: true},
  TOO_LARGE: {zh: "消息过长", en: "Message too long", retryable: false},
});

/**
 * A request that was not answered OK.
 *   result        number of the result code; -1 for a local failure
 *   name          its name, e.g. "RATE_LIMITED", "DISCONNECTED"
 *   retryable     whether asking again can help
 *   field         name of the bad field, with BAD_REQUEST
 *   reason        short English detail, if the server gave one
 *   retryAfterMs  how long to wait, if the server said so
 *   body          the whole answer
 */
export class RedrainError extends Error {
  constructor(name, {result = -1, retryable = false, body = {}} = {}) {
    super(body.reason ? `${name}: ${body.reason}` : name);
    this.name = name;
    this.result = result;
    this.retryable = retryable;
    this.field = body.field;
    this.reason = body.reason;
    this.retryAfterMs = body.retry_after_ms;
    this.body = body;
  }

  static fromReply(body) {
    const info = RESULT_INFO[body.result] ?? {name: `RESULT_${body.result}`, retryable: false};
    return new RedrainError(info.name, {result: body.result, retryable: info.retryable, body});
  }

  static fromClose(code) {
    const info = code >= 4000 ? CLOSE_INFO[code] : undefined; // below: transport, not a verdict
    return new RedrainError(info?.name ?? "DISCONNECTED", {retryable: info?.reconnect ?? true});
  }

  static local(name) {
    return new RedrainError(name, {retryable: LOCAL[name].retryable});
  }

  /** A sentence for people. lang is "zh" or "en". */
  text(lang) {
    const byName = (table) => Object.values(table).find((row) => row.name === this.name);
    const row = RESULT_INFO[this.result] ?? byName(CLOSE_INFO) ?? LOCAL[this.name];
    return row ? row[lang] : this.name;
  }
}

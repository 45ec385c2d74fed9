// The private JSON API as a platform's backend uses it, in the few calls the page tests need.

export function adminApi(stack) {
  const rain = (code, action, body = {}) =>
    stack.must("POST", `/api/v1/rains/${code}/${action}`, body);
  return {
    deposit: (user, fen, bizId) => stack.deposit(user, fen, bizId),
    push: (room, bizCode, payload) =>
      stack.must("POST", `/api/v1/rooms/${room}/push`, {biz_code: bizCode, payload}),
    /** Creates and prepares a rain; resolves with its code. */
    async rain(spec) {
      const {code} = await stack.must("POST", "/api/v1/rains", spec);
      await rain(code, "prepare");
      return code;
    },
    start: (code, body) => rain(code, "start", body),
    close: (code) => rain(code, "close"),
  };
}

// The private JSON API, as a platform's backend uses it.

export function adminApi(stack) {
  const base = stack.adminUrl.replace(/\/$/, "");
  const call = async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: {authorization: `Bearer ${stack.adminToken}`, "content-type": "application/json"},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : {};
  };
  return {
    deposit: (user, amount, bizId) =>
      call("POST", `/api/v1/wallets/${user}/deposit`, {amount, biz_id: bizId}),
    push: (room, bizCode, payload) =>
      call("POST", `/api/v1/rooms/${room}/push`, {biz_code: bizCode, payload}),
    /** Creates and prepares a rain; resolves with its code. */
    async rain(spec) {
      const {code} = await call("POST", "/api/v1/rains", spec);
      await call("POST", `/api/v1/rains/${code}/prepare`, {});
      return code;
    },
    start: (code, body) => call("POST", `/api/v1/rains/${code}/start`, body),
    close: (code) => call("POST", `/api/v1/rains/${code}/close`, {}),
    show: (code) => call("GET", `/api/v1/rains/${code}`),
  };
}

/** The public origin of a stack, e.g. http://127.0.0.1:8480. */
export function origin(stack) {
  return new URL(stack.url.replace(/^ws/, "http")).origin;
}

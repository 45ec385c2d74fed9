// Keys and viewer tokens (JWT, HS256) for a local stack.
//   node tokens.mjs keys FILE                               makes a key file unless there is one
//   node tokens.mjs token FILE USER ROLE ROOMS [NAME] [TTL] prints one token; ROOMS: a,b or '*'
import {createHmac, randomBytes} from "node:crypto";
import {existsSync, readFileSync, writeFileSync} from "node:fs";
import {fileURLToPath} from "node:url";

const KEY_BYTES = 32;
const base64url = (value) => Buffer.from(value).toString("base64url");

/** Makes a key file with one random HS256 key, unless FILE is there. */
export function makeKeys(file) {
  if (existsSync(file)) return;
  const k = base64url(randomBytes(KEY_BYTES));
  writeFileSync(file, JSON.stringify({keys: [{kid: "k1", kty: "oct", alg: "HS256", k}]}) + "\n", {mode: 0o600});
}

/** A function that mints tokens with the first key of FILE. */
export function minter(file, audience = "redrain") {
  const [key] = JSON.parse(readFileSync(file, "utf8")).keys;
  const secret = Buffer.from(key.k, "base64url");
  const header = base64url(JSON.stringify({alg: "HS256", typ: "JWT", kid: key.kid}));
  return ({user, role = "viewer", rooms = "*", name, ttlSeconds = 86400, maySend = false}) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {sub: String(user), exp: now + ttlSeconds, iat: now, aud: audience, role, rooms, may_send: maySend};
    if (name !== undefined) claims.name = name;
    const signed = `${header}.${base64url(JSON.stringify(claims))}`;
    return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [command, file, user, role, rooms, name, ttl] = process.argv.slice(2);
  if (command === "keys" && file) {
    makeKeys(file);
  } else if (command === "token" && rooms) {
    process.stdout.write(minter(file)({
      user, role, name, rooms: rooms === "*" ? "*" : rooms.split(","), maySend: true,
      ttlSeconds: ttl ? Number(ttl) : undefined,
    }) + "\n");
  } else {
    process.stderr.write("tokens.mjs keys FILE | token FILE USER ROLE ROOMS [NAME] [TTL]\n");
    process.exitCode = 2;
  }
}

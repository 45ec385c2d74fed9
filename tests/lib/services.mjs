// The services a test runs against: where they are, of what kind, and how to hurt them.
//
// ./dev test sets the environment; outside of it the addresses of a running `./dev up` are used.
import {execFile} from "node:child_process";
import {existsSync, readFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";

export {freePort} from "./ports.mjs";

const run = promisify(execFile);

/** The root folder of the source tree. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export const runDir = process.env.REDRAIN_SERVICES_RUN ?? join(root, ".run");
const script = process.env.REDRAIN_SERVICES ?? join(root, "tools", "dev", "services.sh");

function addresses() {
  const names = ["REDIS_URL", "KAFKA_BOOTSTRAP", "MYSQL_URL", "REDRAIN_BROKER"];
  const file = join(runDir, "env");
  const known = {};
  if (existsSync(file)) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const at = line.indexOf("=");
      // Written by the shell's %q: a backslash before each special character.
      if (at > 0) known[line.slice(0, at)] = line.slice(at + 1).replace(/\\(.)/g, "$1");
    }
  }
  for (const name of names) known[name] = process.env[name] ?? known[name];
  if (!known.REDIS_URL) {
    throw new Error("no services: run the tests by ./dev test, or start services with ./dev up");
  }
  return known;
}

const found = addresses();

/** Addresses. The database and every name in the services are to be made the test's own by a namespace. */
export const redisUrl = found.REDIS_URL;
export const kafkaBootstrap = found.KAFKA_BOOTSTRAP;
export const mysqlUrl = found.MYSQL_URL;

/** "kafka" (our private one), "memory" (no durable broker: skip what needs one) or "external". */
export const broker = found.REDRAIN_BROKER ?? "external";

/** For `test(name, {skip: skipWithoutKafka}, …)`: false where Kafka may be stopped and comes back with its data. */
export const skipWithoutKafka = broker === "kafka"
  ? false : `needs a private, durable Kafka; here it is "${broker}"`;

/** For tests that only need that what Kafka acknowledged stays: false also with an external broker. */
export const skipWithoutDurableBroker = broker === "memory" ? "the broker is in memory, nothing is durable" : false;

/** Authority of the certificates of our own MariaDB and Kafka; null where MySQL is not ours. */
export const tlsAuthority = existsSync(join(runDir, "tls", "ca.pem")) ? join(runDir, "tls", "ca.pem") : null;

/** A Kafka of its own with a SASL_SSL listener: {bootstrap, passwordFile, caFile, stop()}. */
export async function startSaslKafka(dir) {
  const env = {...process.env, REDRAIN_RUN: dir, REDRAIN_KAFKA_SASL: "1", KAFKA_BOOTSTRAP: ""};
  await run(script, ["start", "kafka"], {env});
  const ports = readFileSync(join(dir, "ports"), "utf8");
  return {
    bootstrap: `127.0.0.1:${/^kafka_sasl=(\d+)$/m.exec(ports)[1]}`,
    plain: `127.0.0.1:${/^kafka=(\d+)$/m.exec(ports)[1]}`,
    passwordFile: join(dir, "secrets", "kafka"), caFile: join(dir, "tls", "ca.pem"),
    stop: () => run(script, ["stop", "kafka"], {env}),
  };
}

async function service(command, name) {
  try {
    await run(script, [command, name], {env: {...process.env, REDRAIN_RUN: runDir}});
  } catch (error) {
    throw new Error(`services.sh ${command} ${name}: ${error.stderr || error.message}`);
  }
}

/** SIGSTOP: connections stay open and nothing answers. Always resume in a finally. */
export const kafkaPause = () => service("pause", "kafka");
export const kafkaResume = () => service("resume", "kafka");
/** kill -9. The data stays; kafkaStart() resolves once the broker serves again. */
export const kafkaKill9 = () => service("kill9", "kafka");
export const kafkaStart = () => service("start", "kafka");
/** An orderly stop and a start. */
export const kafkaRestart = () => service("restart", "kafka");

export const mariadbPause = () => service("pause", "mariadb");
export const mariadbResume = () => service("resume", "mariadb");
export const mariadbKill9 = () => service("kill9", "mariadb");
export const mariadbStart = () => service("start", "mariadb");
export const mariadbRestart = () => service("restart", "mariadb");

export const redisPause = () => service("pause", "redis");
export const redisResume = () => service("resume", "redis");
export const redisKill9 = () => service("kill9", "redis");
export const redisStart = () => service("start", "redis");
export const redisRestart = () => service("restart", "redis");

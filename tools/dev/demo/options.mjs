// Options of ./dev demo. Run as a program it only checks them (exit code 2, and says what is wrong).
import {parseArgs} from "node:util";
import {fileURLToPath} from "node:url";

export const HELP = `./dev demo [options]
  --viewers N        simulated viewers, each with its own token and socket (default 500)
  --packets M        packets in the rain (default 2000)
  --total FEN        money in the rain, in fen (default 1000000)
  --limit K          packets per user at most (default 5)
  --shards S         shards of the pool (default: chosen by the server)
  --split NAME       double-mean (default), line-cut or equal
  --seconds S        how long the rain is open (default 8)
  --pause-broker MS  stop the Kafka process for MS milliseconds after a third of the rain
  --once             end after the verdict instead of serving until Ctrl-C
  --keep             with --once: leave everything running and say how to reach it
  --json             the last line of stdout is one JSON object with the figures and the verdict
Exit code 0 only if the verdict is "ok".
`;

const NUMBERS = {
  viewers: {fallback: 500, min: 1, max: 20000},
  packets: {fallback: 2000, min: 1, max: 1000000},
  total: {fallback: 1000000, min: 1, max: 1e12},
  limit: {fallback: 5, min: 1, max: 100},
  shards: {fallback: undefined, min: 1, max: 64},
  seconds: {fallback: 8, min: 1, max: 600},
  "pause-broker": {fallback: 0, min: 0, max: 60000},
};
const SPLITS = ["double-mean", "line-cut", "equal"];

/** Parses argv; throws an Error that names the option at fault. */
export function parse(argv) {
  const {values} = parseArgs({
    args: argv,
    options: {
      ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, {type: "string"}])),
      split: {type: "string", default: "double-mean"},
      once: {type: "boolean", default: false},
      keep: {type: "boolean", default: false},
      json: {type: "boolean", default: false},
    },
  });
  const options = {split: values.split, once: values.once, keep: values.keep, json: values.json};
  if (!SPLITS.includes(values.split)) throw new Error(`--split: ${SPLITS.join(", ")}`);
  for (const [name, {fallback, min, max}] of Object.entries(NUMBERS)) {
    const text = values[name];
    const number = text === undefined ? fallback : Number(text);
    if (text !== undefined && (!/^\d+$/.test(text) || number < min || number > max)) {
      throw new Error(`--${name}: a whole number from ${min} to ${max}, not '${text}'`);
    }
    options[name === "pause-broker" ? "pauseBrokerMs" : name] = number;
  }
  if (options.total < options.packets) throw new Error("--total: less than one fen per packet");
  if (options.keep && !options.once) throw new Error("--keep: only with --once");
  return options;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    parse(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`error: ${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  }
}

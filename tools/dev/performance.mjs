// Makes docs/PERFORMANCE.md, its charts and their data from what ./dev bench … --out and ./dev soak … --out have written.
//   node tools/dev/performance.mjs [FILE]     default docs/data/results.jsonl; the newest row of each suite counts
// What a profile said is written by hand in docs/data/limits.md and comes in as it is. Charts are drawn by gnuplot.
import {execFileSync} from "node:child_process";
import {existsSync, mkdirSync, readFileSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";

const docs = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs");
const file = process.argv[2] ?? join(docs, "data", "results.jsonl");
const BUSY = 0.6; // how much of a core is planned with
const SOCKETS_PER_WORKER = 16_000; // server.max_connections
const TICK_FRAMES_PER_S = 20_000; // of a rain's ticker, per worker; five a second to each in smaller rooms

const rows = new Map();
for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
  const row = JSON.parse(line);
  if (!row.quick) rows.set(row.line.bench, row);
}
const line = (name) => rows.get(name)?.line;
const detail = (name) => rows.get(name)?.detail ?? {};
const n = (value, digits = 0) => (value === undefined || value === null || Number.isNaN(value) ? "–"
  : Number(value).toLocaleString("en-US", {maximumFractionDigits: digits}));
const table = (head, body) => [`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...body.map((r) => `| ${r.join(" | ")} |`)].join("\n");

// ---- charts ----

function plot(name, data, script) {
  mkdirSync(join(docs, "data"), {recursive: true});
  mkdirSync(join(docs, "img"), {recursive: true});
  writeFileSync(join(docs, "data", `${name}.dat`), data);
  const head = `set terminal svg size 760,380 font "sans,12" background "white"\nset output "img/${name}.svg"\nset border 3\nset tics nomirror\nset grid ytics lc rgb "#dddddd"\n`;
  execFileSync("gnuplot", {cwd: docs, input: `${head}${script.replaceAll("DATA", `"data/${name}.dat"`)}`});
  return `![${name}](img/${name}.svg)`;
}

const charts = {};
const fan = detail("growth").fanout;
if (fan?.length) {
  charts.fanout = plot("fanout", `# members ours bare ratio\n${fan.map((r) => `${r.members} ${r.ours} ${r.bare} ${r.ratio}`).join("\n")}\n`,
    `set logscale x\nset xlabel "members of the room"\nset ylabel "frames/s, one core"\nset yrange [0:*]\nset key bottom left
plot DATA using 1:2 with linespoints lw 2 lc rgb "#c0392b" title "PushToRoom", DATA using 1:3 with linespoints lw 2 lc rgb "#7f8c8d" title "bare send()"\n`);
}
const peerRows = detail("peers").rows;
if (peerRows?.length) {
  const names = [...new Set(peerRows.map((r) => r.name))];
  const sizes = [...new Set(peerRows.map((r) => r.members))];
  const of = (name, members) => peerRows.find((r) => r.name === name && r.members === members)?.per_core ?? 0;
  charts.peers = plot("peers", `name ${sizes.map((s) => `"${s} members"`).join(" ")}\n${names.map((name) => `${name} ${sizes.map((s) => of(name, s)).join(" ")}`).join("\n")}\n`,
    `set style data histograms\nset style fill solid 0.8 border -1\nset yrange [0:*]\nset ylabel "deliveries/s per core"\nset key top right
plot ${sizes.map((s, i) => `DATA using ${i + 2}:xtic(1) title columnheader(${i + 2}) lc rgb "${["#e59866", "#c0392b", "#7f8c8d"][i % 3]}"`).join(", ")}\n`);
}
const pool = detail("growth").pool;
if (pool?.length) {
  charts.pool = plot("pool", `# packets us\n${pool.map((r) => `${r.packets} ${r.redis_us_per_packet}`).join("\n")}\n`,
    `set logscale x\nset xlabel "packets in the pool, 8 shards"\nset ylabel "µs of Redis per packet"\nset yrange [0:*]\nunset key\nplot DATA using 1:2 with linespoints lw 2 lc rgb "#c0392b"\n`);
}

// ---- the page ----

const machine = [...rows.values()].at(-1)?.machine ?? {};
const provisional = [...rows.values()].some((r) => r.provisional);
const out = [];
out.push("# Performance", "",
  "<!-- Made by tools/dev/performance.mjs from docs/data/results.jsonl. Not to be edited: run ./dev bench all --out docs/data/results.jsonl, then it. -->", "",
  `Measured on ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB, Linux ${machine.kernel}, everything on this one machine: clients, server, Redis, `
  + "Kafka, MariaDB, settler. How it is measured: [BENCHMARKS.md](BENCHMARKS.md); why so: [ADR 0026](adr/0026-benchmarks.md).", "");
if (provisional) {
  out.push("> **Provisional.** These numbers were taken while other work ran on the same cores. Ratios of alternating passes and CPU per operation bear that, "
    + "absolute rates and latencies do not. Where A/A is off by more than 5 % the suite calls its own result invalid.", "");
}
out.push("## Against the bars", "", table(["suite", "value", "reference", "ratio", "A/A", "p50 / p99 / last ms"],
  [...rows.values()].filter((r) => r.line.bench !== "soak").map(({line: l}) => [`\`${l.bench}\``, `${n(l.value, 2)} ${l.unit}`, l.reference ? `${n(l.reference_value, 1)} ${l.reference}` : "–",
    n(l.ratio, 3), n(l.aa, 3), [l.p50_ms, l.p99_ms, l.last_ms].map((v) => n(v, 2)).join(" / ")])), "");
const bars = [...rows.values()].flatMap((r) => (r.bars ?? []).map((b) => [`\`${r.line.bench}\``, b.text, n(b.value, 3), b.met ? "met" : "**not met**"]));
out.push(table(["suite", "bar", "measured", ""], bars), "");

out.push("## Fan-out", "", charts.fanout ?? "", "");
if (fan?.length) {
  out.push(table(["members", "PushToRoom frames/s", "bare send()", "ratio", "by CPU", "A/A", "last member ms"],
    fan.map((r) => [n(r.members), n(r.ours), n(r.bare), n(r.ratio, 3), n(r.cpu_ratio, 3), n(r.aa, 3), n(r.last_ms, 1)])), "");
}
const steps = detail("fanout").steps;
if (steps?.length) {
  out.push("`lws_write()` on the same sockets, and the bytes that receivers saw per delivery:", "",
    table(["members", "lws_write() ratio", "ours, frames per CPU second", "bare, frames per CPU second", "bytes sent", "bytes seen"],
      steps.map((r) => [n(r.members), n(r.lws_ratio, 3), n(r.cpu.ours), n(r.cpu.bare), n(r.frame_bytes), `${n(r.bytes_per_delivery, 1)} + 4 of the frame`])), "");
}
out.push("## Grabs", "");
const g = detail("grab");
if (g.settler_running) {
  out.push(table(["", "told wins/s", "echo/s", "ratio"], [
    ["settler paused", n(line("grab").value), n(line("grab").reference_value), n(line("grab").ratio, 3)],
    ["settler running", n(g.settler_running.value), n(g.settler_running.reference_value), n(g.settler_running.ratio, 3)]]), "",
  `At half of the first: p50 ${n(line("grab").p50_ms, 2)} ms, p99 ${n(line("grab").p99_ms, 2)} ms from the time a grab was due to the answer, with the record safe in Kafka; `
  + `producing alone at that rate takes ${n(g.bare_produce?.p50_us / 1000, 2)} and ${n(g.bare_produce?.p99_us / 1000, 2)} ms. ${n(g.server_cpu_us_per_grab, 1)} µs CPU of all our processes per win. `
  + `The topic was drained and the books checked after.`, "");
}
out.push(charts.pool ?? "", "");
if (detail("growth").workers) {
  out.push(table(["workers", "told wins/s", "server CPU per grab µs"], detail("growth").workers.map((w) => [w.workers, n(w.per_s), n(w.server_cpu_us_per_grab, 1)])), "");
}
out.push("## Peers", "", charts.peers ?? "", "");
if (peerRows?.length) {
  out.push(table(["", "members", "deliveries/s per core", "KiB PSS per member", "last ms", "skew ms", "bytes each"],
    peerRows.map((r) => [r.name, n(r.members), n(r.per_core), n(r.pss_kib_per_member, 1), n(r.last_ms, 1), n(r.skew_ms, 1), n(r.bytes_per_delivery, 0)])), "",
  ...[...new Map(peerRows.map((r) => [r.name, r.configuration]))].map(([name, text]) => `* ${name}: ${text}`), "");
}

const soak = rows.get("soak")?.line;
out.push("## Beside what the trade reports", "",
  table(["指标", "微信红包", "支付宝红包", "目标值", "redrain, this machine"], [
    ["峰值QPS", "76万/秒", "32万/秒", "50万/秒", `${n(line("grab")?.value)} won and told, ${n(line("lose")?.value)} answered sold out, per second, on ${machine.cores} cores with everything else on them`],
    ["响应时间", "<100ms", "<150ms", "<200ms", `p50 ${n(line("grab")?.p50_ms, 1)} ms, p99 ${n(line("grab")?.p99_ms, 1)} ms, told after Kafka`],
    ["可用性", "99.99%", "99.95%", "99.9%", soak ? `${n(soak.availability * 100, 3)} % of newcomers served within 2 s in ${soak.minutes} minutes with a worker killed each minute` : "–"],
    ["并发用户", "8.8亿", "3亿", "1亿", `${n(line("idle")?.params.viewers)} in one room on one worker, ${n(line("idle")?.value, 2)} KiB each`],
  ]), "", "The first two columns are whole data centres, as reported; the third is a target. The last one is one small machine: the table below says what the rest would take.", "");

// ---- capacity ----

const perWin = g.server_cpu_us_per_grab;
const perLoss = detail("lose").server_cpu_us_per_answer;
const redis = line("pool")?.value;
const settle = line("settle")?.value;
const frames = steps?.at(-1)?.cpu.ours;
const kib = line("idle")?.value;
const up = (value) => (Number.isFinite(value) ? n(Math.ceil(value)) : "–");
const cores = (perS, us) => perS * us / 1e6 / BUSY;
const m = (text) => `${text} (m)`;
const e = (text) => (text === "–" ? text : `${text} (e)`);
const grabRow = (perS) => [`${n(perS)} grabs/s, all win`, e(`${up(cores(perS, perWin))} workers`), e(`${up(perS / (redis * BUSY))} primaries`),
  e(`${up(perS / (settle * BUSY))} partitions, as many settlers`), e(`${up(perS / (settle * BUSY))} instances`)];
const loseRow = (perS) => [`${n(perS)} grabs/s, 1 % wins`, e(`${up(cores(perS * 0.99, perLoss) + cores(perS * 0.01, perWin))} workers`),
  e(`${up(perS * 0.01 / (redis * BUSY))} primaries`), e(`${up(perS * 0.01 / (settle * BUSY))} partitions`), e(`${up(perS * 0.01 / (settle * BUSY))} instances`)];
const viewerRow = (count) => {
  const bySockets = count / SOCKETS_PER_WORKER;
  const byTicks = bySockets * TICK_FRAMES_PER_S / (frames * BUSY);
  return [`${n(count)} viewers of a rain`, e(`${up(Math.max(bySockets, byTicks))} workers (${up(bySockets)} by sockets, ${up(byTicks)} by ticks), ${up(count * kib / 1024 / 1024)} GiB`),
    e("1 per some 100 rooms' pushes; the ticker is not published"), "–", "–"];
};
out.push("## What more would take", "",
  "(m): measured on this machine. (e): extrapolated from a measured slope, as if everything grew in proportion; nobody has run it. "
  + `Cores are planned ${BUSY * 100} % busy, ${n(SOCKETS_PER_WORKER)} sockets a worker. A grab is answered under 200 ms as long as no part is busier than that: `
  + "the overload suite shows what happens when one is.", "",
  table(["load", "redrain-server", "Redis", "Kafka", "MySQL"], [
    ["this machine, all win, settled as they come", m(`${n(g.settler_running?.value)}/s on 1 worker`), m("1 primary"), m("4 partitions, 1 settler"), m("1 instance")],
    grabRow(500_000), grabRow(760_000), loseRow(500_000), loseRow(760_000), viewerRow(1_000_000), viewerRow(100_000_000),
  ]), "",
  `Slopes: ${n(perWin, 1)} µs of server CPU per win and ${n(perLoss, 2)} per sold-out answer; ${n(redis)} wins/s per Redis primary (\`pool\`); ${n(settle)} grants/s per settler and MySQL instance `
  + `(\`settle\`; settling may lag behind a rain, then a tenth will do); ${n(frames)} frames per core and second (\`fanout\`); ${n(kib, 2)} KiB per viewer (\`idle\`) beside the kernel's own.`, "");
if (soak) out.push("## Soak", "", "```json", JSON.stringify(soak), "```", "");
out.push("## What the limit is", "", existsSync(join(docs, "data", "limits.md")) ? readFileSync(join(docs, "data", "limits.md"), "utf8").trim() : "", "");
out.push("## Again", "", "```", "./dev bench all --out docs/data/results.jsonl      # a quiet machine, about 20 minutes", "./dev soak --minutes 30 --out docs/data/results.jsonl",
  "node tools/dev/performance.mjs", "```", "", "Rows in the file:", "",
  ...[...rows.values()].map((r) => `* \`${r.line.bench}\` ${r.at}${r.provisional ? ", provisional" : ""}: \`${JSON.stringify(r.line.params ?? {minutes: r.line.minutes})}\``), "");
writeFileSync(join(docs, "PERFORMANCE.md"), out.join("\n"));
process.stderr.write(`docs/PERFORMANCE.md: ${[...rows.keys()].join(", ")}\n`);

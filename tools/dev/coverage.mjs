// Sums gcovr's figures per folder and compares them with the bounds.
//   node coverage.mjs GCOVR_SUMMARY BOUNDS [--json]     exit code 1 below a bound
// A "folder" of the bounds may be one file.
import {readFileSync} from "node:fs";

const [summaryFile, boundsFile, flag] = process.argv.slice(2);
const bounds = JSON.parse(readFileSync(boundsFile, "utf8"));
const {files} = JSON.parse(readFileSync(summaryFile, "utf8"));

const percent = (covered, total) => (total === 0 ? 100 : Math.floor(covered / total * 10000) / 100);

function sum(list) {
  const add = (name) => list.reduce((total, f) => total + f[name], 0);
  return {
    files: list.length,
    lines_percent: percent(add("line_covered"), add("line_total")),
    branches_percent: percent(add("branch_covered"), add("branch_total")),
    lines: add("line_total"),
  };
}

const under = (path) => files.filter((f) => f.filename === path || f.filename.startsWith(`${path}/`));
const names = new Set(Object.keys(bounds.folders));
for (const {filename} of files) {
  const parts = filename.split("/");
  names.add(parts[0]);
  if (parts.length > 2 && parts[0] === "settle") names.add(`${parts[0]}/${parts[1]}`);
}

const overall = sum(files);
const folders = {};
const below = [];
if (overall.lines_percent < bounds.overall.lines) below.push(`all: ${overall.lines_percent}% of lines, ${bounds.overall.lines}% wanted`);
for (const name of [...names].sort()) {
  const found = sum(under(name));
  folders[name] = {lines_percent: found.lines_percent, branches_percent: found.branches_percent};
  const bound = bounds.folders[name];
  process.stdout.write(`${name.padEnd(28)} lines ${String(found.lines_percent).padStart(6)}%  ` +
    `branches ${String(found.branches_percent).padStart(6)}%  (${found.lines} lines)\n`);
  if (!bound) continue;
  if (found.files === 0) below.push(`${name}: no such file was measured`);
  if (found.lines_percent < bound.lines) below.push(`${name}: ${found.lines_percent}% of lines, ${bound.lines}% wanted`);
  if (found.branches_percent < bound.branches) {
    below.push(`${name}: ${found.branches_percent}% of branches, ${bound.branches}% wanted`);
  }
}
for (const text of below) process.stdout.write(`below the bound: ${text}\n`);
if (flag === "--json") process.stdout.write(`${JSON.stringify({lines_percent: overall.lines_percent, folders, below})}\n`);
else process.stdout.write(`all: ${overall.lines_percent}% of lines\n`);
process.exitCode = below.length > 0 ? 1 : 0;

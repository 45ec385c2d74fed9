// A reporter for node:test that writes the counts of all test cases as one JSON object.
// Suites and the files themselves are no test cases; a file that fails without one (it did not load) is.
const isFile = (event) => event.details?.type !== "suite" && /\.test\.mjs$/.test(event.name) && event.nesting === 0;

export default async function* count(source) {
  const total = {runner: "node", passed: 0, failed: [], skipped: []};
  const failedFiles = new Set();
  const brokenFiles = [];
  for await (const {type, data} of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details?.type === "suite" && type === "test:pass") continue;
    const where = data.file ? `${data.file.split("/").pop()}: ` : "";
    const name = where + data.name;
    const skip = data.skip !== undefined && data.skip !== false;
    const todo = data.todo !== undefined && data.todo !== false;
    // Narrowed by --test-name-pattern: not asked for, so not skipped.
    if (skip && /does not match pattern/.test(String(data.skip))) continue;
    if (skip || todo) {
      const reason = skip ? data.skip : data.todo;
      total.skipped.push({name, reason: typeof reason === "string" && reason !== "" ? reason : "no reason given"});
    } else if (type === "test:pass") {
      if (!isFile(data)) total.passed += 1;
    } else {
      const error = data.details?.error;
      const cause = error?.cause ?? error;
      // A parent only says that a child failed; the child is counted by itself.
      if (error?.failureType === "subtestsFailed") continue;
      if (isFile(data)) {
        brokenFiles.push({name: data.name, file: data.name, message: String(cause?.stack ?? cause ?? "")});
        continue;
      }
      failedFiles.add(data.file);
      total.failed.push({name, message: String(cause?.stack ?? cause ?? "")});
    }
  }
  for (const broken of brokenFiles) {
    const known = [...failedFiles].some((f) => f && (f === broken.file || f.endsWith(`/${broken.file.split("/").pop()}`)));
    if (!known) total.failed.push(broken);
  }
  yield JSON.stringify(total);
}

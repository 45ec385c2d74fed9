// CSV for spreadsheets, from what people may have typed. No DOM.

const FORMULA = /^[=+\-@\t\r]/; // a cell that begins so is run by a spreadsheet

/** One cell: quoted, and never a formula. Numbers are written as they are. */
export function csvCell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  return `"${(FORMULA.test(text) ? `'${text}` : text).replace(/"/g, '""')}"`;
}

/** Rows of cells → text with a byte order mark, so that a spreadsheet reads it as UTF-8. */
export function csvOf(rows) {
  return `\ufeff${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

/** A name every file system takes. */
export function fileName(...parts) {
  return parts.map((part) => String(part).replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 40)).join("-");
}

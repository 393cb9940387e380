// Rows as CSV (RFC 4180) for spreadsheets. Pure.

/**
 * @param {string[]} columns
 * @param {Record<string, unknown>[]} rows
 */
export const csv = (columns, rows) =>
  [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((cells) => `${cells.map(cell).join(",")}\r\n`)
    .join("");

/**
 * One cell. What a spreadsheet would run as a formula gets an apostrophe in front: rows hold text
 * that others chose.
 * @param {unknown} value
 */
function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// What a list asks the server for, from the address, and back. Pure.

export const PAGE_SIZE = 50;
const OWN = ["after", "from"];

/**
 * The server's parameters for an address: `from` only tells people where the page begins.
 * @param {Record<string, string>} query
 * @param {string[]} allowed the filters of the list, beside q, sort and after
 * @param {Record<string, unknown>} [fixed] always sent
 * @returns {Record<string, unknown>}
 */
export function listQuery(query, allowed, fixed = {}) {
  const names = ["q", "sort", "after", ...allowed];
  const given = Object.entries(query).filter(([name]) => names.includes(name));
  return { ...fixed, ...Object.fromEntries(given), limit: PAGE_SIZE };
}

/**
 * The address' query after a filter or the sort changed: back to the first page.
 * @param {Record<string, string>} query
 * @param {Record<string, string>} changes empty values take a filter away
 * @returns {Record<string, string>}
 */
export function refined(query, changes) {
  const merged = { ...query, ...changes };
  return Object.fromEntries(
    Object.entries(merged).filter(([name, value]) => value !== "" && !OWN.includes(name)));
}

/**
 * The address' query of the next page.
 * @param {Record<string, string>} query
 * @param {string | number} cursor `next_after` of the answer
 * @param {number} shown rows on the present page
 */
export const nextPage = (query, cursor, shown) =>
  ({ ...query, after: String(cursor), from: String(firstRow(query) + shown) });

/** Number of the first row on the page, from 1. @param {Record<string, string>} query */
export function firstRow(query) {
  const from = Number(query.from ?? 1);
  return Number.isInteger(from) && from > 0 ? from : 1;
}

/**
 * The sort after a click on a column: ascending, then descending.
 * @param {string | undefined} present such as `-name`
 * @param {string} field
 */
export const sortAfterClick = (present, field) => (present === field ? `-${field}` : field);

/**
 * What a screen reader is told of a column: `ascending`, `descending` or `none`.
 * @param {string | undefined} present
 * @param {string} field
 */
export function sortDirection(present, field) {
  if (present === field) return "ascending";
  return present === `-${field}` ? "descending" : "none";
}

/**
 * Whether any filter is set.
 * @param {Record<string, string>} query
 * @param {string[]} filters
 */
export const isFiltered = (query, filters) => ["q", ...filters].some((name) => query[name]);

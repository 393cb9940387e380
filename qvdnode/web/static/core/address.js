// What the page's address says. Every view, filter and sort is an address below /ui/. Pure.

const ROOT = "/ui/";

/**
 * @typedef {object} Place
 * @property {string} page the view's name; empty for the dashboard
 * @property {string} id what it shows one of; empty for a list
 * @property {Record<string, string>} query
 */

/**
 * Read an address.
 * @param {string} path such as /ui/vms/7
 * @param {string} search such as ?state=running
 * @returns {Place}
 */
export function placeOf(path, search) {
  const inside = path.startsWith(ROOT) ? path.slice(ROOT.length) : "";
  const [page = "", id = ""] = inside.split("/").map(decoded);
  return { page, id, query: Object.fromEntries(new URLSearchParams(search)) };
}

/**
 * Write an address; empty values of the query are left out.
 * @param {string} page
 * @param {string | number} [id]
 * @param {Record<string, unknown>} [query]
 */
export function addressOf(page, id = "", query = {}) {
  const path = [page, String(id)].filter(Boolean).map(encodeURIComponent).join("/");
  return withQuery(ROOT + path, query);
}

/**
 * A path with a query; empty values are left out.
 * @param {string} path
 * @param {Record<string, unknown>} query
 */
export function withQuery(path, query) {
  const given = Object.entries(query)
    .filter(([, value]) => value !== "" && value !== undefined && value !== null)
    .map(([name, value]) => [name, String(value)]);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

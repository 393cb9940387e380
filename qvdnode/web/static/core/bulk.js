// An action on everything that a filter finds: what it would do, and what came of it. Pure.

/**
 * The rows that an action applies to, and how many it does not.
 * @param {import("./kinds/kind.js").Action} action
 * @param {any[]} rows
 */
export function preview(action, rows) {
  const taken = rows.filter(action.applies);
  return { taken, passed: rows.length - taken.length };
}

/**
 * The commands that do the same, one a line, as a script.
 * @param {import("./kinds/kind.js").Action} action
 * @param {any[]} rows
 */
export const script = (action, rows) => rows.map((row) => action.command(row, {})).join("\n");

/**
 * How many went well and which did not.
 * @param {{title: string, error: string | null}[]} results
 */
export function outcome(results) {
  const failed = results.filter((result) => result.error !== null);
  return { done: results.length - failed.length, failed };
}

/**
 * What must be typed before something is destroyed: its name, or how many.
 * @param {string[]} titles
 */
export const proof = (titles) => (titles.length === 1 ? titles[0] : String(titles.length));

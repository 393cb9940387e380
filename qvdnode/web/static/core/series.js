// Figures as plots and sentences need them. Pure.

/**
 * @typedef {Record<string, any> & {at: number}} Point
 */

/**
 * Points of two answers as one series by time, the newer answer's where both have one.
 * @param {Point[]} known
 * @param {Point[]} fresh
 * @param {number} longest seconds that are kept, before the last point
 */
export function merged(known, fresh, longest) {
  const byTime = new Map([...known, ...fresh].map((point) => [point.at, point]));
  const all = [...byTime.values()].sort((a, b) => a.at - b.at);
  const last = all.at(-1)?.at ?? 0;
  return all.filter((point) => point.at >= last - longest);
}

/**
 * One column of a plot; null where a point has no value.
 * @param {Point[]} points
 * @param {string} path such as `vms.running`
 */
export const column = (points, path) => points.map((point) => valueAt(point, path));

/**
 * A figure of a point; null if it has none. Counts by state leave out states that nothing is in.
 * @param {any} point
 * @param {string} path
 * @returns {number | null}
 */
export function valueAt(point, path) {
  const [name, state] = path.split(".");
  const value = state === undefined || !point[name] ? point[path] ?? point[name] : point[name][state] ?? 0;
  return typeof value === "number" ? value : null;
}

/**
 * What a plot says, for those who do not see it.
 * @param {(number | null)[]} values
 */
export function summary(values) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return null;
  return { last: values.at(-1) ?? null, least: Math.min(...known), most: Math.max(...known) };
}

/**
 * About `count` points spread over all of them, the last one always: rows of a table.
 * @param {Point[]} points
 * @param {number} count
 */
export function sampled(points, count) {
  const step = Math.max(1, Math.ceil(points.length / count));
  return points.filter((_, index) => (points.length - 1 - index) % step === 0);
}

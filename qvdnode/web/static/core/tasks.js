// The strip of running tasks: what happens to the list of tasks. Pure.

/** States of a desktop in which something is under way. */
export const UNDER_WAY = ["preparing", "booting", "stopping", "killing", "cleaning"];

/**
 * @typedef {object} Task
 * @property {string} key one task a key
 * @property {string} title what is done, in the reader's language
 * @property {"running" | "done" | "failed"} state
 * @property {number | null} [share] done so far, 0 to 1; null if unknown
 * @property {string} [note] progress or result in words
 * @property {string} [link] address of what it is about
 * @property {() => void} [undo] takes it back
 * @property {() => void} [stop] ends it early
 * @property {number} [endedAt] milliseconds since 1970
 */

/**
 * The tasks with one added, or changed where its key is there already.
 * @param {Task[]} tasks
 * @param {Partial<Task> & {key: string}} change
 * @returns {Task[]}
 */
export function withTask(tasks, change) {
  const before = tasks.find((task) => task.key === change.key);
  if (!before) return [...tasks, { title: change.key, state: "running", ...change }];
  return tasks.map((task) => (task === before ? { ...task, ...change } : task));
}

/**
 * The tasks without one.
 * @param {Task[]} tasks
 * @param {string} key
 */
export const withoutTask = (tasks, key) => tasks.filter((task) => task.key !== key);

/**
 * The tasks without those that succeeded a while ago; a failure stays until somebody closes it.
 * @param {Task[]} tasks
 * @param {number} now milliseconds since 1970
 * @param {number} shownFor milliseconds that a success is shown
 */
export const withoutOld = (tasks, now, shownFor) =>
  tasks.filter((task) => task.state !== "done" || now - (task.endedAt ?? now) < shownFor);

/**
 * What an event about a desktop means for the strip: its task's state, or null if there is none.
 * @param {string | undefined} state the desktop's
 * @param {boolean} known whether the strip shows a task of it
 * @returns {Task["state"] | null}
 */
export function taskState(state, known) {
  if (state === undefined) return null;
  if (UNDER_WAY.includes(state)) return "running";
  if (state === "failed") return "failed";
  return known ? "done" : null;
}

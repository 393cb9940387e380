// What the whole page knows: who is logged in, where we are, what runs.
import { signal } from "@preact/signals";
import { placeOf } from "../core/address.js";
import { mayCall } from "../core/rights.js";
import { withoutOld, withoutTask, withTask } from "../core/tasks.js";

const SUCCESS_SHOWN_MS = 8_000;
const SWEEP_MS = 1_000;

/** The session; undefined until we know, null for nobody. */
export const me = signal(/** @type {any} */ (undefined));
/** Whether the login's token may do that. @param {string} method @param {string} path below /api/v1 */
export const may = (method, path) => mayCall(me.value?.calls ?? [], method, path);

/** Whether it may do that to an object. @param {import("../core/kinds/kind.js").Action} action @param {any} row */
export const mayDo = (action, row) => {
  const { method, path } = action.call(row, {});
  return may(method, path);
};

/** Where we are. */
export const place = signal(placeOf(location.pathname, location.search));
/** Whether changes come by events or lists are read again at times. */
export const connection = signal(/** @type {"live" | "polling"} */ ("live"));
/** Tasks that run, or ended lately. */
export const tasks = signal(/** @type {import("../core/tasks.js").Task[]} */ ([]));
/** Said to those who hear the page. */
export const said = signal("");

/** @type {Set<(change: import("../live.js").Change) => void>} */
const watchers = new Set();

/**
 * Hear of changes until the returned function is called.
 * @param {(change: import("../live.js").Change) => void} watcher
 */
export function watch(watcher) {
  watchers.add(watcher);
  return () => { watchers.delete(watcher); };
}

/** @param {import("../live.js").Change} change */
export const changed = (change) => [...watchers].forEach((watcher) => watcher(change));

/**
 * Go to an address of the page.
 * @param {string} address
 * @param {{replace?: boolean}} [options]
 */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  arrive();
}

/** Read the address again. */
export function arrive() {
  place.value = placeOf(location.pathname, location.search);
}

/** Add a task to the strip or change it. @param {Partial<import("../core/tasks.js").Task> & {key: string}} change */
export function report(change) {
  const ended = change.state === "done" || change.state === "failed";
  tasks.value = withTask(tasks.value, { ...change, ...(ended ? { endedAt: Date.now() } : {}) });
}

/** Take a task off the strip. @param {string} key */
export const dismiss = (key) => { tasks.value = withoutTask(tasks.value, key); };

setInterval(() => {
  const left = withoutOld(tasks.value, Date.now(), SUCCESS_SHOWN_MS);
  if (left.length !== tasks.value.length) tasks.value = left;
}, SWEEP_MS);

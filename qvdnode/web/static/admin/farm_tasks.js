// Desktops that start or stop, whoever asked for it, as tasks of the strip: told by events.
import { call } from "../api.js";
import { addressOf } from "../core/address.js";
import { taskState } from "../core/tasks.js";
import { t } from "../core/words.js";
import { report, tasks, watch } from "./store.js";

const MOST = 6;

/** Follow the events until the returned function is called. */
export const followDesktops = () => watch((change) => {
  if (change.kind !== "vm" || change.id === undefined) return;
  const key = `state-${change.id}`;
  const known = tasks.value.some((task) => task.key === key);
  const state = taskState(change.state, known);
  if (state === null || (!known && tasks.value.length >= MOST)) return;
  report({ key, state, ...(known ? {} : { title: t("desktop_number", { id: change.id }) }),
    note: t(`state.${change.state}`), link: addressOf("vms", change.id) });
  if (!known || state === "failed") name(key, change.id);
});

/**
 * Put the desktop's name, its user and why it failed into its task.
 * @param {string} key
 * @param {string | number} id
 */
async function name(key, id) {
  const vm = await call("GET", `/vms/${id}`, undefined, { background: true }).catch(() => null);
  if (!vm || !tasks.value.some((task) => task.key === key)) return;
  report({ key, title: `${vm.name} (${vm.user})`, ...(vm.error && vm.state === "failed" ? { note: vm.error } : {}) });
}

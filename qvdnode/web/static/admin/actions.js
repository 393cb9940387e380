// Does an action on an object: at once, or after a question; tells what came of it.
import { signal } from "@preact/signals";
import { call } from "../api.js";
import { addressOf } from "../core/address.js";
import { keyOf } from "../core/kinds/kind.js";
import { t } from "../core/words.js";
import { changed, report, said } from "./store.js";
import { troubleText } from "./trouble.js";

/**
 * @typedef {import("../core/kinds/kind.js").Kind} Kind
 * @typedef {import("../core/kinds/kind.js").Action} Action
 */

/** The question that is open, if any. */
export const question = signal(/** @type {{kind: Kind, action: Action, row: any, after?: () => void} | null} */ (null));

/**
 * Do the action, or ask first where it needs an answer.
 * @param {Kind} kind
 * @param {Action} action
 * @param {any} row
 * @param {() => void} [after] called once it is done
 */
export function act(kind, action, row, after) {
  if (action.confirm || action.destroys || action.fields) {
    question.value = { kind, action, row, after };
    return;
  }
  perform(kind, action, row, {}).then(after, () => {});
}

/**
 * Do the action and show it in the strip of tasks. Raises what the server refuses.
 * @param {Kind} kind
 * @param {Action} action
 * @param {any} row
 * @param {any} values what the question's form says
 */
export async function perform(kind, action, row, values) {
  const title = taskTitle(kind, action, row);
  const key = `${kind.name}-${row.id}-${action.name}`;
  report({ key, title, state: "running", note: "", undo: undefined });
  try {
    const { method, path, body } = action.call(row, values);
    const answer = await call(method, path, body);
    report({ key, state: "done", note: t("task.done"), undo: undoOf(kind, action, row),
      link: action.destroys || !kind.single ? undefined : addressOf(kind.page, keyOf(kind, row)) });
    said.value = `${title}: ${t("task.done")}`;
    changed({ kind: kind.name, id: row.id });
    return answer;
  } catch (/** @type {any} */ error) {
    report({ key, state: "failed", note: troubleText(error) });
    throw error;
  }
}

/** @param {Kind} kind @param {Action} action @param {any} row */
export const taskTitle = (kind, action, row) => `${t(`action.${action.name}`)}: ${kind.title(row)}`;

/** @param {Kind} kind @param {Action} action @param {any} row */
function undoOf(kind, action, row) {
  const back = kind.actions.find((one) => one.name === action.undo);
  return back && (() => act(kind, back, row));
}

// An action on all that the list's filter finds: preview, run, a result for each.
import { useEffect, useState } from "preact/hooks";
import { call } from "../api.js";
import { withQuery } from "../core/address.js";
import { outcome, preview, proof, script } from "../core/bulk.js";
import { t, tn } from "../core/words.js";
import { html } from "../html.js";
import { Typed } from "./action_dialog.js";
import { Dialog } from "./dialog.js";
import { CopyLine } from "./same_as.js";
import { changed, mayDo, report } from "./store.js";
import { Trouble, troubleText } from "./trouble.js";

const AT_ONCE = 4;
const READ_AT_ONCE = 1000;
const SAMPLE = 8;

/** @param {{kind: import("../core/kinds/kind.js").Kind, query: any, onClose: () => void}} props */
export function Bulk({ kind, query, onClose }) {
  const actions = kind.actions.filter((action) => action.bulk && mayDo(action, { id: 0 }));
  const [name, setName] = useState("");
  const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const [typed, setTyped] = useState("");
  const [results, setResults] = useState(/** @type {any[] | null} */ (null));
  useEffect(() => { everything(kind, query).then(setRows, setError); }, []);
  const action = actions.find((one) => one.name === name) ??
    actions.find((one) => (rows ?? []).some(one.applies)) ?? actions[0];
  const { taken, passed } = preview(action, rows ?? []);
  const wanted = proof(taken.map(kind.title));
  const run = () => {
    setResults([]);
    runAll(kind, action, taken, (all) => setResults([...all]));
  };
  if (results) return html`<${Results} kind=${kind} action=${action} results=${results} count=${taken.length} onClose=${onClose} />`;
  const ready = rows && taken.length && (!action.destroys || typed === wanted);
  return html`<${Dialog} title=${t("bulk.title")} onClose=${onClose}>
    <div class="field"><label for="bulk-action">${t("bulk.action")}</label>
      <select id="bulk-action" value=${action.name} onChange=${(/** @type {any} */ event) => setName(event.target.value)}>
        ${actions.map((one) => html`<option key=${one.name} value=${one.name}>${t(`action.${one.name}`)}</option>`)}</select></div>
    <${Trouble} error=${error} />
    ${rows ? html`<${Preview} kind=${kind} action=${action} taken=${taken} passed=${passed} />` : !error && html`<p class="muted" role="status">${t("loading")}</p>`}
    ${rows && taken.length > 0 && action.destroys && html`<${Typed} proof=${wanted} typed=${typed} onType=${setTyped} />`}
    <div class="foot"><button type="button" onClick=${onClose}>${t("cancel")}</button>
      <button type="button" class=${action.destroys ? "primary danger" : "primary"} disabled=${!ready} onClick=${run}>${t(`action.${action.name}`)}${rows ? ` (${taken.length})` : ""}</button></div>
  <//>`;
}

/** @param {any} props */
function Preview({ kind, action, taken, passed }) {
  return html`<div class="stack" role="status">
    <p><strong>${tn("bulk.taken", taken.length)}</strong> ${passed > 0 && html`<span class="muted">${tn("bulk.passed", passed)}</span>`}</p>
    ${taken.length > 0 && html`<p class="muted">${taken.slice(0, SAMPLE).map(kind.title).join(", ")}${taken.length > SAMPLE ? " …" : ""}</p>
      <details><summary>${t("same_as")}</summary><div class="same-as"><${CopyLine} text=${script(action, taken.slice(0, 200))} label=${t("the_command")} /></div></details>`}</div>`;
}

/** @param {any} props */
function Results({ kind, action, results, count, onClose }) {
  const { done, failed } = outcome(results);
  const over = results.length === count;
  return html`<${Dialog} title=${t(`action.${action.name}`)} onClose=${onClose}>
    <label class="field">${t("bulk.progress", { done: results.length, count })}<progress max=${count} value=${results.length} /></label>
    ${over && html`<p role="status" class=${failed.length ? "notice warn" : "notice good"}>${tn("bulk.done", done)} ${failed.length > 0 && tn("bulk.failed", failed.length)}</p>`}
    <ol class="results" tabindex="0" aria-label=${t("bulk.results")}>${[...failed, ...results.filter((/** @type {any} */ result) => result.error === null)].map((/** @type {any} */ result) => html`<li key=${result.id}>${result.title}: ${result.error ?? t("task.done")}</li>`)}</ol>
    ${!over && html`<p class="muted">${t("bulk.goes_on")}</p>`}
    <div class="foot"><button type="button" class="primary" onClick=${onClose}>${t("close")}</button></div>
  <//>`;
}

/**
 * Every row that the filter finds, read page by page.
 * @param {import("../core/kinds/kind.js").Kind} kind
 * @param {any} query
 */
async function everything(kind, query) {
  const rows = [];
  let after = null;
  do {
    const page = /** @type {any} */ (await call("GET", withQuery(kind.path, { ...query, limit: READ_AT_ONCE, after })));
    rows.push(...page.items);
    after = page.next_after;
  } while (after !== null);
  return rows;
}

/**
 * Do the action on each, a few at a time. Goes on if the dialog is closed.
 * @param {import("../core/kinds/kind.js").Kind} kind
 * @param {import("../core/kinds/kind.js").Action} action
 * @param {any[]} rows
 * @param {(results: any[]) => void} tell
 */
async function runAll(kind, action, rows, tell) {
  /** @type {any[]} */
  const results = [];
  const key = `bulk-${kind.name}-${action.name}-${Date.now()}`;
  const title = `${t(`action.${action.name}`)}: ${t(`kinds.${kind.name}`)}`;
  const left = [...rows];
  report({ key, title, state: "running", share: 0 });
  const worker = async () => {
    for (let row = left.shift(); row; row = left.shift()) {
      const { method, path, body } = action.call(row, {});
      const error = await call(method, path, body).then(() => null, troubleText);
      results.push({ id: row.id, title: kind.title(row), error });
      report({ key, share: results.length / rows.length, note: t("bulk.progress", { done: results.length, count: rows.length }) });
      tell(results);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const { done, failed } = outcome(results);
  const note = [tn("bulk.done", done), failed.length ? tn("bulk.failed", failed.length) : ""].join(" ");
  report({ key, state: failed.length ? "failed" : "done", share: 1, note });
  changed({ kind: kind.name });
}

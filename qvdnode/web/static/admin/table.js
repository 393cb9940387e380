// A table of objects whose columns sort on the server.
import { sortAfterClick, sortDirection } from "../core/lists.js";
import { actionsFor, keyOf } from "../core/kinds/kind.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { Cell } from "./cell.js";

const NUMBERS = ["number", "mib", "bytes"];

/**
 * @param {{kind: import("../core/kinds/kind.js").Kind, rows: any[], sort?: string, busy?: boolean,
 *   onSort?: (sort: string) => void, onActions?: (row: any) => void}} props
 */
export function Table({ kind, rows, sort, busy, onSort, onActions }) {
  const classOf = (/** @type {any} */ column) =>
    [NUMBERS.includes(column.type) ? "number" : "", column.wide ? "wide-only" : ""].join(" ").trim() || undefined;
  const head = (/** @type {any} */ column) => (onSort && column.sort
    ? html`<th scope="col" class=${classOf(column)} aria-sort=${sortDirection(sort, column.sort)}>
        <button type="button" onClick=${() => onSort(sortAfterClick(sort, column.sort))}>${t(`field.${column.name}`)}</button></th>`
    : html`<th scope="col" class=${classOf(column)}>${t(`field.${column.name}`)}</th>`);
  const body = (/** @type {any} */ row) => html`<tr key=${row.id}>${kind.columns.map((column, index) => (index === 0
    ? html`<th scope="row" class=${classOf(column)}><${Cell} column=${column} row=${row} /></th>`
    : html`<td class=${classOf(column)}><${Cell} column=${column} row=${row} /></td>`))}
    ${onActions && html`<td class="actions">${actionsFor(kind, row).length > 0 && html`<button type="button" class="plain" onClick=${() => onActions(row)}
      aria-label=${t("actions_of", { name: kind.title(row) })} data-key=${keyOf(kind, row)}>${t("actions")}</button>`}</td>`}</tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t(`kinds.${kind.name}`)}>
    <table class=${busy ? "busy" : ""} aria-busy=${busy ? "true" : "false"}>
      <thead><tr>${kind.columns.map(head)}${onActions && html`<th scope="col" class="actions"><span class="visually-hidden">${t("actions")}</span></th>`}</tr></thead>
      <tbody>${rows.map(body)}</tbody></table></div>`;
}

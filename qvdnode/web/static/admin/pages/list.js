// A list of one kind: filtered, sorted and paged by the server, as the address says.
import { useEffect, useState } from "preact/hooks";
import { addressOf, withQuery } from "../../core/address.js";
import { actionsFor } from "../../core/kinds/kind.js";
import { firstRow, isFiltered, listQuery, nextPage, refined } from "../../core/lists.js";
import { t, tn } from "../../core/words.js";
import { html } from "../../html.js";
import { RowActions } from "../action_dialog.js";
import { act } from "../actions.js";
import { Bulk } from "../bulk.js";
import { DownloadCsv } from "../download_csv.js";
import { Filters } from "../filters.js";
import { Icon } from "../icons.js";
import { useResource } from "../resource.js";
import { SameAsList } from "../same_as.js";
import { go, may, mayDo, place, said } from "../store.js";
import { Table } from "../table.js";
import { Trouble } from "../trouble.js";

/** @param {{kind: import("../../core/kinds/kind.js").Kind}} props */
export function ListPage({ kind }) {
  const { query } = place.value;
  const filters = kind.filters.map((filter) => filter.name);
  const asked = listQuery(query, filters, kind.fixed);
  const path = withQuery(kind.path, asked);
  const { data, error, busy, stale, reload } = useResource(path, (change) => change.kind === kind.name);
  const [bulk, setBulk] = useState(false);
  const [chosen, setChosen] = useState(/** @type {any} */ (null));
  const refine = (/** @type {Record<string, string>} */ changes) =>
    go(addressOf(kind.page, "", refined(query, changes)), { replace: "q" in changes });
  const rows = data?.items ?? [];
  const total = data?.total;
  const actions = kind.actions.filter((action) => rows.length > 0 && mayDo(action, rows[0]));
  const isBulk = actions.some((action) => action.bulk);
  useEffect(() => {
    if (data && total !== undefined) said.value = tn("found", total);
  }, [path, total]);
  const { limit: _limit, after: _after, ...filter } = asked;
  return html`<div class="stack">
    <div class="page-head"><h1 tabindex="-1">${t(`kinds.${kind.name}`)}</h1>
      <div class="buttons">
        ${kind.page === "audit" && html`<${DownloadCsv} kind=${kind} query=${filter} />`}
        ${isBulk && html`<button type="button" onClick=${() => setBulk(true)}>${t("bulk.title")}…</button>`}
        <${NewButton} kind=${kind} /></div></div>
    <${Filters} kind=${kind} query=${query} onChange=${refine} />
    <${Trouble} error=${error} retry=${reload} />
    ${data && (rows.length
      ? html`<${Table} kind=${kind} rows=${rows} sort=${query.sort} busy=${busy} onSort=${(/** @type {string} */ sort) => refine({ sort })}
          onActions=${actions.length ? setChosen : undefined} />
        ${!stale && html`<${Pages} kind=${kind} query=${query} data=${data} />`}`
      : html`<${Empty} kind=${kind} filtered=${isFiltered(query, filters)} />`)}
    ${!data && !error && html`<p class="muted">${t("loading")}</p>`}
    <${SameAsList} lines=${[{ title: t("this_list"), command: kind.listCommand(query), call: { method: "GET", path } }]} />
    ${bulk && html`<${Bulk} kind=${kind} query=${filter} onClose=${() => setBulk(false)} />`}
    ${chosen && html`<${RowActions} kind=${kind} row=${chosen} actions=${actionsFor(kind, chosen).filter((action) => mayDo(action, chosen))} onClose=${() => setChosen(null)}
      choose=${(/** @type {any} */ action) => { setChosen(null); act(kind, action, chosen); }} />`}
  </div>`;
}

/** @param {any} props */
const NewButton = ({ kind }) => ((kind.fields && may("POST", kind.path)) || (kind.page === "images" && may("POST", "/images/NAME/versions"))
  ? html`<a class="button primary" href=${addressOf("new", kind.page)}>${t(`new.${kind.name}`)}</a>` : null);

/** The address before that of a next page, for those that were gone to from here. */
const before = new Map();

/** @param {any} props */
function Pages({ kind, query, data }) {
  const first = firstRow(query);
  const last = first + data.items.length - 1;
  const here = addressOf(kind.page, "", query);
  const next = data.next_after !== null && addressOf(kind.page, "", nextPage(query, data.next_after, data.items.length));
  if (next) before.set(next, here);
  const previous = before.get(here);
  return html`<nav class="pages" aria-label=${t("pages")}>
    <span class="count">${data.total === undefined ? `${first}–${last}` : tn("range", data.total, { first, last })}</span>
    ${query.after && html`<a class="button" href=${addressOf(kind.page, "", refined(query, {}))}>${t("first_page")}</a>`}
    ${previous && html`<a class="button" href=${previous}>${t("previous_page")}</a>`}
    ${next && html`<a class="button" href=${next}>${t("next_page")}</a>`}</nav>`;
}

/** @param {any} props */
const Empty = ({ kind, filtered }) => html`<div class="card empty"><${Icon} name=${kind.page} />
  <h2>${t(filtered ? "nothing_found" : `empty.${kind.name}`)}</h2>
  <p class="muted">${t(filtered ? "nothing_found_help" : `empty.${kind.name}.help`)}</p>
  ${filtered ? html`<a class="button" href=${addressOf(kind.page)}>${t("clear_filters")}</a>` : html`<${NewButton} kind=${kind} />`}</div>`;

// A short list of what belongs to an object, with the way to all of it.
import { addressOf, withQuery } from "../../core/address.js";
import { sessions } from "../../core/kinds/sessions.js";
import { vms } from "../../core/kinds/vms.js";
import { t, tn } from "../../core/words.js";
import { html } from "../../html.js";
import { useResource } from "../resource.js";
import { Table } from "../table.js";
import { Trouble } from "../trouble.js";

const SHOWN = 5;

/** @param {{kind: import("../../core/kinds/kind.js").Kind, query: Record<string, unknown>}} props */
function Related({ kind, query }) {
  const path = withQuery(kind.path, { ...kind.fixed, ...query, limit: SHOWN });
  const { data, error, reload } = useResource(path, (change) => change.kind === kind.name);
  const all = addressOf(kind.page, "", query);
  return html`<section class="stack"><h2>${t(`kinds.${kind.name}`)}</h2><${Trouble} error=${error} retry=${reload} />
    ${data && (data.items.length ? html`<${Table} kind=${kind} rows=${data.items} />
      ${data.next_after !== null && html`<p><a href=${all}>${data.total === undefined ? t("show_all") : tn("show_all_of", data.total)}</a></p>`}`
      : html`<p class="muted">${t(`none_yet.${kind.name}`)}</p>`)}</section>`;
}

/** @param {{query: Record<string, unknown>}} props */
export const RelatedVms = ({ query }) => html`<${Related} kind=${vms} query=${query} />`;

/** @param {{query: Record<string, unknown>}} props */
export const RelatedSessions = ({ query }) => html`<${Related} kind=${sessions} query=${query} />`;

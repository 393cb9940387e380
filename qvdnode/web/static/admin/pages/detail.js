// One object: its facts, what can be done with it, and what belongs to it.
import { useEffect } from "preact/hooks";
import { addressOf } from "../../core/address.js";
import { actionsFor, pathOf } from "../../core/kinds/kind.js";
import { t } from "../../core/words.js";
import { html } from "../../html.js";
import { act } from "../actions.js";
import { Cell, State } from "../cell.js";
import { arriveAtHeading } from "../heading.js";
import { useResource } from "../resource.js";
import { SameAsList } from "../same_as.js";
import { go, may, mayDo, place } from "../store.js";
import { Trouble } from "../trouble.js";
import { EditForm } from "./create.js";
import { ImageParts } from "./image_parts.js";
import { NodeParts } from "./node_parts.js";
import { RelatedVms } from "./related.js";
import { UserParts } from "./user_parts.js";
import { VmParts } from "./vm_parts.js";

const PARTS = /** @type {Record<string, any>} */ ({
  vms: VmParts,
  users: UserParts,
  images: ImageParts,
  nodes: NodeParts,
  flavours: (/** @type {any} */ props) => html`<${RelatedVms} query=${{ flavour_id: props.object.id }} />`,
});

/** @param {{kind: import("../../core/kinds/kind.js").Kind, id: string}} props */
export function DetailPage({ kind, id }) {
  const path = pathOf(kind, id);
  const { data, error, reload } = useResource(path, (change) => change.kind === kind.name &&
    (change.id === undefined || String(change.id) === id || (data && change.id === data.id)));
  useEffect(() => { if (data) arriveAtHeading(); }, [data === null]);
  const list = addressOf(kind.page);
  const crumb = html`<p class="crumb"><a href=${list}>${t(`kinds.${kind.name}`)}</a></p>`;
  if (!data) {
    return html`<div class="stack">${crumb}<h1 tabindex="-1">${t(`kind.${kind.name}`)} ${id}</h1>
      ${error ? html`<${Trouble} error=${error} retry=${reload} />` : html`<p class="muted">${t("loading")}</p>`}</div>`;
  }
  const actions = actionsFor(kind, data).filter((action) => mayDo(action, data));
  const editing = place.value.query.edit === "1";
  const stopEditing = () => { go(addressOf(kind.page, id), { replace: true }); reload(); };
  const after = (/** @type {any} */ action) => () =>
    (["delete", "remove"].includes(action.name) ? go(list, { replace: true }) : reload());
  const Parts = PARTS[kind.page];
  return html`<div class="stack">${crumb}
    <div class="page-head"><h1 tabindex="-1">${kind.title(data)}</h1>
      ${data.state && html`<${State} state=${data.state} />`}${data.blocked && html`<span class="badge bad">${t("field.blocked")}</span>`}
      <div class="buttons">
        ${kind.changeCommand && !editing && may("PATCH", pathOf(kind, id)) && html`<a class="button" href=${addressOf(kind.page, id, { edit: 1 })}>${t("edit")}</a>`}
        ${actions.filter((action) => !action.elsewhere).map((action) => html`<button key=${action.name} type="button" class=${`${action.main ? "primary" : ""} ${action.destroys ? "danger" : ""}`}
          onClick=${() => act(kind, action, data, after(action))}>${t(`action.${action.name}`)}</button>`)}</div></div>
    <${Trouble} error=${error} retry=${reload} />
    ${(data.warnings ?? []).map((/** @type {string} */ text) => html`<p class="notice warn" key=${text}>${text}</p>`)}
    ${editing ? html`<${EditForm} kind=${kind} object=${data} onDone=${stopEditing} />` : html`<${Facts} kind=${kind} row=${data} />`}
    ${Parts && html`<${Parts} object=${data} />`}
    <${SameAsList} lines=${actions.map((action) => ({
      title: t(`action.${action.name}`), command: action.command(data, {}), call: action.call(data, {}),
    }))} /></div>`;
}

/** @param {{kind: import("../../core/kinds/kind.js").Kind, row: any}} props */
const Facts = ({ kind, row }) => html`<dl class="card facts">${(kind.facts ?? kind.columns.slice(1)).map((column) => html`<div key=${column.name}>
  <dt>${t(`field.${column.name}`)}</dt><dd><${Cell} column=${column} row=${row} /></dd></div>`)}</dl>`;

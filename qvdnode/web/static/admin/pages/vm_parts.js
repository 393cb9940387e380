// Why a desktop is in its state, what limits it reached, what it logged, who used it.
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../../api.js";
import { number } from "../../core/format.js";
import { currentLanguage, t, tn } from "../../core/words.js";
import { html } from "../../html.js";
import { Assist } from "../assist.js";
import { Moment } from "../cell.js";
import { useResource } from "../resource.js";
import { Trouble } from "../trouble.js";
import { RelatedSessions } from "./related.js";

const LOG_EVERY_MS = 3_000;

/** @param {{object: any}} props */
export const VmParts = ({ object }) => html`<${Why} vm=${object} /><${Assist} vm=${object} /><${Placement} vm=${object} /><${Log} id=${object.id} />
  <${RelatedSessions} query=${{ vm_id: object.id }} />`;

/** @param {{vm: any}} props */
function Why({ vm }) {
  const steps = Object.entries(vm.steps ?? {});
  const lines = vm.last_lines ?? [];
  const parts = [
    vm.error && html`<p class="notice bad"><span class="grow"><strong>${t("vm.error")}</strong> ${vm.error}</span></p>`,
    vm.queue_place && html`<p class="notice">${t("vm.queue", { place: vm.queue_place })}</p>`,
    ...(vm.limits_reached ?? []).map((/** @type {any} */ limit) => html`<p class="notice warn" key=${limit.limit}><span class="grow">
      ${tn(`vm.limit.${limit.limit}`, limit.count)}</span>${limit.at && html`<${Moment} at=${limit.at} />`}</p>`),
    (vm.lacking ?? []).length > 0 && html`<p class="notice warn">${t("vm.lacking", { what: vm.lacking.join(", ") })}</p>`,
    vm.driver_warning && html`<p class="notice warn">${vm.driver_warning}</p>`,
    vm.last_end && html`<p>${t("vm.last_end")}: ${vm.last_end} ${vm.last_end_at && html`(<${Moment} at=${vm.last_end_at} />)`}</p>`,
    lines.length > 0 && html`<details open=${Boolean(vm.error)}><summary>${t("vm.last_lines")}</summary><pre class="log">${lines.join("\n")}</pre></details>`,
    steps.length > 0 && html`<p class="muted">${t("vm.steps")}: ${steps.map(([name, value]) => `${name} ${written(value)}`).join(" · ")}</p>`,
  ].filter(Boolean);
  return parts.length ? html`<section class="card stack"><h2>${t("vm.why")}</h2>${parts}</section>` : null;
}

/** Where it runs and why there, and what each node is worth for a start now. @param {{vm: any}} props */
function Placement({ vm }) {
  const { data } = useResource(`/vms/${vm.id}/placement`, (change) => change.kind === "vm" && change.id === vm.id);
  if (!data) return null;
  return html`<section class="card stack"><h2>${t("vm.placement")}</h2><p>${data.summary}</p>
    ${data.last && html`<details><summary>${t("vm.placed", { node: data.last.node })}</summary>
      <ul>${data.last.reasons.map((/** @type {string} */ reason) => html`<li key=${reason}>${reason}</li>`)}</ul></details>`}
    ${data.nodes.length > 0 && html`<details><summary>${t("vm.nodes_now")}</summary>
      <ul>${data.nodes.map((/** @type {any} */ node) => html`<li key=${node.id}>${node.because}</li>`)}</ul></details>`}</section>`;
}

/** @param {unknown} value */
const written = (value) => (typeof value === "number" ? `${number(value, currentLanguage(), 3)} s` : String(value));

/** The log while it is open, read again every few seconds. @param {{id: number}} props */
function Log({ id }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState(/** @type {string | null} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!open) return undefined;
    let timer = 0;
    let gone = false;
    const read = async () => {
      try {
        const log = await call("GET", `/vms/${id}/log`, undefined, { background: true });
        if (!gone) setText(log.text);
        if (!gone) setError(null);
      } catch (/** @type {any} */ problem) {
        if (!gone) setError(problem);
      }
      if (!gone) timer = setTimeout(read, LOG_EVERY_MS);
    };
    read();
    return () => { gone = true; clearTimeout(timer); };
  }, [open, id]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return html`<details class="card" onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}><summary>${t("vm.log")}</summary>
    <${Trouble} error=${error} />
    ${text !== null && !error && html`<pre class="log" ref=${box} tabindex="0" role="region" aria-label=${t("vm.log")}>${text || t("vm.log_empty")}</pre>`}</details>`;
}

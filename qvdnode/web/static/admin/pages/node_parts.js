// How loaded the node is that we talk to, and where its memory went.
import { addressOf } from "../../core/address.js";
import { mebibytes, number } from "../../core/format.js";
import { currentLanguage, t } from "../../core/words.js";
import { html } from "../../html.js";
import { useResource } from "../resource.js";
import { Trouble } from "../trouble.js";

const SHOWN = 20;

/** @param {{object: any}} props */
export const NodeParts = ({ object }) => (object.here ? html`<${Load} /><${Memory} />`
  : html`<p class="muted">${t("node.elsewhere")}</p>`);

const ofNode = (/** @type {any} */ change) => ["node", "vm"].includes(change.kind);

function Load() {
  const { data, error, reload } = useResource("/node", ofNode);
  if (!data) return html`<${Trouble} error=${error} retry=${reload} />`;
  const { load, limits } = data;
  const guests = Object.values(load.guests).reduce((sum, count) => sum + Number(count), 0);
  const facts = [
    ["node.desktops", t("node.of", { used: guests, most: limits.guests_max })],
    ["node.viewers", load.viewers],
    ["node.waiting", load.waiting],
    ["node.promised", t("node.of", { used: mib(load.memory_promised_mib), most: mib(limits.memory_total_mib - limits.memory_reserved_mib) })],
    ...limits.disk.map((/** @type {any} */ disk) => ["node.disk", t("node.free_of", { folder: disk.folder, free: mib(disk.free_mib), all: mib(disk.capacity_mib) })]),
    ["node.version", data.version],
    ["node.fingerprint", html`<code>${data.fingerprint}</code>`],
  ];
  return html`<section class="stack"><h2>${t("node.load")}</h2>
    ${data.not_ready && html`<p class="notice bad">${data.not_ready}</p>`}
    ${data.drivers.filter((/** @type {any} */ driver) => driver.problem).map((/** @type {any} */ driver) =>
      html`<p class="notice" key=${driver.name}>${t("node.driver_problem", { name: driver.name, problem: driver.problem })}</p>`)}
    <dl class="card facts">${facts.map(([name, value], index) => html`<div key=${index}><dt>${t(name)}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}

function Memory() {
  const { data, error, reload } = useResource("/node/memory", ofNode);
  if (!data) return html`<${Trouble} error=${error} retry=${reload} />`;
  const facts = [
    ["node.memory_total", data.host.total_mib], ["node.memory_available", data.host.available_mib],
    ["node.memory_guests", data.guests_mib], ["node.memory_node", data.node_mib],
    ["node.memory_database", data.database_mib], ["node.memory_merged", data.merged.saved_mib],
  ];
  const guests = [...data.guests].sort((a, b) => b.used_mib - a.used_mib).slice(0, SHOWN);
  return html`<section class="stack"><h2>${t("node.memory")}</h2>
    ${data.obstacle && html`<p class="notice warn">${data.obstacle}</p>`}
    <dl class="card facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${t(name)}</dt><dd>${mib(value)}</dd></div>`)}</dl>
    ${guests.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("node.memory")}><table>
      <thead><tr><th scope="col">${t("field.name")}</th><th scope="col">${t("field.user")}</th><th scope="col" class="number">${t("field.memory_used_mib")}</th>
        <th scope="col" class="number">${t("node.swapped")}</th><th scope="col" class="number">${t("plot.cpu")}</th></tr></thead>
      <tbody>${guests.map((guest) => html`<tr key=${guest.vm_id}><th scope="row"><a href=${addressOf("vms", guest.vm_id)}>${guest.name}</a></th><td>${guest.user}</td>
        <td class="number">${mib(guest.used_mib)}</td><td class="number">${mib(guest.swapped_mib)}</td>
        <td class="number">${number(guest.cpu_pct, currentLanguage())} %</td></tr>`)}</tbody></table></div>`}</section>`;
}

/** @param {number} size */
const mib = (size) => mebibytes(size, currentLanguage());

// The versions of an image, and which one desktops start with.
import { size } from "../../core/format.js";
import { images } from "../../core/kinds/images.js";
import { currentLanguage, t } from "../../core/words.js";
import { addressOf } from "../../core/address.js";
import { html } from "../../html.js";
import { perform } from "../actions.js";
import { Moment } from "../cell.js";
import { useResource } from "../resource.js";
import { Trouble } from "../trouble.js";

/** @param {{object: any}} props */
export function ImageParts({ object }) {
  const { data, error, reload } = useResource(`/images/${encodeURIComponent(object.name)}/versions`, (change) => change.kind === "image");
  const head = images.actions[0];
  const use = (/** @type {number} */ version) => perform(images, head, object, { version }).then(reload, () => {});
  return html`<section class="stack"><div class="page-head"><h2>${t("image.versions")}</h2>
    <div class="buttons"><a class="button" href=${addressOf("new", "images", { name: object.name })}>${t("image.new_version")}</a></div></div>
    <${Trouble} error=${error} retry=${reload} />
    ${data && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("image.versions")}><table>
      <thead><tr><th scope="col" class="number">${t("field.version")}</th><th scope="col">${t("field.note")}</th><th scope="col" class="number">${t("field.size_bytes")}</th>
        <th scope="col">${t("field.created_at")}</th><th scope="col" class="actions"><span class="visually-hidden">${t("actions")}</span></th></tr></thead>
      <tbody>${data.items.map((/** @type {any} */ one) => html`<tr key=${one.version}><th scope="row" class="number">${one.version}</th><td>${one.note || "–"}</td>
        <td class="number">${size(one.size_bytes, currentLanguage())}</td><td><${Moment} at=${one.created_at} /></td>
        <td class="actions">${one.version === object.head_version ? html`<span class="badge good">${t("image.in_use")}</span>`
          : html`<button type="button" onClick=${() => use(one.version)}>${t("image.use")}<span class="visually-hidden"> ${one.version}</span></button>`}</td></tr>`)}</tbody></table></div>`}</section>`;
}

// Imports an image from a file of this computer.
import { useState } from "preact/hooks";
import { addressOf, withQuery } from "../../core/address.js";
import { size } from "../../core/format.js";
import { importCommand } from "../../core/kinds/images.js";
import { currentLanguage, t } from "../../core/words.js";
import { html } from "../../html.js";
import { Form, useForm } from "../form.js";
import { CopyLine } from "../same_as.js";
import { changed, go, place, report } from "../store.js";
import { troubleText } from "../trouble.js";
import { upload } from "../upload.js";

/** @type {import("../../core/forms.js").Field[]} */
const FIELDS = [
  { name: "name", type: "text", required: true, help: true },
  { name: "note", type: "text", help: true },
  { name: "add_session", type: "switch", help: true },
];

/** The page: the import goes on if it is left, since it is a task of the strip. */
export function ImportImage() {
  const form = useForm(FIELDS, { name: place.value.query.name ?? "", note: "", add_session: false });
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const { name, note, add_session: addSession } = /** @type {any} */ (form.values);
  const submit = async () => {
    if (!file) return;
    go(addressOf("images"), { replace: true });
    await send(name, note, addSession, file);
  };
  return html`<div class="stack"><p class="crumb"><a href=${addressOf("images")}>${t("kinds.image")}</a></p>
    <h1 tabindex="-1">${t("new.image")}</h1>
    <div class="card narrow"><${Form} kind="image" fields=${FIELDS} form=${form} submit=${submit} cancel=${() => go(addressOf("images"))}
      button=${t("create.image")} disabled=${!file || !name}>
      <div class="field"><label for="image-file">${t("image.file")}</label>
        <input id="image-file" type="file" accept=".tar,.tgz,.gz,.xz,.zst,.bz2" aria-describedby="image-file-help" onChange=${(/** @type {any} */ event) => setFile(event.target.files[0] ?? null)} />
        <div class="help" id="image-file-help">${file ? size(file.size, currentLanguage()) : t("image.file_help")}</div></div>
      <details><summary>${t("same_as")}</summary><div class="same-as"><${CopyLine} label=${t("the_command")} text=${importCommand(name, file?.name ?? "", note, addSession)} /></div></details>
    <//></div></div>`;
}

/**
 * @param {string} name
 * @param {string} note
 * @param {boolean} addSession
 * @param {File} file
 */
async function send(name, note, addSession, file) {
  const key = `import-${name}-${Date.now()}`;
  const url = withQuery(`/api/v1/images/${encodeURIComponent(name)}/versions`, { note, add_session: addSession || undefined });
  const written = (/** @type {number} */ bytes) => size(bytes, currentLanguage());
  const { done, stop } = upload(url, file, (sent) => report({ key,
    share: sent < file.size ? sent / file.size : null,
    note: sent < file.size ? t("image.sending", { sent: written(sent), size: written(file.size) }) : t("image.unpacking") }));
  report({ key, title: t("image.importing", { name }), state: "running", share: 0, note: "", stop });
  try {
    const { version } = await done;
    report({ key, state: "done", share: 1, note: t("image.imported", { version }), link: addressOf("images", name), stop: undefined });
    changed({ kind: "image" });
  } catch (/** @type {any} */ error) {
    const stopped = error.name === "AbortError";
    report({ key, state: "failed", note: stopped ? t("image.stopped") : troubleText(error), stop: undefined });
  }
}

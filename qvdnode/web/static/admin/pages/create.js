// A new object, and the change of one: a form with the same as a command beside it.
import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { addressOf } from "../../core/address.js";
import { bodyOf, changesOf } from "../../core/forms.js";
import { keyOf, pathOf } from "../../core/kinds/kind.js";
import { t } from "../../core/words.js";
import { html } from "../../html.js";
import { Form, useForm } from "../form.js";
import { CopyLine, SameAs } from "../same_as.js";
import { go, report } from "../store.js";

/** @param {{kind: import("../../core/kinds/kind.js").Kind}} props */
export function CreatePage({ kind }) {
  const fields = kind.fields ?? [];
  const form = useForm(fields);
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const body = bodyOf(fields, form.values);
  const path = kind.page === "nodes" ? "/nodes/invite" : kind.path;
  const submit = async () => {
    const made = await call("POST", path, body);
    if (kind.page === "tokens" || kind.page === "nodes") return setSecret(made);
    report({ key: `new-${kind.name}-${made.id}`, title: `${t("created")}: ${kind.title(made)}`, state: "done",
      note: (made.warnings ?? []).join(" ") || t("task.done") });
    go(kind.single ? addressOf(kind.page, keyOf(kind, made)) : addressOf(kind.page), { replace: true });
  };
  const list = addressOf(kind.page);
  return html`<div class="stack">
    <p class="crumb"><a href=${list}>${t(`kinds.${kind.name}`)}</a></p>
    <h1 tabindex="-1">${t(`new.${kind.name}`)}</h1>
    ${secret ? html`<${Secret} kind=${kind} made=${secret} />` : html`<div class="card narrow">
      <${Form} kind=${kind.name} fields=${fields} form=${form} submit=${submit} cancel=${() => go(list)} button=${t(`create.${kind.name}`)}>
        <details><summary>${t("same_as")}</summary><div class="same-as">
          <${SameAs} command=${kind.createCommand?.(body, form.names) ?? ""} call=${{ method: "POST", path, body }} /></div></details>
      <//></div>`}</div>`;
}

/** @param {{kind: any, object: any, onDone: () => void}} props */
export function EditForm({ kind, object, onDone }) {
  const fields = kind.fields.filter((/** @type {any} */ field) => !field.fixed);
  const form = useForm(fields, object);
  const body = changesOf(fields, form.values, object);
  const path = pathOf(kind, keyOf(kind, object));
  const submit = async () => {
    if (Object.keys(body).length) {
      const made = await call("PATCH", path, body);
      report({ key: `edit-${kind.name}-${object.id}`, title: `${t("changed")}: ${kind.title(made)}`, state: "done",
        note: (made.warnings ?? []).join(" ") || t("task.done") });
    }
    onDone();
  };
  return html`<section class="card narrow"><${Form} kind=${kind.name} fields=${fields} form=${form} submit=${submit} cancel=${onDone} button=${t("save")}>
    ${Object.keys(body).length > 0 && html`<details><summary>${t("same_as")}</summary><div class="same-as">
      <${SameAs} command=${kind.changeCommand(object, body)} call=${{ method: "PATCH", path, body }} /></div></details>`}
  <//></section>`;
}

/** What is shown once: an API token, or an invitation. @param {any} props */
const Secret = ({ kind, made }) => html`<div class="card narrow stack" role="status">
  <h2>${t(`secret.${kind.name}`)}</h2>
  <p>${t(`secret.${kind.name}.help`)}</p>
  <div class="same-as"><${CopyLine} text=${made.command ?? made.token} label=${t(`secret.${kind.name}`)} /></div>
  <div class="buttons"><a class="button primary" href=${addressOf(kind.page)}>${t("done")}</a></div></div>`;

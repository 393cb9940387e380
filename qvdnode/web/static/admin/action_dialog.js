// The question before an action: what it asks for, what it destroys, and the same as a command.
import { useState } from "preact/hooks";
import { bodyOf } from "../core/forms.js";
import { hasWord, t } from "../core/words.js";
import { html } from "../html.js";
import { perform, question, taskTitle } from "./actions.js";
import { Dialog } from "./dialog.js";
import { Form, useForm } from "./form.js";
import { SameAs } from "./same_as.js";
import { dismiss } from "./store.js";

/** The open question; nothing if there is none. */
export const Question = () => (question.value
  ? html`<${ActionDialog} key=${question.value.action.name} ...${question.value} />` : null);

/** @param {any} props */
function ActionDialog({ kind, action, row, after }) {
  const fields = action.fields ?? [];
  const form = useForm(fields);
  const [typed, setTyped] = useState("");
  const values = bodyOf(fields, form.values);
  const close = () => { question.value = null; };
  const title = kind.title(row);
  const submit = async () => {
    try {
      await perform(kind, action, row, values);
    } catch (error) {
      dismiss(`${kind.name}-${row.id}-${action.name}`); // the form shows it
      throw error;
    }
    close();
    after?.();
  };
  const text = `confirm.${kind.name}.${action.name}`;
  return html`<${Dialog} title=${taskTitle(kind, action, row)} onClose=${close}>
    ${hasWord(text) && html`<p>${t(text, { name: title })}</p>`}
    <${Form} kind=${kind.name} fields=${fields} form=${form} submit=${submit} cancel=${close}
      button=${t(`action.${action.name}`)} danger=${action.destroys} disabled=${action.destroys && typed !== title}>
      ${action.destroys && html`<${Typed} proof=${title} typed=${typed} onType=${setTyped} />`}
      <details><summary>${t("same_as")}</summary><div class="same-as">
        <${SameAs} command=${action.command(row, values)} call=${action.call(row, values)} /></div></details>
    <//>
  <//>`;
}

/** Asks for the name of what is destroyed. @param {{proof: string, typed: string, onType: (text: string) => void}} props */
export const Typed = ({ proof, typed, onType }) => html`<div class="field"><label for="typed">${t("type_to_confirm", { proof })}</label>
  <input id="typed" value=${typed} autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) => onType(event.target.value)} /></div>`;

/**
 * The actions of a row of a list, each with its command and call.
 * @param {any} props
 */
export function RowActions({ kind, row, actions, onClose, choose }) {
  return html`<${Dialog} title=${kind.title(row)} onClose=${onClose}>
    ${actions.map((/** @type {any} */ action) => html`<section key=${action.name} class="same-as">
      <div class="buttons"><button type="button" class=${action.destroys ? "danger" : ""} onClick=${() => choose(action)}>${t(`action.${action.name}`)}</button></div>
      <details><summary>${t("same_as")}<span class="visually-hidden">: ${t(`action.${action.name}`)}</span></summary>
        <${SameAs} command=${action.command(row, {})} call=${action.call(row, {})} /></details></section>`)}
    <div class="foot"><button type="button" onClick=${onClose}>${t("close")}</button></div>
  <//>`;
}

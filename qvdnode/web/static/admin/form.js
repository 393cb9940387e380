// A form of fields with the server's own sentence at the field that it refuses.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { initialValues } from "../core/forms.js";
import { Problem, fieldErrors } from "../core/problem.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { Reference } from "./reference.js";
import { choiceText } from "./cell.js";
import { Trouble } from "./trouble.js";

const MANY = 6;

/**
 * @typedef {import("../core/forms.js").Field} Field
 * @typedef {object} FormState
 * @property {Record<string, string | boolean>} values
 * @property {Record<string, string>} names of the objects that references chose
 * @property {(name: string, value: string | boolean, chosen?: string) => void} set
 */

/**
 * @param {Field[]} fields
 * @param {any} [object] what is edited
 * @returns {FormState}
 */
export function useForm(fields, object) {
  const [values, setValues] = useState(() => initialValues(fields, object));
  const [names, setNames] = useState(/** @type {Record<string, string>} */ ({}));
  /** @type {FormState["set"]} */
  const set = (name, value, chosen) => {
    setValues((before) => ({ ...before, [name]: value }));
    if (chosen !== undefined) setNames((before) => ({ ...before, [name]: chosen }));
  };
  return { values, names, set };
}

/**
 * @param {{kind: string, fields: Field[], form: FormState, submit: () => Promise<void>, button: string,
 *   cancel: () => void, danger?: boolean, disabled?: boolean, children?: any}} props
 */
export function Form({ kind, fields, form, submit, button, cancel, danger, disabled, children }) {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const [busy, setBusy] = useState(false);
  const box = useRef(/** @type {HTMLFormElement | null} */ (null));
  const wrong = error instanceof Problem ? fieldErrors(error, fields.map((field) => field.name)) : {};
  useEffect(() => {
    const first = box.current?.querySelector("[aria-invalid=true]");
    if (first instanceof HTMLElement) {
      first.closest("details")?.setAttribute("open", "");
      first.focus();
    }
  }, [error]);
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await submit();
    } catch (/** @type {any} */ problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const draw = (/** @type {Field} */ field) =>
    html`<${FormField} key=${field.name} kind=${kind} field=${field} form=${form} wrong=${wrong[field.name]} />`;
  const folded = fields.filter((field) => field.advanced);
  return html`<form class=${fields.length > MANY ? "form columns" : "form"} ref=${box} onSubmit=${send} novalidate>
    ${fields.filter((field) => !field.advanced).map(draw)}
    ${folded.length > 0 && html`<details><summary>${t("more_settings")}</summary><div class="form columns">${folded.map(draw)}</div></details>`}
    ${error && !Object.keys(wrong).length && html`<${Trouble} error=${error} />`}
    ${children}
    <div class="foot"><button type="button" onClick=${cancel}>${t("cancel")}</button>
      <button type="submit" class=${danger ? "primary danger" : "primary"} disabled=${busy || disabled}>${button}</button></div></form>`;
}

/** @param {{kind: string, field: Field, form: FormState, wrong?: string}} props */
export function FormField({ kind, field, form, wrong }) {
  const id = useId();
  const described = [field.help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  const attributes = {
    id, name: field.name, required: field.required, disabled: false,
    "aria-invalid": wrong ? "true" : undefined, "aria-describedby": described || undefined,
  };
  const isSwitch = field.type === "switch";
  const label = html`<label for=${id}>${t(`field.${field.name}`)}${field.required || isSwitch || field.initial !== undefined ? "" : html` <span class="muted">${t("optional")}</span>`}</label>`;
  const input = html`<${Input} field=${field} form=${form} attributes=${attributes} />`;
  return html`<div class=${isSwitch ? "field switch" : "field"}>
    ${isSwitch ? html`${input}${label}` : html`${label}<div class="with-unit">${input}${field.unit && html`<span class="muted">${field.unit}</span>`}</div>`}
    ${field.help && html`<div class="help" id=${`${id}-help`}>${t(`help.${kind}.${field.name}`)}</div>`}
    ${wrong && html`<div class="wrong" id=${`${id}-wrong`}>${wrong}</div>`}</div>`;
}

/** @param {{field: Field, form: FormState, attributes: any}} props */
function Input({ field, form, attributes }) {
  const value = form.values[field.name];
  const type = (/** @type {any} */ event) => form.set(field.name, event.target.value);
  switch (field.type) {
    case "switch":
      return html`<input ...${attributes} type="checkbox" required=${false} checked=${value}
        onChange=${(/** @type {any} */ event) => form.set(field.name, event.target.checked)} />`;
    case "choice":
      return html`<select ...${attributes} value=${value} onChange=${type}>
        ${(field.values ?? []).map((one) => html`<option key=${one} value=${one}>${choiceText(one)}</option>`)}</select>`;
    case "reference":
      return html`<${Reference} of=${field.of} value=${value} valueKey=${field.value} attributes=${attributes}
        empty=${t(field.required ? "choose" : "none")}
        onChange=${(/** @type {string} */ chosen, /** @type {string} */ name) => form.set(field.name, chosen, name)} />`;
    default:
      return html`<input ...${attributes} type=${field.type === "password" ? "password" : "text"} value=${value}
        inputmode=${field.type === "number" ? "numeric" : undefined} autocomplete=${field.type === "password" ? "new-password" : "off"}
        spellcheck=${false} onInput=${type} />`;
  }
}

// The filters above a list. What they say stands in the address.
import { useEffect, useState } from "preact/hooks";
import { hasWord, t } from "../core/words.js";
import { html } from "../html.js";
import { Reference } from "./reference.js";

const PAUSE_MS = 250;

/**
 * @param {{kind: import("../core/kinds/kind.js").Kind, query: Record<string, string>,
 *   onChange: (changes: Record<string, string>) => void}} props
 */
export const Filters = ({ kind, query, onChange }) => {
  if (!kind.searchable && !kind.filters.length) return null;
  return html`<form class="filters" role="search" aria-label=${t(`kinds.${kind.name}`)} onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    ${kind.searchable && html`<${TextFilter} wide name="q" label=${t("begins_with")} value=${query.q ?? ""} onChange=${onChange} />`}
    ${kind.filters.map((filter) => html`<${OneFilter} key=${filter.name} filter=${filter} value=${query[filter.name] ?? ""} onChange=${onChange} />`)}
  </form>`;
};

/** @param {any} props */
function OneFilter({ filter, value, onChange }) {
  const id = `filter-${filter.name}`;
  const label = t(`field.${filter.name}`);
  const set = (/** @type {string} */ chosen) => onChange({ [filter.name]: chosen });
  switch (filter.type) {
    case "text":
      return html`<${TextFilter} name=${filter.name} label=${label} value=${value} onChange=${onChange} />`;
    case "switch":
      return html`<div class="field switch"><input id=${id} type="checkbox" checked=${value === "true"}
        onChange=${(/** @type {any} */ event) => set(event.target.checked ? "true" : "")} /><label for=${id}>${label}</label></div>`;
    case "reference":
      return html`<div class="field"><label for=${id}>${label}</label>
        <${Reference} of=${filter.of} value=${value} attributes=${{ id }} empty=${t("all")} onChange=${set} /></div>`;
    default:
      return html`<div class="field"><label for=${id}>${label}</label>
        <select id=${id} value=${value} onChange=${(/** @type {any} */ event) => set(event.target.value)}>
          <option value="">${t("all")}</option>
          ${filter.values.map((/** @type {string} */ one) => html`<option key=${one} value=${one}>${wordOf(one)}</option>`)}</select></div>`;
  }
}

/** @param {string} value */
const wordOf = (value) => [`state.${value}`, `kind.${value}`].map((key) => (hasWord(key) ? t(key) : "")).find(Boolean) ?? value;

/** @param {any} props */
function TextFilter({ name, label, value, onChange, wide }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onChange({ [name]: text }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const id = `filter-${name}`;
  return html`<div class=${wide ? "field wide" : "field"}><label for=${id}>${label}</label>
    <input id=${id} type="search" value=${text} autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></div>`;
}

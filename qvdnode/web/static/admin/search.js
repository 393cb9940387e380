// Search over everything: a combobox whose options are objects and pages.
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api.js";
import { addressOf, withQuery } from "../core/address.js";
import { KINDS } from "../core/kinds/index.js";
import { matchesWord, optionsOf } from "../core/search.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { Icon } from "./icons.js";
import { go } from "./store.js";

const PAUSE_MS = 120;

export function Search() {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [options, setOptions] = useState(/** @type {any[]} */ ([]));
  const [chosen, setChosen] = useState(0);
  const [failed, setFailed] = useState(false);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (!text.trim()) return setOptions([]);
    const timer = setTimeout(() => find(text.trim()).then(
      (found) => { setOptions(found); setChosen(0); setFailed(false); }, () => setFailed(true)), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== "k") return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const pick = (/** @type {any} */ option) => {
    setOpen(false);
    setText("");
    input.current?.blur();
    go(option.to);
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChosen((chosen + step + options.length) % Math.max(1, options.length));
    } else if (event.key === "Enter" && options[chosen]) pick(options[chosen]);
    else if (event.key === "Escape") setOpen(false);
  };
  const shown = open && text.trim() !== "";
  return html`<div class="search"><${Icon} name="search" />
    <label class="visually-hidden" for="search">${t("search")}</label>
    <input id="search" ref=${input} type="search" role="combobox" autocomplete="off" spellcheck=${false} placeholder=${t("search_hint")} value=${text}
      aria-expanded=${String(shown)} aria-controls="found" aria-autocomplete="list" aria-activedescendant=${shown && options[chosen] ? `found-${chosen}` : undefined}
      onInput=${(/** @type {any} */ event) => { setText(event.target.value); setOpen(true); }} onKeyDown=${press}
      onFocus=${() => setOpen(true)} onBlur=${() => setTimeout(() => setOpen(false), 150)} />
    ${shown && html`<div class="found">${options.length ? null : html`<p class="muted" role="status">${t(failed ? "search_failed" : "nothing_found")}</p>`}
      <div id="found" role="listbox" aria-label=${t("search")}>${options.map((option, index) => html`<div key=${option.to} id=${`found-${index}`} role="option"
        aria-selected=${String(index === chosen)} onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => pick(option)}>
        <span>${option.text}${option.detail && html` <span class="muted">${option.detail}</span>`}</span><span class="muted">${t(option.kind)}</span></div>`)}</div></div>`}</div>`;
}

/** @param {string} text */
async function find(text) {
  const pages = Object.values(KINDS).filter((kind) => matchesWord(t(`kinds.${kind.name}`), text))
    .map((kind) => ({ text: t(`kinds.${kind.name}`), kind: "kind.page", to: addressOf(kind.page) }));
  const news = Object.values(KINDS).filter((kind) => kind.fields && matchesWord(t(`new.${kind.name}`), text))
    .map((kind) => ({ text: t(`new.${kind.name}`), kind: "kind.action", to: addressOf("new", kind.page) }));
  const found = await call("GET", withQuery("/search", { q: text }));
  return [...optionsOf(found), ...pages, ...news];
}

// A view whose code is loaded when it is first shown: the first view of the page is there sooner.
import { useEffect, useState } from "preact/hooks";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { Trouble } from "./trouble.js";

/** @type {Map<() => Promise<any>, any>} */
const loaded = new Map();

/**
 * @param {{load: () => Promise<any>, props?: any, onShown: () => void}} given load gives the component;
 *   onShown is called once it is drawn
 */
export function Lazy({ load, props, onShown }) {
  const [view, setView] = useState(() => loaded.get(load) ?? null);
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useEffect(() => {
    if (loaded.has(load)) return;
    load().then((component) => {
      loaded.set(load, component);
      setView(() => component);
    }, setError);
  }, []);
  useEffect(() => { if (view) onShown(); }, [view]);
  if (view) return html`<${view} ...${props ?? {}} />`;
  if (error) return html`<${Trouble} error=${error} retry=${() => location.reload()} />`;
  return html`<p class="muted">${t("loading")}</p>`;
}

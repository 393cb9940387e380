// One value as a list or a view of one object shows it.
import { addressOf } from "../core/address.js";
import { ago, dateTime, mebibytes, number, size } from "../core/format.js";
import { currentLanguage, hasWord, t } from "../core/words.js";
import { html } from "../html.js";

const TONES = /** @type {Record<string, string>} */ ({
  running: "good", connected: "good", active: "good", up: "good", alive: "good",
  failed: "bad", dead: "bad", fenced: "bad", left: "bad",
  preparing: "warn", booting: "warn", stopping: "warn", killing: "warn", cleaning: "warn",
  starting: "warn", suspending: "warn", listening: "warn", joining: "warn", draining: "warn",
  hibernated: "accent", suspended: "accent", stay: "warn", move: "warn",
});

/**
 * @param {{column: import("../core/kinds/kind.js").Column, row: any}} props
 */
export function Cell({ column, row }) {
  const value = row[column.name];
  if (value === null || value === undefined || value === "") return html`<span class="muted">–</span>`;
  const language = currentLanguage();
  switch (column.type) {
    case "link": return html`<${ObjectLink} to=${column.to?.(row)} text=${String(value)} />`;
    case "state": return html`<${State} state=${value} />`;
    case "number": return number(value, language);
    case "mib": return mebibytes(value, language);
    case "bytes": return size(value, language);
    case "moment": return html`<${Moment} at=${value} />`;
    case "time": return html`<time datetime=${value}>${dateTime(value, language)}</time>`;
    case "choice": return choiceText(value);
    case "switch": return value ? t("yes") : html`<span class="muted">${t("no")}</span>`;
    case "code": return html`<code class="long" title=${written(value)}>${written(value)}</code>`;
    default: return Array.isArray(value) ? value.join(", ") || "–" : String(value);
  }
}

/** A value of a choice in words. @param {string} value */
export const choiceText = (value) => (hasWord(`choice.${value}`) ? t(`choice.${value}`) : value);

/** @param {unknown} value */
const written = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** @param {{to: [string, string | number] | null | undefined, text: string}} props */
const ObjectLink = ({ to, text }) => (to ? html`<a href=${addressOf(...to)}>${text}</a>` : text);

/** @param {{state: string}} props */
export const State = ({ state }) => html`<span class=${`badge ${TONES[state] ?? ""}`}>${
  hasWord(`state.${state}`) ? t(`state.${state}`) : state}</span>`;

/** A time as "3 minutes ago", and in full for who points at it. @param {{at: string}} props */
export const Moment = ({ at }) => html`<time datetime=${at} title=${dateTime(at, currentLanguage())}>${
  ago(at, Date.now(), currentLanguage())}</time>`;

// Beside an action: the same as a command of `qvd` and as a call of the API.
import { useState } from "preact/hooks";
import { curl } from "../core/commands.js";
import { t } from "../core/words.js";
import { html } from "../html.js";

const COPIED_MS = 2_000;

/** @param {{text: string, label: string}} props */
export function CopyLine({ text, label }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return html`<div class="line"><code>${text}</code>
    <button type="button" class="plain" aria-label=${t("copy_what", { what: label })} onClick=${copy}>${copied ? t("copied") : t("copy")}</button></div>`;
}

/** @param {{command: string, call: import("../core/commands.js").Call}} props */
export const SameAs = ({ command, call }) => html`<div class="each">
  <${CopyLine} text=${command} label=${t("the_command")} />
  <${CopyLine} text=${curl(shown(call), location.origin)} label=${t("the_call")} /></div>`;

/**
 * A call with secrets left out.
 * @param {import("../core/commands.js").Call} call
 */
const shown = (call) => (call.body && "password" in call.body
  ? { ...call, body: { ...call.body, password: "…" } } : call);

/** @param {{lines: {title: string, command: string, call: any}[]}} props */
export const SameAsList = ({ lines }) => (lines.length ? html`<details class="card">
  <summary>${t("same_as")}</summary>
  <div class="same-as">${lines.map((line) => html`<div class="each" key=${line.title}>
    <h3>${line.title}</h3><${SameAs} command=${line.command} call=${line.call} /></div>`)}</div></details>` : null);

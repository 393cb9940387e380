// An error as people read it: what happened, what the server says, what to do.
import { Problem, Unreachable } from "../core/problem.js";
import { hasWord, t } from "../core/words.js";
import { html } from "../html.js";

/** The error in a sentence or two. @param {Error} error */
export function troubleText(error) {
  if (error instanceof Unreachable) return t("problem.unreachable");
  if (error instanceof Problem) {
    const head = `problem.${error.code}`;
    return hasWord(head) ? `${t(head)} ${error.message}` : error.message;
  }
  return t("problem.page", { text: error.message });
}

/** @param {{error: Error | null, retry?: () => void}} props */
export const Trouble = ({ error, retry }) => (error ? html`<div class="notice bad" role="alert">
  <span class="grow">${troubleText(error)}${error instanceof Problem && error.status >= 500 && error.correlation
    ? html` <span class="muted">${t("problem.correlation", { id: error.correlation })}</span>` : null}</span>
  ${retry && html`<button type="button" onClick=${retry}>${t("try_again")}</button>`}</div>` : null);

// Chooses the language of the page; nothing is loaded again.
import { t } from "../core/words.js";
import { html } from "../html.js";
import { LANGUAGES, language, useLanguage } from "../language.js";

export const LanguageChoice = () => html`<label class="language"><span class="visually-hidden">${t("language")}</span>
  <select value=${language.value} onChange=${(/** @type {any} */ event) => useLanguage(event.target.value)}>
    ${Object.entries(LANGUAGES).map(([name, title]) => html`<option key=${name} value=${name} lang=${name}>${title}</option>`)}</select></label>`;

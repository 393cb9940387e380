// Loads the words of a language and remembers the choice in this browser.
import { signal } from "@preact/signals";
import { bestLanguage, setWords } from "./core/words.js";

export const LANGUAGES = { en: "English", es: "Español" };
const KEY = "qvd-language";

/** The language in use; a view that reads it is drawn again when it changes. */
export const language = signal("");

/** Use the language chosen before, or else the browser's. */
export const startLanguage = () =>
  useLanguage(remembered() ?? bestLanguage(navigator.languages, Object.keys(LANGUAGES)));

/** @param {string} name a key of LANGUAGES */
export async function useLanguage(name) {
  const answer = await fetch(new URL(`./i18n/${name}.json`, import.meta.url));
  setWords(await answer.json(), name);
  document.documentElement.lang = name;
  localStorage.setItem(KEY, name);
  language.value = name;
}

function remembered() {
  const name = localStorage.getItem(KEY);
  return name !== null && name in LANGUAGES ? name : null;
}

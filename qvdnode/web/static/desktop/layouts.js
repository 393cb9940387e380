// Which keyboard the user has. Pure; `node --test tests/web` runs it.

/** Layouts of X that can be chosen, by the name that people know. */
export const LAYOUTS = {
  es: "Español", latam: "Español (Latinoamérica)", us: "English (US)", gb: "English (UK)", de: "Deutsch",
  fr: "Français", it: "Italiano", pt: "Português", br: "Português (Brasil)", ru: "Русский", be: "Belgique",
  ch: "Schweiz", pl: "Polski", se: "Svenska", dk: "Dansk", no: "Norsk", fi: "Suomi", nl: "Nederlands",
  cz: "Čeština", gr: "Ελληνικά", tr: "Türkçe", ua: "Українська",
};

// What the keys of a board that tell it apart have on them.
/** @type {[string, Record<string, string>][]} */
const SIGNS = [
  ["ru", { KeyQ: "й" }],
  ["ua", { KeyQ: "й", KeyS: "і" }],
  ["fr", { KeyQ: "a", KeyA: "q", Digit2: "é" }],
  ["be", { KeyQ: "a", KeyA: "q", Digit2: "é", Equal: "-" }],
  ["de", { KeyZ: "y", Semicolon: "ö" }],
  ["es", { Semicolon: "ñ", Backquote: "º" }],
  ["latam", { Semicolon: "ñ", Backquote: "|" }],
  ["br", { Semicolon: "ç" }],
  ["pt", { Semicolon: "ç", Backquote: "\\" }],
  ["it", { Semicolon: "ò" }],
  ["se", { Semicolon: "ö", KeyZ: "z" }],
  ["dk", { Semicolon: "æ" }],
  ["no", { Semicolon: "ø" }],
  ["gb", { Semicolon: ";", Backslash: "#" }],
  ["us", { Semicolon: ";", Backslash: "\\", KeyQ: "q" }],
];

/** @type {Record<string, string>} */
const OF_LANGUAGE = {
  es: "es", en: "us", de: "de", fr: "fr", it: "it", pt: "pt", ru: "ru", pl: "pl", sv: "se", da: "dk",
  nb: "no", nn: "no", no: "no", fi: "fi", nl: "us", cs: "cz", el: "gr", tr: "tr", uk: "ua",
};
/** @type {Record<string, string>} */
const OF_REGION = {
  "en-GB": "gb", "en-IE": "gb", "pt-BR": "br", "de-CH": "ch", "fr-CH": "ch", "fr-BE": "be", "nl-BE": "be",
};
const SPAIN = new Set(["es", "es-ES", "ca", "ca-ES", "gl", "gl-ES", "eu", "eu-ES"]);

/**
 * The layout whose signs are on the keys; the one with most signs wins. Null if none fits.
 * @param {(code: string) => string | undefined} sign what a key has on it
 */
export function layoutOfKeys(sign) {
  let best = null;
  let most = 0;
  for (const [layout, signs] of SIGNS) {
    const entries = Object.entries(signs);
    if (entries.length > most && entries.every(([code, char]) => sign(code) === char)) {
      best = layout;
      most = entries.length;
    }
  }
  return best;
}

/** A guess by the browser's language. @param {string} language such as `es-ES` */
export function layoutOfLanguage(language) {
  if (SPAIN.has(language)) return "es";
  if (language in OF_REGION) return OF_REGION[language];
  const base = language.split("-")[0];
  if (base === "es") return "latam";
  return OF_LANGUAGE[base] ?? "us";
}

// The words of the page in the reader's language. Pure: the table is given by who loads it.

/** @type {Record<string, string>} */
let words = {};
let language = "en";

/**
 * Use a table of words from now on.
 * @param {Record<string, string>} table key to sentence, with {name} where values go
 * @param {string} name the language's tag, such as `es`
 */
export function setWords(table, name) {
  words = table;
  language = name;
}

/** The tag of the language in use. */
export const currentLanguage = () => language;

/**
 * The sentence of a key; a missing one shows its key.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) =>
    name in values ? String(values[name]) : whole);
}

/** Whether the language has a word for a key. @param {string} key */
export const hasWord = (key) => key in words;

/**
 * The sentence for a count: `key.one` or `key.other`, with {count} written as the language does.
 * @param {string} key
 * @param {number} count
 * @param {Record<string, unknown>} [values]
 */
export function tn(key, count, values = {}) {
  const form = new Intl.PluralRules(language).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { count: new Intl.NumberFormat(language).format(count), ...values });
}

/**
 * The first of the wanted languages that there is; the first that there is if none is wanted.
 * @param {readonly string[]} wanted tags such as `es-MX`, best first
 * @param {readonly string[]} available
 */
export function bestLanguage(wanted, available) {
  for (const tag of wanted) {
    const short = tag.toLowerCase().split("-")[0];
    if (available.includes(short)) return short;
  }
  return available[0];
}

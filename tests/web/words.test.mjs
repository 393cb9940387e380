// Words, numbers and times as people read them.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { ago, dateTime, mebibytes, size } from "../../qvdnode/web/static/core/format.js";
import { KINDS } from "../../qvdnode/web/static/core/kinds/index.js";
import { bestLanguage, hasWord, setWords, t, tn } from "../../qvdnode/web/static/core/words.js";

const STATIC = new URL("../../qvdnode/web/static/", import.meta.url);
const words = (name) => JSON.parse(readFileSync(new URL(`i18n/${name}.json`, STATIC), "utf8"));
const [en, es] = [words("en"), words("es")];

/** Sources of all pages. */
const SOURCES = ["", "core/", "core/kinds/", "admin/", "admin/pages/", "my/", "desktop/"]
  .filter((folder) => existsSync(new URL(folder, STATIC))).flatMap((folder) =>
    readdirSync(new URL(folder, STATIC)).filter((name) => name.endsWith(".js"))
      .map((name) => readFileSync(new URL(folder + name, STATIC), "utf8")));
const SAID = new Set(SOURCES.flatMap((source) => [...source.matchAll(/\btn?\("([^"]+)"/g)].map((found) => found[1])));

test("a word that is missing shows its key", () => {
  setWords({}, "en");
  assert.equal(t("nothing"), "nothing");
  assert.equal(hasWord("nothing"), false);
});

test("values go into sentences, and an unknown one stays visible", () => {
  setWords({ both: "{a} and {b}" }, "en");
  assert.equal(t("both", { a: 1 }), "1 and {b}");
});

test("a count chooses the sentence and is written as the language does", () => {
  setWords(es, "es");
  assert.equal(tn("found", 1), "1 encontrado");
  assert.equal(tn("found", 12345), "12.345 encontrados");
});

test("both languages have the same words and the same values in them", () => {
  const names = (sentence) => (sentence.match(/\{\w+\}/g) ?? []).sort();
  assert.deepEqual(Object.keys(es).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(names(es[key]), names(en[key]), key);
});

test("no word is empty", () => {
  for (const table of [en, es]) for (const [key, sentence] of Object.entries(table)) assert.ok(sentence.trim(), key);
});

test("every word that a view says by name is there", () => {
  assert.ok(SAID.size > 100);
  const missing = [...SAID].filter((key) => !(key in en) && !(`${key}.other` in en));
  assert.deepEqual(missing, []);
});

test("every kind has words for all that it shows and does", () => {
  const wanted = Object.values(KINDS).flatMap((kind) => [
    `kind.${kind.name}`, `kinds.${kind.name}`, `empty.${kind.name}`, `empty.${kind.name}.help`,
    ...(kind.fields ? [`new.${kind.name}`, `create.${kind.name}`] : []),
    ...[...kind.columns, ...(kind.facts ?? []), ...kind.filters, ...(kind.fields ?? [])].map((one) => `field.${one.name}`),
    ...(kind.fields ?? []).filter((field) => field.help).map((field) => `help.${kind.name}.${field.name}`),
    ...kind.filters.flatMap((filter) => (filter.name === "state" ? filter.values.map((one) => `state.${one}`) : [])),
    ...kind.actions.flatMap((action) => [
      `action.${action.name}`,
      ...(action.fields ?? []).flatMap((field) => [`field.${field.name}`, ...(field.help ? [`help.${kind.name}.${field.name}`] : [])]),
      ...(action.confirm || action.destroys ? [`confirm.${kind.name}.${action.name}`] : []),
    ]),
  ]);
  assert.deepEqual([...new Set(wanted)].filter((key) => !(key in en)), []);
});

test("no word is left that nothing says", () => {
  const text = SOURCES.join("\n");
  const patterns = [...text.matchAll(/`([\w.]*(?:\$\{[^}]+\}[\w.]*)+)`/g)].map((found) =>
    new RegExp(`^${found[1].replaceAll(".", "\\.").replace(/\$\{[^}]+\}/g, "[\\w-]+")}(\\.(one|other))?$`))
    .filter((pattern) => /^\^[a-z]/.test(pattern.source));
  const isSaid = (key) => text.includes(`"${key}"`) || text.includes(`"${key.replace(/\.(one|other)$/, "")}"`) ||
    patterns.some((pattern) => pattern.test(key));
  assert.deepEqual(Object.keys(en).filter((key) => !isSaid(key)), []);
});

test("the browser's first language that there is", () => {
  assert.equal(bestLanguage(["ca", "es-ES", "en"], ["en", "es"]), "es");
  assert.equal(bestLanguage(["xx"], ["en", "es"]), "en");
});

test("sizes have binary units", () => {
  assert.equal(size(0, "en"), "0 B");
  assert.equal(size(1536, "en"), "1.5 KiB");
  assert.equal(mebibytes(1024, "en"), "1 GiB");
  assert.equal(size(-2048, "es"), "-2 KiB");
  assert.equal(size(5e15, "en"), "4,547 TiB");
});

test("times are told from now, in the reader's language", () => {
  const now = Date.parse("2026-05-01T12:00:00Z");
  assert.equal(ago("2026-05-01T11:57:00Z", now, "en"), "3 minutes ago");
  assert.equal(ago("2026-05-02T12:00:00Z", now, "es"), "mañana");
  assert.equal(ago("2020-05-01T12:00:00Z", now, "en"), "6 years ago");
  assert.match(dateTime("2026-05-01T12:00:00Z", "en", "Europe/Madrid"), /2:00:00/);
});

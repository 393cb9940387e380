// Every word of the users' pages is there in every language, and every word that they say exists.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { WORDS, choose, word } from "../../qvdnode/web/static/my/words.js";

const FILES = ["my/my.js", "my/dom.js", "my/files.js", "desktop/desktop.js", "desktop/bar.js", "desktop/assistance.js"];
const said = FILES.map((file) => readFileSync(new URL(`../../qvdnode/web/static/${file}`, import.meta.url), "utf8")).join("\n");
const gaps = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

test("all languages have the same words, with the same gaps", () => {
  for (const [language, words] of Object.entries(WORDS)) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(WORDS.en).sort(), language);
    for (const [key, text] of Object.entries(words)) assert.deepEqual(gaps(text), gaps(WORDS.en[key]), `${language} ${key}`);
  }
});

test("the pages say nothing that is missing, and no word is left over", () => {
  const used = new Set([...said.matchAll(/(?:say|button)\("(\w+)"/g)].map((found) => found[1]));
  for (const [, first, second] of said.matchAll(/\? "(\w+)" : "(\w+)"\)/g)) used.add(first).add(second);
  for (const prefix of ["busy_", "state_", "sure_", "end_"]) for (const key of Object.keys(WORDS.en)) if (key.startsWith(prefix)) used.add(key);
  for (const key of used) if (!["desktop", "application"].includes(key)) assert.ok(key in WORDS.en, key);
  assert.deepEqual(Object.keys(WORDS.en).filter((key) => !used.has(key)), []);
});

test("a language is chosen by what the user reads", () => {
  assert.equal(choose(["ca", "es-MX", "en"]), "es");
  assert.equal(choose(["xx"]), "en");
  assert.equal(word("es", "logged_in_as", { name: "Ana" }), "Sesión de Ana");
  assert.throws(() => word("en", "nothing"));
});

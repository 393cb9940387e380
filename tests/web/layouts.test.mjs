// Which keyboard layout a user gets who has chosen none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LAYOUTS, layoutOfKeys, layoutOfLanguage } from "../../qvdnode/web/static/desktop/layouts.js";

const BOARDS = {
  es: { KeyQ: "q", KeyA: "a", KeyZ: "z", Semicolon: "ñ", Backquote: "º", Backslash: "ç", Digit2: "2" },
  us: { KeyQ: "q", KeyA: "a", KeyZ: "z", Semicolon: ";", Backquote: "`", Backslash: "\\", Digit2: "2" },
  gb: { KeyQ: "q", KeyA: "a", KeyZ: "z", Semicolon: ";", Backquote: "`", Backslash: "#", Digit2: "2" },
  de: { KeyQ: "q", KeyA: "a", KeyZ: "y", Semicolon: "ö", Backquote: "^", Backslash: "#", Digit2: "2" },
  fr: { KeyQ: "a", KeyA: "q", KeyZ: "w", Semicolon: "m", Backquote: "²", Backslash: "*", Digit2: "é", Equal: "=" },
  ru: { KeyQ: "й", KeyA: "ф", KeyS: "ы", KeyZ: "я", Semicolon: "ж", Backquote: "ё", Backslash: "\\", Digit2: "2" },
  pt: { KeyQ: "q", KeyA: "a", KeyZ: "z", Semicolon: "ç", Backquote: "\\", Backslash: "~", Digit2: "2" },
};

test("boards are told apart by what is on their keys", () => {
  for (const [layout, board] of Object.entries(BOARDS)) assert.equal(layoutOfKeys((code) => board[code]), layout);
  assert.equal(layoutOfKeys(() => undefined), null);
});

test("the browser's language is a guess", () => {
  const guesses = { "es-ES": "es", es: "es", "es-MX": "latam", "ca-ES": "es", "en-US": "us", "en-GB": "gb", "pt-BR": "br", "pt-PT": "pt", "de-AT": "de", "de-CH": "ch", "ja-JP": "us", "": "us" };
  for (const [language, layout] of Object.entries(guesses)) assert.equal(layoutOfLanguage(language), layout, language);
});

test("every guess can be chosen", () => {
  for (const language of ["es", "en", "de", "fr", "it", "pt", "ru", "pl", "sv", "da", "nb", "fi", "nl", "cs", "el", "tr", "uk"])
    assert.ok(layoutOfLanguage(language) in LAYOUTS, language);
});

// The rules of the desktop's keyboard, without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Keys, isPaste } from "../../qvdnode/web/static/desktop/keys.js";

const fact = (code, more = {}) => ({ code, key: code.slice(-1).toLowerCase(), shift: false, ctrl: false, alt: false, altgr: false, meta: false, at: 0, ...more });

test("a key goes down and up by its place, whatever it means here", () => {
  const keys = new Keys();
  assert.deepEqual(keys.press(fact("KeyQ", { key: "й" })), [["KeyQ", true]]);
  assert.deepEqual(keys.press(fact("KeyQ", { key: "й" })), [["KeyQ", true]], "a repetition");
  assert.deepEqual(keys.release(fact("KeyQ")), [["KeyQ", false]]);
  assert.deepEqual(keys.release(fact("KeyQ")), [], "let go once");
});

test("a dead key is tapped, since its release may never come", () => {
  const keys = new Keys();
  assert.deepEqual(keys.press(fact("Quote", { key: "Dead" })), [["Quote", true], ["Quote", false]]);
  assert.deepEqual(keys.release(fact("Quote", { key: "Dead" })), []);
});

test("a Shift whose release was lost is let go at the next event", () => {
  const keys = new Keys();
  keys.press(fact("ShiftLeft", { key: "Shift", shift: true }));
  keys.press(fact("Quote", { key: "Dead", shift: true }));
  assert.deepEqual(keys.press(fact("KeyU")), [["ShiftLeft", false], ["KeyU", true]]);
});

test("a mouse event lets go, too", () => {
  const keys = new Keys();
  keys.press(fact("ControlLeft", { key: "Control", ctrl: true }));
  assert.deepEqual(keys.agree(fact("")), [["ControlLeft", false]]);
  assert.deepEqual(keys.agree(fact("")), []);
});

test("AltGr stays down for the key that it is for", () => {
  const keys = new Keys();
  keys.press(fact("AltRight", { key: "AltGraph" }));
  assert.deepEqual(keys.press(fact("KeyE", { key: "€", altgr: true })), [["KeyE", true]]);
  assert.deepEqual(keys.release(fact("AltRight")), [["AltRight", false]]);
});

test("the Ctrl that Windows puts before an AltGr does not reach the desktop", () => {
  const keys = new Keys({ windows: true });
  assert.deepEqual(keys.press(fact("ControlLeft", { key: "Control", ctrl: true, at: 100 })), []);
  assert.deepEqual(keys.press(fact("AltRight", { key: "AltGraph", ctrl: true, altgr: true, at: 101 })), [["AltRight", true]]);
});

test("a Ctrl of its own reaches the desktop before the next key, and at its release", () => {
  const keys = new Keys({ windows: true });
  keys.press(fact("ControlLeft", { key: "Control", ctrl: true, at: 100 }));
  assert.deepEqual(keys.press(fact("KeyC", { ctrl: true, at: 300 })), [["ControlLeft", true], ["KeyC", true]]);
  keys.press(fact("ControlLeft", { key: "Control", ctrl: true, at: 500 }));
  const alone = new Keys({ windows: true });
  alone.press(fact("ControlLeft", { key: "Control", ctrl: true, at: 100 }));
  assert.deepEqual(alone.release(fact("ControlLeft", { at: 400 })), [["ControlLeft", true], ["ControlLeft", false]]);
});

test("on a Mac a key with Command is tapped, since its release never comes", () => {
  const keys = new Keys({ mac: true });
  assert.deepEqual(keys.press(fact("MetaLeft", { key: "Meta", meta: true })), [["MetaLeft", true]]);
  assert.deepEqual(keys.press(fact("KeyC", { meta: true })), [["KeyC", true], ["KeyC", false]]);
});

test("what an input method makes is left to it, and a character without a key goes as text", () => {
  const keys = new Keys();
  assert.deepEqual(keys.press(fact("KeyN", { isComposing: true })), []);
  assert.deepEqual(keys.press(fact("KeyN", { keyCode: 229 })), []);
  assert.deepEqual(keys.press(fact("KeyN", { key: "Process" })), []);
  assert.deepEqual(keys.press(fact("", { key: "😀" })), ["😀"]);
  assert.deepEqual(keys.press(fact("", { key: "Unidentified" })), []);
});

test("everything is let go when the page loses the keyboard", () => {
  const keys = new Keys();
  keys.press(fact("ShiftLeft", { key: "Shift", shift: true }));
  keys.press(fact("KeyA", { shift: true }));
  assert.deepEqual(keys.allUp(), [["ShiftLeft", false], ["KeyA", false]]);
  assert.deepEqual(keys.allUp(), []);
});

test("what asks to paste", () => {
  assert.ok(isPaste(fact("KeyV", { ctrl: true }), false));
  assert.ok(isPaste(fact("KeyV", { ctrl: true, shift: true }), false), "terminals");
  assert.ok(isPaste(fact("Insert", { shift: true }), false));
  assert.ok(isPaste(fact("KeyV", { meta: true }), true));
  assert.ok(!isPaste(fact("KeyV", { meta: true }), false));
  assert.ok(!isPaste(fact("KeyV", { ctrl: true, alt: true }), false));
  assert.ok(!isPaste(fact("KeyC", { ctrl: true }), false));
});

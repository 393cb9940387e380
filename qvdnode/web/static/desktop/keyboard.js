// Takes the keyboard from noVNC, which sends what a key means here; the desktop wants which key it is.
//
// Normally the screen has the focus, and keys go as keys. In text mode a hidden field has it, so that
// input methods and phones can compose; what they make goes as text. A node sends both in order.

import { Keys, isPaste } from "./keys.js";

const PASTE_WAIT_MS = 150;

/**
 * @param {{sendKey: (keysym: number, code: string, down: boolean) => void, focus: (options?: object) => void}} rfb
 * @param {HTMLElement} screen
 * @param {HTMLTextAreaElement} field
 * @param {{type: (text: string) => void, paste: (data: DataTransfer | null) => void}} to
 */
export function takeKeyboard(rfb, screen, field, to) {
  const system = String(/** @type {any} */ (navigator).userAgentData?.platform ?? navigator.platform);
  const mac = /mac|iphone|ipad/i.test(system);
  const keys = new Keys({ mac, windows: /win/i.test(system) });
  const ending = new AbortController();
  let textMode = false;
  /** @type {(() => void) | null} Goes on with a paste whose text is on its way. */
  let pasting = null;

  /** @param {import("./keys.js").Action[]} actions */
  const send = (actions) => {
    for (const action of actions) {
      if (typeof action === "string") to.type(action);
      else rfb.sendKey(0, action[0], action[1]);
    }
  };
  /** @param {any} event of the keyboard or the mouse @returns {any} */
  const factOf = (event) => ({
    code: event.code, key: event.key, keyCode: event.keyCode, isComposing: event.isComposing,
    at: event.timeStamp, shift: event.shiftKey, ctrl: event.ctrlKey, alt: event.altKey, meta: event.metaKey,
    altgr: event.getModifierState?.("AltGraph") ?? false,
  });
  /** @param {Event} event */
  const ours = (event) => {
    event.stopPropagation();
    event.preventDefault();
  };
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const fact = factOf(event);
    if (!isPaste(fact, mac)) {
      ours(event);
      send(keys.press(fact));
      return;
    }
    // Left to the browser, which fires `paste` with the text, but no key if asked to paste twice.
    event.stopPropagation();
    const goOn = () => {
      clearTimeout(late);
      pasting = null;
      send(keys.press(fact));
    };
    const late = setTimeout(goOn, PASTE_WAIT_MS);
    pasting?.();
    pasting = goOn;
  };
  /** @param {KeyboardEvent} event */
  const release = (event) => {
    ours(event);
    pasting?.();
    send(keys.release(factOf(event)));
  };
  // In text mode keys that make characters are the browser's; the others go as keys.
  /** @param {KeyboardEvent} event */
  const makesText = (event) =>
    event.isComposing || event.keyCode === 229 || event.key === "Process" || event.key === "Dead" ||
    ([...event.key].length === 1 && !event.ctrlKey && !event.metaKey);
  const take = () => {
    if (field.value) to.type(field.value);
    field.value = "";
  };
  const options = { capture: true, signal: ending.signal };
  screen.addEventListener("keydown", press, options);
  screen.addEventListener("keyup", release, options);
  field.addEventListener("keydown", (event) => makesText(event) || press(event), options);
  field.addEventListener("keyup", (event) => makesText(event) || release(event), options);
  field.addEventListener("input", (event) => /** @type {InputEvent} */ (event).isComposing || take(), options);
  field.addEventListener("compositionend", take, options);
  document.addEventListener("paste", (event) => {
    if (event.target instanceof HTMLTextAreaElement && event.target !== field) return;
    ours(event);
    to.paste(event.clipboardData);
    pasting?.();
  }, options);
  addEventListener("blur", () => send(keys.allUp()), options);
  screen.addEventListener("mousedown", (event) => {
    send(keys.agree(factOf(event)));
    if (textMode) setTimeout(() => field.focus({ preventScroll: true }));
  }, options);

  return {
    /** @param {boolean} on */
    setTextMode(on) {
      textMode = on;
      send(keys.allUp());
      this.focus();
    },
    focus() {
      (textMode ? field : rfb).focus({ preventScroll: true });
    },
    /** Press these keys one after another and let go of them in reverse. @param {string[]} codes */
    chord(codes) {
      send(keys.allUp());
      send([...codes.map((code) => /** @type {[string, boolean]} */ ([code, true])),
        ...codes.toReversed().map((code) => /** @type {[string, boolean]} */ ([code, false]))]);
      this.focus();
    },
    stop() {
      ending.abort();
    },
  };
}

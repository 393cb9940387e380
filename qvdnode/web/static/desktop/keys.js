// What a keyboard event means for the desktop. Pure: no DOM; `node --test tests/web` runs it.
//
// Keys go by their place on the board: the desktop has the user's layout, so dead keys, AltGr and
// shortcuts are made there, as with a native client. Text that no key stands behind (input methods,
// phones, emoji) goes as text.
//
// Chromium on Linux never reports the release of a dead key, nor of a Shift let go right after it.
// So a dead key is tapped, and the modifiers that are down are compared with what each later event,
// of the mouse too, says about them.

/** @typedef {{code: string, key: string, keyCode?: number, isComposing?: boolean, shift: boolean,
 *   ctrl: boolean, alt: boolean, altgr: boolean, meta: boolean, at: number}} Fact one event */
/** @typedef {[string, boolean] | string} Action a key by its code, down or up; or a text */

/** @type {Record<string, "shift" | "ctrl" | "alt" | "altgr" | "meta">} */
const MODIFIERS = {
  ShiftLeft: "shift", ShiftRight: "shift", ControlLeft: "ctrl", ControlRight: "ctrl",
  AltLeft: "alt", AltRight: "altgr", MetaLeft: "meta", MetaRight: "meta",
};
const IN_COMPOSITION = 229;
// Windows sends AltGr as Ctrl and Alt, with the same time stamp or nearly so.
const ALTGR_WITHIN_MS = 50;

export class Keys {
  /** @param {{mac?: boolean, windows?: boolean}} system what the browser runs on */
  constructor({ mac = false, windows = false } = {}) {
    this.mac = mac;
    this.windows = windows;
    /** @type {Set<string>} */
    this.down = new Set();
    /** @type {number | null} When a Ctrl was pressed that may be half of an AltGr. */
    this.held = null;
  }

  /** @param {Fact} fact @returns {Action[]} */
  press(fact) {
    const actions = this.settle(fact);
    if (fact.isComposing || fact.keyCode === IN_COMPOSITION || fact.key === "Process") return actions;
    if (!fact.code) return isCharacter(fact.key) ? [...actions, fact.key] : actions;
    actions.push(...this.agree(fact));
    if (this.windows && fact.code === "ControlLeft" && !this.down.has("ControlLeft")) {
      this.held = fact.at;
      return actions;
    }
    if (fact.key === "Dead" || this.isSwallowed(fact)) return [...actions, [fact.code, true], [fact.code, false]];
    this.down.add(fact.code);
    return [...actions, [fact.code, true]];
  }

  /** @param {Fact} fact @returns {Action[]} */
  release(fact) {
    const actions = this.settle(fact);
    if (this.down.delete(fact.code)) actions.push([fact.code, false]);
    return [...actions, ...this.agree(fact)];
  }

  /**
   * Let go of modifiers that an event, of the mouse perhaps, says are up.
   * @param {Omit<Fact, "key" | "at">} fact @returns {Action[]}
   */
  agree(fact) {
    /** @type {Action[]} */
    const actions = [];
    for (const code of [...this.down]) {
      const name = MODIFIERS[code];
      if (!name || code === fact.code) continue;
      const held = name === "altgr" ? fact.altgr || fact.alt : fact[name];
      if (held) continue;
      this.down.delete(code);
      actions.push([code, false]);
    }
    return actions;
  }

  /** Let go of everything: the page has lost the keyboard. @returns {Action[]} */
  allUp() {
    /** @type {Action[]} */
    const actions = [...this.down].map((code) => [code, false]);
    this.down.clear();
    this.held = null;
    return actions;
  }

  /** macOS reports no release of a key while Command is down. @param {Fact} fact */
  isSwallowed(fact) {
    return this.mac && fact.meta && !(fact.code in MODIFIERS);
  }

  /** Decide about a Ctrl that was kept back. @param {Fact} fact @returns {Action[]} */
  settle(fact) {
    if (this.held === null) return [];
    const isAltGr = fact.code === "AltRight" && fact.at - this.held < ALTGR_WITHIN_MS;
    this.held = null;
    if (isAltGr) return [];
    // Its release, too, has to find it pressed.
    this.down.add("ControlLeft");
    return [["ControlLeft", true]];
  }
}

/** @param {string | undefined} key */
function isCharacter(key) {
  return key !== undefined && [...key].length === 1;
}

/** Whether the keys ask to paste. @param {Fact} fact @param {boolean} mac */
export function isPaste(fact, mac) {
  if (fact.code === "Insert") return fact.shift && !fact.ctrl && !fact.alt && !fact.meta;
  return fact.code === "KeyV" && (mac ? fact.meta || fact.ctrl : fact.ctrl && !fact.meta) && !fact.alt;
}

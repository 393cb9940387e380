// The bar of the desktop's page: keys that the browser keeps for itself, the clipboard, full screen.
import { make, say } from "../my/dom.js";
import { LAYOUTS } from "./layouts.js";

const NOTICE_MS = 6000;

/**
 * @param {HTMLElement} bar
 * @param {{layout: string, chord: (codes: string[]) => void, textMode: (on: boolean) => void, fullScreen: () => void,
 *   clipboard: () => string, paste: (text: string) => void, setLayout: (layout: string) => void, focus: () => void, files: () => void}} to
 */
export function fillBar(bar, to) {
  const notice = make("div", { id: "notice", role: "status" });
  const button = (/** @type {string} */ key, /** @type {() => void} */ work) => make("button", { type: "button", id: `bar-${key}`, click: work }, say(key));
  const text = /** @type {HTMLTextAreaElement} */ (make("textarea", { id: "clipboard-text", rows: "6", "aria-label": say("clipboard_help") }));
  const dialog = /** @type {HTMLDialogElement} */ (make("dialog", { id: "clipboard", close: to.focus },
    make("p", {}, say("clipboard_help")), text,
    make("div", { class: "row" },
      make("button", { type: "button", class: "main", id: "to-desktop", click: () => { to.paste(text.value); dialog.close(); } }, say("to_desktop")),
      make("button", { type: "button", id: "from-desktop", click: () => navigator.clipboard.writeText(text.value).then(() => dialog.close()) }, say("copy")),
      make("button", { type: "button", click: () => dialog.close() }, say("close")))));
  const textMode = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox", id: "text-mode", change: () => to.textMode(textMode.checked) }));
  const layout = /** @type {HTMLSelectElement} */ (make("select", { id: "layout", "aria-label": say("keyboard"), change: () => to.setLayout(layout.value) },
    ...Object.entries(LAYOUTS).map(([value, name]) => make("option", { value, selected: value === to.layout }, name))));
  const menu = make("div", { id: "menu", hidden: true },
    make("a", { href: "/my/", id: "to-list" }, say("to_list")),
    button("full_screen", to.fullScreen),
    button("clipboard", () => { text.value = to.clipboard(); dialog.showModal(); text.select(); }),
    button("files", to.files),
    button("ctrl_alt_del", () => to.chord(["ControlLeft", "AltLeft", "Delete"])),
    button("super_key", () => to.chord(["MetaLeft"])),
    make("label", {}, textMode, say("text_mode")),
    make("label", {}, say("keyboard"), layout));
  const handle = make("button", { type: "button", id: "handle", "aria-expanded": "false", "aria-controls": "menu", "aria-label": say("bar"), title: say("bar"), click: () => {
    menu.hidden = !menu.hidden;
    handle.setAttribute("aria-expanded", String(!menu.hidden));
    if (menu.hidden) to.focus();
  } }, "⌄");
  bar.replaceChildren(handle, menu, notice, dialog);
  bar.hidden = false;
  let timer = 0;
  return {
    /** @param {string} sentence @param {() => void} [work] what a click on it does */
    notice(sentence, work) {
      clearTimeout(timer);
      notice.replaceChildren(work ? make("button", { type: "button", click: () => { work(); notice.replaceChildren(); to.focus(); } }, sentence) : sentence);
      timer = setTimeout(() => notice.replaceChildren(), NOTICE_MS);
    },
    /** Put everything away, so that nothing hides what the page says. */
    close() {
      dialog.close();
      menu.hidden = true;
      handle.setAttribute("aria-expanded", "false");
    },
    /** @param {boolean} on */
    showTextMode(on) {
      textMode.checked = on;
    },
  };
}

// A modal dialog: the browser keeps the focus inside and closes it on Escape.
import { useEffect, useId, useRef } from "preact/hooks";
import { html } from "../html.js";

/**
 * @param {{title: string, onClose: () => void, children: any}} props
 */
export function Dialog({ title, onClose, children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const name = useId();
  useEffect(() => {
    const before = document.activeElement;
    const dialog = box.current;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${box} aria-labelledby=${name} onCancel=${cancel}>
    <div class="content"><h2 id=${name}>${title}</h2>${children}</div></dialog>`;
}

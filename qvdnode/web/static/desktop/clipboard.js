// The clipboard between the desktop and the browser's machine, in UTF-8 both ways.
//
// Into the desktop: what the browser gives us at Ctrl+V, without asking the user. Out of it: at once
// where the browser lets a page write, else when the user clicks.

export const TEXT_BYTES_MAX = 256 * 1024;

/**
 * @param {{clipboardPasteFrom: (text: string) => void}} rfb
 * @param {{tooLong: () => void, waiting: (text: string) => void}} to
 */
export function shareClipboard(rfb, to) {
  let last = "";
  return {
    /** The last text of either side. */
    get text() {
      return last;
    },
    /** @param {string | null | undefined} text */
    send(text) {
      if (!text) return;
      if (new TextEncoder().encode(text).length > TEXT_BYTES_MAX) {
        to.tooLong();
        return;
      }
      last = text;
      rfb.clipboardPasteFrom(text);
    },
    /** Something was copied in the desktop. @param {string} text */
    async received(text) {
      if (text === last) return;
      last = text;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        to.waiting(text);
      }
    },
  };
}

// What uploads are made of, without a network or a page. Pure.

/** How often a part may fail or bring nothing until the upload gives up. */
export const TRIES = 8;
const WAIT_MS = [500, 1000, 2000, 4000, 8000];

/**
 * The same for each attempt to send the same file, also after the page was loaded again: 32 hexadecimal digits.
 * @param {string} folder @param {{name: string, size: number, lastModified: number}} file
 */
export async function keyOf(folder, file) {
  const text = JSON.stringify([folder, file.name, file.size, file.lastModified]);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash).slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Send a file part by part, from where it stopped before. Throws what `put` throws in the end.
 * @param {number} size
 * @param {(offset: number, end: number) => Promise<{received_bytes: number, done: boolean}>} put sends that part; an empty one asks
 * @param {{part: number, progress: (received: number) => void, again: (error: unknown) => boolean,
 *   wait: (ms: number) => Promise<void>}} how `again`: whether it may work later
 */
export async function sendParts(size, put, how) {
  let failed = 0;
  let at = 0;
  let asking = true;
  for (;;) {
    try {
      const answer = await put(at, asking ? at : Math.min(size, at + how.part));
      if (answer.done) return how.progress(size);
      // An answer that brings nothing on counts as a failure, or this would never end.
      if (!asking && answer.received_bytes <= at) throw new Error("The file does not arrive.");
      if (!asking) failed = 0;
      asking = false;
      at = answer.received_bytes;
      how.progress(at);
    } catch (error) {
      if (!how.again(error) || ++failed >= TRIES) throw error;
      await how.wait(WAIT_MS[Math.min(failed - 1, WAIT_MS.length - 1)]);
      asking = true;
    }
  }
}

/** @param {number} bytes @param {string} language */
export function sizeText(bytes, language) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: size < 10 && unit ? 1 : 0 }).format(size)} ${units[unit]}`;
}

/** The folder above. @param {string} path */
export const above = (path) => path.split("/").slice(0, -1).join("/");

/** @param {string} path @param {string} name */
export const below = (path, name) => path ? `${path}/${name}` : name;

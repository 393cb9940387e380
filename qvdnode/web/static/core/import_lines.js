// The answer to an image import: JSON lines that arrive in pieces. Pure.

/**
 * @typedef {object} ImportLine
 * @property {number} [progress] bytes taken so far
 * @property {{version: number}} [version] the last line of an import that succeeded
 * @property {any} [problem] the last line of one that did not
 */

/** Collects pieces of text and gives the lines that are whole. */
export class LineReader {
  constructor() {
    this.rest = "";
  }

  /**
   * The whole lines that a piece completes.
   * @param {string} piece
   * @returns {ImportLine[]}
   */
  take(piece) {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.filter((line) => line.trim()).map((line) => JSON.parse(line));
  }
}

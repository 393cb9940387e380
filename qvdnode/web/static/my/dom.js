// Makes elements, speaks to the node, and finds the words: what both pages of a user share.
import { choose, word } from "./words.js";

const READ_TRIES = 3;
const READ_PAUSE_MS = 300;

export const language = choose(navigator.languages);

/** @param {string} key @param {Record<string, string | number>} [gaps] */
export const say = (key, gaps) => word(language, key, gaps);

/**
 * An element with attributes and content; a function is a listener, `true` an empty attribute.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string | null)} content
 */
export function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...content.filter((part) => part !== null));
  return element;
}

/** What the node answers instead of what was asked for. */
export class Refusal extends Error {
  /** @param {number} status 0 if the node was not reached @param {string} text */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/**
 * What the node answers; null for nothing. Throws Refusal.
 * @param {string} method @param {string} path @param {object} [body] an object for JSON, or a Blob as it is
 * @param {{background?: boolean, signal?: AbortSignal}} [how] `background`: the user did not ask for it
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, how = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const bytes = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = bytes ? "application/octet-stream" : "application/json";
  if (how.background) headers["X-Background"] = "1";
  const wish = {
    method, headers, credentials: /** @type {RequestCredentials} */ ("same-origin"), signal: how.signal,
    body: body === undefined ? undefined : bytes ? body : JSON.stringify(body),
  };
  // A network that changes breaks requests off; reading again does no harm.
  const tries = method === "GET" ? READ_TRIES : 1;
  let answer = null;
  for (let at = 1; !answer; at += 1) {
    try {
      answer = await fetch(path, wish);
    } catch {
      if (at >= tries || how.signal?.aborted) throw new Refusal(0, say("no_server"));
      await new Promise((done) => setTimeout(done, READ_PAUSE_MS));
    }
  }
  if (answer.status === 204) return null;
  /** @type {any} */
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // An answer of a proxy in between: the status is all there is.
  }
  if (!answer.ok) throw new Refusal(answer.status, said.detail ?? `${answer.status} ${answer.statusText}`);
  return said;
}

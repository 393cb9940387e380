// Calls of the node's API. The cookie goes along by itself; errors become Problem.
import { Problem, Unreachable } from "./core/problem.js";

const READ_TRIES = 3;
const PAUSE_MS = 300;

/** @type {() => void} */
let signedOut = () => {};

/**
 * Say what happens when the node answers that nobody is logged in.
 * @param {() => void} action
 */
export function onSignedOut(action) {
  signedOut = action;
}

/**
 * Call the administrators' API.
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {unknown} [body]
 * @param {{background?: boolean, signal?: AbortSignal}} [options] background: does not count as the
 *   administrator being active
 */
export const call = (method, path, body, options) => request(method, `/api/v1${path}`, body, options);

/**
 * Call any address of this node.
 * @param {string} method
 * @param {string} url
 * @param {unknown} [body]
 * @param {{background?: boolean, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the answer's JSON; null if it has none
 */
export async function request(method, url, body, { background = false, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  if (background) headers["X-Background"] = "1";
  const answer = await sent(url, {
    method, headers, signal, credentials: "same-origin", cache: "no-store", redirect: "error",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw problemOf(answer.status, await answer.json().catch(() => ({})));
}

/**
 * The error of an answer; logs out if the node does not know us.
 * @param {number} status
 * @param {any} body
 */
export function problemOf(status, body) {
  if (status === 401) signedOut();
  return new Problem({ ...body, status });
}

/**
 * The answer. What only reads is asked again a moment later if nothing answered: browsers give up
 * requests when the network changes. What writes is not, since it may have arrived.
 * @param {string} url
 * @param {RequestInit} init
 */
async function sent(url, init) {
  for (let left = init.method === "GET" ? READ_TRIES : 1; ; left -= 1) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      if (left === 1) throw new Unreachable();
      await new Promise((done) => { setTimeout(done, PAUSE_MS); });
    }
  }
}

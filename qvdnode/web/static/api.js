// Calls of the node's API. The cookie goes along by itself; errors become Problem.
import { Problem, Unreachable } from "./core/problem.js";

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
 * @param {string} url
 * @param {RequestInit} init
 */
async function sent(url, init) {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

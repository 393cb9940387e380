// Errors of the API (RFC 9457) as the page handles them. Pure.

/** An answer that is an error, with the server's own sentence as message. */
export class Problem extends Error {
  /** @param {{status: number, code?: string, title?: string, detail?: string, field?: string | null, correlation?: string}} body */
  constructor(body) {
    super(body.detail || body.title || `HTTP ${body.status}`);
    this.name = "Problem";
    this.status = body.status;
    this.code = body.code ?? "internal";
    this.field = body.field ?? "";
    this.correlation = body.correlation ?? "";
  }
}

/** Nothing answered: the node or the network is away. */
export class Unreachable extends Error {
  constructor() {
    super("unreachable");
    this.name = "Unreachable";
  }
}

/**
 * The server's sentences, by field. A detail lists all errors at once ("login must be ...; password
 * must be ..."); each sentence that begins with a field's name goes to that field.
 * @param {Problem} problem
 * @param {string[]} fields
 * @returns {Record<string, string>}
 */
export function fieldErrors(problem, fields) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const sentence of sentences(problem.message)) {
    const field = fields.find((name) => sentence.startsWith(`${name} `));
    if (field && !(field in found)) found[field] = sentence;
  }
  if (problem.field && fields.includes(problem.field) && !(problem.field in found)) {
    found[problem.field] = problem.message;
  }
  return found;
}

/** @param {string} detail */
const sentences = (detail) => detail.split(/;\s+|(?<=\.)\s+/).map((part) => part.trim());

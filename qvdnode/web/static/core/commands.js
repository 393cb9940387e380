// What stands beside each action: the same as a command of `qvd` and as a call of the API. Pure.

const DEFAULT_TENANT = "default";

/**
 * @typedef {object} Call
 * @property {"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} method
 * @property {string} path below /api/v1
 * @property {Record<string, unknown>} [body]
 */

/** A word as a POSIX shell takes it. @param {unknown} value */
export function shellWord(value) {
  const text = String(value);
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * A command line from its words.
 * @param {unknown[]} words
 */
export const command = (...words) => words.map(shellWord).join(" ");

/** A user as `qvd` names it: LOGIN or LOGIN@TENANT. @param {any} row */
export const userName = (row) => ofTenant(row.login, row.tenant);

/** A flavour as `qvd` names it. @param {any} row */
export const flavourName = (row) => ofTenant(row.name, row.tenant);

/** A desktop as `qvd` names it: LOGIN[@TENANT]/NAME. @param {any} row */
export const vmName = (row) => `${ofTenant(row.user, row.tenant)}/${row.name}`;

/**
 * @param {string} name
 * @param {string} tenant
 */
const ofTenant = (name, tenant) =>
  tenant === DEFAULT_TENANT && !name.includes("@") ? name : `${name}@${tenant}`;

/**
 * The options of `qvd` for the fields of a body: memory_mib becomes --memory-mib.
 * @param {Record<string, unknown>} body
 * @param {string[]} [without] fields that are not options
 */
export function options(body, without = []) {
  return Object.entries(body).filter(([name]) => !without.includes(name)).flatMap(([name, value]) => {
    const option = name.replaceAll("_", "-");
    if (value === true) return [`--${option}`];
    if (value === false) return [`--no-${option}`];
    return [`--${option}`, value ?? ""];
  });
}

/**
 * A call as curl would make it, with the token in a variable.
 * @param {Call} call
 * @param {string} origin such as https://node1:8444
 */
export function curl(call, origin) {
  const words = ["curl", "-X", call.method, shellWord(`${origin}/api/v1${call.path}`),
    "-H", '"Authorization: Bearer $TOKEN"'];
  if (call.body) {
    words.push("-H", "'Content-Type: application/json'", "-d", shellWord(JSON.stringify(call.body)));
  }
  return words.join(" ");
}

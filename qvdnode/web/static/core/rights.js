// What the token of this login may do, as the session says. Pure; the server decides anyway.

/**
 * Whether a call is among those that are allowed, which are written as `METHOD /path/{id}`.
 * @param {readonly string[]} allowed
 * @param {string} method
 * @param {string} path below /api/v1, without a query
 */
export function mayCall(allowed, method, path) {
  const wanted = path.split("/");
  return allowed.some((one) => {
    const [verb, template] = one.split(" ");
    const parts = template.split("/");
    return verb === method && parts.length === wanted.length &&
      parts.every((part, at) => part === wanted[at] || part.startsWith("{"));
  });
}

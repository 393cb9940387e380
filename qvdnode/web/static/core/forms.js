// From what stands in a form to the body of a request. Pure; the server judges the values.

/**
 * @typedef {object} Field
 * @property {string} name as the API calls it
 * @property {"text" | "password" | "number" | "switch" | "choice" | "reference"} type
 * @property {boolean} [required]
 * @property {string} [of] page of the objects to choose from, for a reference
 * @property {string} [value] key of the object that is sent, for a reference; `id` if not given
 * @property {string[]} [values] for a choice
 * @property {string} [unit]
 * @property {boolean} [help] whether `help.KIND.NAME` says more
 * @property {boolean} [nullable] empty means null, where the API gives null a meaning
 * @property {boolean} [fixed] cannot be changed later
 * @property {unknown} [initial] what stands in a new form
 * @property {boolean} [advanced] folded away at first
 */

/**
 * The body of a creation: what is left empty is left out.
 * @param {Field[]} fields
 * @param {Record<string, string | boolean>} values
 */
export function bodyOf(fields, values) {
  const given = fields.map((field) => [field.name, valueOf(field, values[field.name])]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/**
 * The body of a change: only what differs from the object.
 * @param {Field[]} fields
 * @param {Record<string, string | boolean>} values
 * @param {Record<string, unknown>} before
 */
export function changesOf(fields, values, before) {
  const body = bodyOf(fields.filter((field) => !field.fixed), values);
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== before[name]));
}

/**
 * What stands in the form at first, as text or as a switch.
 * @param {Field[]} fields
 * @param {Record<string, unknown>} [object] what is edited; nothing for a new one
 * @returns {Record<string, string | boolean>}
 */
export function initialValues(fields, object) {
  return Object.fromEntries(fields.map((field) => {
    const value = object ? object[field.name] : field.initial;
    return [field.name, field.type === "switch" ? Boolean(value) : String(value ?? "")];
  }));
}

/**
 * @param {Field} field
 * @param {string | boolean | undefined} value
 */
function valueOf(field, value) {
  if (field.type === "switch") return Boolean(value);
  if (value === undefined || value === "") return field.nullable ? null : undefined;
  const asNumber = field.type === "number" ||
    (field.type === "reference" && (field.value ?? "id") === "id");
  // What is no number goes to the server as it is: its refusal says what is wrong.
  return asNumber && String(value).trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
}

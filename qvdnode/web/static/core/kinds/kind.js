// What a kind of object is made of; the files beside this one say it for each kind. Pure.

/**
 * @typedef {import("../commands.js").Call} Call
 * @typedef {import("../forms.js").Field} Field
 *
 * @typedef {object} Column
 * @property {string} name field of the row, and the word key `field.NAME`
 * @property {"text" | "state" | "number" | "mib" | "bytes" | "moment" | "time" | "switch" | "link" | "code" | "choice"} type
 * @property {string} [sort] the server's sort field
 * @property {(row: any) => [page: string, id: string | number] | null} [to] what a link leads to
 * @property {boolean} [wide] left out on narrow screens
 *
 * @typedef {object} Filter
 * @property {string} name parameter of the API
 * @property {"choice" | "reference" | "switch" | "text"} type
 * @property {string[]} [values]
 * @property {string} [of] page of the objects to choose from
 *
 * @typedef {object} Action
 * @property {string} name word keys `action.NAME` and `confirm.KIND.NAME`
 * @property {(row: any) => boolean} applies
 * @property {(row: any, values: any) => Call} call
 * @property {(row: any, values: any) => string} command
 * @property {Field[]} [fields] what is asked for first
 * @property {boolean} [confirm] asked before
 * @property {boolean} [destroys] asked with the name typed
 * @property {boolean} [bulk] offered for all that a filter finds
 * @property {string} [undo] name of the action that takes it back
 * @property {boolean} [secret] the answer is shown once
 * @property {boolean} [main] the first button
 * @property {boolean} [onlyBulk] never offered for a single object
 * @property {boolean} [elsewhere] its button stands in another part of the view
 *
 * @typedef {object} Kind
 * @property {string} name kind of the event, and the word keys `kind.NAME` and `kinds.NAME`
 * @property {string} page
 * @property {string} path of the list, below /api/v1
 * @property {(row: any) => string} title
 * @property {(row: any) => string | number} [key] what the address has; `id` if not given
 * @property {string} [sort] how the list is sorted at first
 * @property {boolean} searchable whether the API takes `q`
 * @property {Record<string, unknown>} [fixed] always sent with the list
 * @property {Column[]} columns
 * @property {Filter[]} filters
 * @property {Column[]} [facts] what the view of one shows; the columns if not given
 * @property {Field[]} [fields] the form of a new one
 * @property {(body: any, choices: any) => string} [createCommand]
 * @property {(row: any, body: any) => string} [changeCommand] given if the fields can be changed
 * @property {(query: any) => string} listCommand
 * @property {Action[]} actions
 * @property {boolean} [single] whether there is a view of one
 */

/** The key of a row in addresses. @param {Kind} kind @param {any} row */
export const keyOf = (kind, row) => (kind.key ? kind.key(row) : row.id);

/** The path of one object. @param {Kind} kind @param {string | number} key */
export const pathOf = (kind, key) => `${kind.path}/${encodeURIComponent(key)}`;

/**
 * The actions that an object allows now.
 * @param {Kind} kind
 * @param {any} row
 */
export const actionsFor = (kind, row) =>
  kind.actions.filter((action) => !action.onlyBulk && action.applies(row));

/**
 * Blocking and its opposite, which take each other back.
 * @param {string} kind
 * @param {string} path
 * @param {(row: any) => string} name
 * @param {(words: string[]) => string} write
 * @returns {Action[]}
 */
export const blocking = (kind, path, name, write) =>
  [true, false].map((blocked) => ({
    name: blocked ? "block" : "unblock",
    undo: blocked ? "unblock" : "block",
    applies: (row) => row.blocked !== blocked,
    call: (row) => ({ method: "PATCH", path: `${path}/${row.id}`, body: { blocked } }),
    command: (row) => write(["qvd", kind, blocked ? "block" : "unblock", name(row)]),
    bulk: true,
    confirm: false,
  }));

/**
 * Deletion, with the name typed first.
 * @param {string} path
 * @param {(row: any) => string} write the command
 * @param {Partial<Action>} [more]
 * @returns {Action}
 */
export const deletion = (path, write, more = {}) => ({
  name: "delete",
  applies: () => true,
  call: (row) => ({ method: "DELETE", path: `${path}/${row.id}` }),
  command: write,
  destroys: true,
  bulk: true,
  ...more,
});

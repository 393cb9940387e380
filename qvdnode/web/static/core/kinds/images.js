// Images: root file systems that desktops start from, in numbered versions. Pure.
import { command } from "../commands.js";
import { deletion } from "./kind.js";

/** @type {import("./kind.js").Kind} */
export const images = {
  name: "image",
  page: "images",
  path: "/images",
  title: (row) => row.name,
  key: (row) => row.name,
  searchable: true,
  single: true,
  columns: [
    { name: "name", type: "link", sort: "name", to: (row) => ["images", row.name] },
    { name: "head_version", type: "number" },
    { name: "size_bytes", type: "bytes" },
    { name: "created_at", type: "moment", sort: "created_at", wide: true },
  ],
  filters: [],
  listCommand: () => "qvd image list",
  actions: [
    {
      name: "head",
      elsewhere: true,
      applies: () => true,
      fields: [{ name: "version", type: "number", required: true, help: true }],
      call: (row, values) => ({
        method: "PUT",
        path: `/images/${encodeURIComponent(row.name)}/head`,
        body: { version: values.version },
      }),
      command: (row, values) => command("qvd", "image", "head", row.name, values.version ?? "VERSION"),
    },
    deletion("/images", (row) => command("qvd", "image", "delete", row.name), {
      bulk: false,
      call: (row) => ({ method: "DELETE", path: `/images/${encodeURIComponent(row.name)}` }),
    }),
  ],
};

/**
 * The import as a command of `qvd`.
 * @param {string} name
 * @param {string} file
 * @param {string} note
 * @param {boolean} addSession
 */
export const importCommand = (name, file, note, addSession) =>
  command("qvd", "image", "import", name || "IMAGE", file ? `./${file}` : "FILE",
    ...(note ? ["--note", note] : []), ...(addSession ? ["--add-session"] : []));

// API tokens: each lets a person or a program administer the farm. Pure.
import { command } from "../commands.js";
import { deletion } from "./kind.js";

/** @type {import("./kind.js").Kind} */
export const tokens = {
  name: "token",
  page: "tokens",
  path: "/tokens",
  title: (row) => row.name,
  searchable: true,
  columns: [
    { name: "name", type: "text", sort: "name" },
    { name: "created_at", type: "moment", sort: "created_at" },
  ],
  filters: [],
  fields: [{ name: "name", type: "text", required: true, help: true }],
  createCommand: (body) => command("qvd", "token", "create", body.name ?? "NAME"),
  listCommand: () => "qvd token list",
  actions: [
    deletion("/tokens", (row) => command("qvd", "token", "revoke", row.name), {
      name: "revoke",
      bulk: false,
    }),
  ],
};

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
    { name: "role", type: "choice" },
    { name: "tenant", type: "link", to: (row) => row.tenant_id && ["tenants", row.tenant_id] },
    { name: "created_at", type: "moment", sort: "created_at" },
  ],
  filters: [],
  fields: [
    { name: "name", type: "text", required: true, help: true },
    { name: "role", type: "choice", values: ["viewer", "helpdesk", "admin"], initial: "helpdesk", help: true },
    { name: "tenant_id", type: "reference", of: "tenants", help: true },
  ],
  createCommand: (body, names) => command("qvd", "token", "create", body.name ?? "NAME",
    ...(body.role ? ["--role", body.role] : []), ...(body.tenant_id ? ["--tenant", names.tenant_id ?? "TENANT"] : [])),
  listCommand: () => "qvd token list",
  actions: [
    deletion("/tokens", (row) => command("qvd", "token", "revoke", row.name), {
      name: "revoke",
      bulk: false,
    }),
  ],
};

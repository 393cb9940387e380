// Users: who logs in to desktops. Pure.
import { command, userName } from "../commands.js";
import { blocking, deletion } from "./kind.js";

/** @type {import("./kind.js").Kind} */
export const users = {
  name: "user",
  page: "users",
  path: "/users",
  title: (row) => row.login,
  searchable: true,
  single: true,
  columns: [
    { name: "login", type: "link", sort: "login", to: (row) => ["users", row.id] },
    { name: "tenant", type: "link", sort: "tenant", to: (row) => ["tenants", row.tenant_id], wide: true },
    { name: "blocked", type: "switch" },
    { name: "created_at", type: "moment", sort: "created_at", wide: true },
  ],
  facts: [
    { name: "login", type: "text" },
    { name: "account", type: "code" },
    { name: "tenant", type: "link", to: (row) => ["tenants", row.tenant_id] },
    { name: "blocked", type: "switch" },
    { name: "home_node", type: "link", to: (row) => row.home_node && ["nodes", row.home_node] },
    { name: "created_at", type: "moment" },
  ],
  filters: [{ name: "tenant_id", type: "reference", of: "tenants" }],
  fields: [
    { name: "tenant_id", type: "reference", of: "tenants", required: true },
    { name: "login", type: "text", required: true, help: true },
    { name: "password", type: "password", required: true },
  ],
  createCommand: (body, names) => command("qvd", "user", "create",
    userName({ login: body.login ?? "LOGIN", tenant: names.tenant_id ?? "default" })),
  listCommand: (query) =>
    command("qvd", "user", "list", ...(query.tenant_id ? ["--tenant", query.tenant_id] : [])),
  actions: [
    {
      name: "password",
      applies: () => true,
      fields: [{ name: "password", type: "password", required: true }],
      call: (row, values) =>
        ({ method: "PUT", path: `/users/${row.id}/password`, body: { password: values.password } }),
      command: (row) => command("qvd", "user", "password", userName(row)),
    },
    ...blocking("user", "/users", userName, (words) => command(...words)),
    {
      name: "revoke_tokens",
      applies: () => true,
      confirm: true,
      bulk: true,
      call: (row) => ({ method: "DELETE", path: `/users/${row.id}/tokens` }),
      command: (row) => command("qvd", "user", "revoke-tokens", userName(row)),
    },
    {
      name: "home",
      applies: () => true,
      fields: [{ name: "node_id", type: "reference", of: "nodes", nullable: true, help: true }],
      call: (row, values) =>
        ({ method: "PUT", path: `/users/${row.id}/home`, body: { node_id: values.node_id ?? null } }),
      command: (row, values) => command("qvd", "user", "home", userName(row),
        ...(values.node_id ? ["--node", values.node_id] : ["--lost"])),
    },
    deletion("/users", (row) => command("qvd", "user", "delete", userName(row))),
  ],
};

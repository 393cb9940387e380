// Tenants: organisations that share the farm and do not see each other. Pure.
import { command } from "../commands.js";
import { blocking, deletion } from "./kind.js";

/** @type {import("./kind.js").Kind} */
export const tenants = {
  name: "tenant",
  page: "tenants",
  path: "/tenants",
  title: (row) => row.name,
  searchable: true,
  single: true,
  columns: [
    { name: "name", type: "link", sort: "name", to: (row) => ["tenants", row.id] },
    { name: "blocked", type: "switch" },
    { name: "assistance", type: "switch" },
  ],
  filters: [],
  fields: [{ name: "name", type: "text", required: true, help: true }],
  createCommand: (body) => command("qvd", "tenant", "create", body.name ?? "NAME"),
  listCommand: () => "qvd tenant list",
  actions: [
    ...blocking("tenant", "/tenants", (row) => row.name, (words) => command(...words)),
    ...[true, false].map((assistance) => ({
      name: assistance ? "allow_assistance" : "forbid_assistance",
      applies: (/** @type {any} */ row) => row.assistance !== assistance,
      call: (/** @type {any} */ row) => ({ method: "PATCH", path: `/tenants/${row.id}`, body: { assistance } }),
      command: (/** @type {any} */ row) => command("qvd", "tenant", "assistance", row.name, assistance ? "on" : "off"),
    })),
    deletion("/tenants", (row) => command("qvd", "tenant", "delete", row.name), { bulk: false }),
  ],
};

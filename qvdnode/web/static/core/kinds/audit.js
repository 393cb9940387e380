// The audit trail: who changed what, and when. Pure.
import { command } from "../commands.js";

const PAGES = { tenant: "tenants", user: "users", flavour: "flavours", image: "images", vm: "vms",
  node: "nodes" };

/** @type {import("./kind.js").Kind} */
export const audit = {
  name: "audit",
  page: "audit",
  path: "/audit",
  title: (row) => row.action,
  searchable: false,
  fixed: { newest: true },
  columns: [
    { name: "at", type: "time" },
    { name: "actor", type: "text" },
    { name: "action", type: "code" },
    { name: "object_kind", type: "text", wide: true },
    { name: "object_id", type: "link", to: (row) => {
      const page = PAGES[/** @type {keyof typeof PAGES} */ (row.object_kind)];
      const key = page === "images" ? row.detail?.name : row.object_id;
      return page && key ? [page, key] : null;
    } },
    { name: "detail", type: "code", wide: true },
    { name: "correlation", type: "code", wide: true },
  ],
  filters: [
    { name: "actor", type: "text" },
    { name: "object_kind", type: "choice", values: [...Object.keys(PAGES), "token"] },
    { name: "object_id", type: "text" },
  ],
  listCommand: (query) => command("qvd", "audit", "list", "--newest",
    ...(query.actor ? ["--actor", query.actor] : []),
    ...(query.object_kind ? ["--kind", query.object_kind] : []),
    ...(query.object_id ? ["--id", query.object_id] : [])),
  actions: [],
};

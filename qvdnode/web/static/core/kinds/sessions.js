// Sessions: who was connected to which desktop, from where and how long. Pure.
import { command } from "../commands.js";

/** @type {import("./kind.js").Kind} */
export const sessions = {
  name: "session",
  page: "sessions",
  path: "/sessions",
  title: (row) => `${row.user ?? row.user_id} · ${row.vm ?? row.vm_id}`,
  searchable: true,
  fixed: { newest: true },
  columns: [
    { name: "user", type: "link", to: (row) => ["users", row.user_id] },
    { name: "vm", type: "link", to: (row) => ["vms", row.vm_id] },
    { name: "tenant", type: "text", wide: true },
    { name: "opened_at", type: "moment" },
    { name: "closed_at", type: "moment" },
    { name: "reason", type: "text", wide: true },
    { name: "source", type: "code", wide: true },
    { name: "node", type: "link", to: (row) => ["nodes", row.node_id], wide: true },
    { name: "bytes_out", type: "bytes", wide: true },
  ],
  filters: [
    { name: "open", type: "switch" },
    { name: "user_id", type: "reference", of: "users" },
    { name: "vm_id", type: "reference", of: "vms" },
  ],
  listCommand: (query) => command("qvd", "session", "list", ...(query.open ? ["--open"] : []),
    ...["user", "vm"].flatMap((name) =>
      (query[`${name}_id`] ? [`--${name}`, query[`${name}_id`]] : [])), "--newest"),
  actions: [
    {
      name: "disconnect",
      applies: (row) => !row.closed_at,
      call: (row) => ({ method: "POST", path: `/vms/${row.vm_id}/disconnect` }),
      command: (row) => command("qvd", "vm", "disconnect", row.vm_id),
      bulk: true,
      confirm: true,
    },
  ],
};

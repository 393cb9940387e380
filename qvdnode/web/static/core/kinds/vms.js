// Desktops: the virtual machine or container of a user. Pure.
import { command, vmName } from "../commands.js";
import { blocking, deletion } from "./kind.js";

export const VM_STATES = ["stopped", "preparing", "booting", "running", "hibernated", "stopping",
  "killing", "cleaning", "failed"];
const AT_REST = ["stopped", "failed"];
const IN_USE = ["running", "hibernated"];

/** @type {import("./kind.js").Kind} */
export const vms = {
  name: "vm",
  page: "vms",
  path: "/vms",
  title: vmName,
  searchable: true,
  single: true,
  columns: [
    { name: "name", type: "link", sort: "name", to: (row) => ["vms", row.id] },
    { name: "user", type: "link", sort: "user", to: (row) => ["users", row.user_id] },
    { name: "tenant", type: "link", sort: "tenant", to: (row) => ["tenants", row.tenant_id], wide: true },
    { name: "state", type: "state", sort: "state" },
    { name: "viewer", type: "switch", wide: true },
    { name: "flavour", type: "link", to: (row) => ["flavours", row.flavour_id], wide: true },
    { name: "node", type: "link", to: (row) => row.node_id && ["nodes", row.node_id], wide: true },
  ],
  facts: [
    { name: "user", type: "link", to: (row) => ["users", row.user_id] },
    { name: "tenant", type: "link", to: (row) => ["tenants", row.tenant_id] },
    { name: "flavour", type: "link", to: (row) => ["flavours", row.flavour_id] },
    { name: "node", type: "link", to: (row) => row.node_id && ["nodes", row.node_id] },
    { name: "display", type: "state" },
    { name: "viewer", type: "switch" },
    { name: "blocked", type: "switch" },
    { name: "since", type: "moment" },
    { name: "queue_place", type: "number" },
    { name: "memory_used_mib", type: "mib" },
    { name: "memory_limit_mib", type: "mib" },
    { name: "driver", type: "text" },
    { name: "address", type: "code" },
    { name: "generation", type: "number" },
  ],
  filters: [
    { name: "state", type: "choice", values: VM_STATES },
    { name: "tenant_id", type: "reference", of: "tenants" },
    { name: "flavour_id", type: "reference", of: "flavours" },
    { name: "user_id", type: "reference", of: "users" },
  ],
  fields: [
    { name: "user_id", type: "reference", of: "users", required: true },
    { name: "flavour_id", type: "reference", of: "flavours", required: true },
    { name: "name", type: "text", required: true, help: true },
  ],
  createCommand: (body, names) => command("qvd", "vm", "create", body.name ?? "NAME",
    "--user", names.user_id ?? "USER", "--flavour", names.flavour_id ?? "FLAVOUR"),
  listCommand: (query) => command("qvd", "vm", "list",
    ...["state", "tenant", "flavour", "user"].flatMap((name) => {
      const value = query[name] ?? query[`${name}_id`];
      return value ? [`--${name}`, value] : [];
    })),
  actions: [
    {
      name: "start",
      applies: (row) => AT_REST.includes(row.state) || row.state === "hibernated",
      call: (row) => ({ method: "POST", path: `/vms/${row.id}/start` }),
      command: (row) => command("qvd", "vm", "start", vmName(row)),
      bulk: true,
      main: true,
    },
    {
      name: "stop",
      applies: (row) => !AT_REST.includes(row.state),
      call: (row) => ({ method: "POST", path: `/vms/${row.id}/stop` }),
      command: (row) => command("qvd", "vm", "stop", vmName(row)),
      bulk: true,
      confirm: true,
    },
    {
      name: "stop_unused",
      applies: (row) => IN_USE.includes(row.state) && !row.viewer,
      call: (row) => ({ method: "POST", path: `/vms/${row.id}/stop` }),
      command: (row) => command("qvd", "vm", "stop", vmName(row)),
      bulk: true,
      onlyBulk: true,
    },
    {
      name: "disconnect",
      applies: (row) => row.viewer,
      call: (row) => ({ method: "POST", path: `/vms/${row.id}/disconnect` }),
      command: (row) => command("qvd", "vm", "disconnect", vmName(row)),
      bulk: true,
      confirm: true,
    },
    ...blocking("vm", "/vms", vmName, (words) => command(...words)),
    deletion("/vms", (row) => command("qvd", "vm", "delete", vmName(row))),
  ],
};

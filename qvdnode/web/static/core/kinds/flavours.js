// Flavours: an image with the resources and settings of the desktops made from it. Pure.
import { command, flavourName, options } from "../commands.js";
import { deletion } from "./kind.js";

/** Which way something may go, seen from the desktop. */
const WAYS = ["both", "in", "out", "none"];

/** @type {import("./kind.js").Kind} */
export const flavours = {
  name: "flavour",
  page: "flavours",
  path: "/flavours",
  title: (row) => row.name,
  searchable: true,
  single: true,
  columns: [
    { name: "name", type: "link", sort: "name", to: (row) => ["flavours", row.id] },
    { name: "tenant", type: "link", to: (row) => ["tenants", row.tenant_id], wide: true },
    { name: "image", type: "link", to: (row) => ["images", row.image] },
    { name: "memory_mib", type: "mib" },
    { name: "cpu_pct", type: "number", wide: true },
    { name: "disk_mib", type: "mib", wide: true },
    { name: "home_mib", type: "mib", wide: true },
  ],
  facts: [
    { name: "tenant", type: "link", to: (row) => ["tenants", row.tenant_id] },
    { name: "image", type: "link", to: (row) => ["images", row.image] },
    { name: "driver", type: "text" },
    { name: "memory_mib", type: "mib" },
    { name: "cpu_pct", type: "number" },
    { name: "pids_max", type: "number" },
    { name: "disk_mib", type: "mib" },
    { name: "home_mib", type: "mib" },
    { name: "application", type: "code" },
    { name: "shell", type: "code" },
    { name: "locale", type: "text" },
    { name: "timezone", type: "text" },
    { name: "egress", type: "switch" },
    { name: "nesting", type: "switch" },
    { name: "hibernate_after_s", type: "number" },
    { name: "idle_minutes", type: "number" },
    { name: "takeover", type: "choice" },
    { name: "clipboard", type: "choice" },
    { name: "files", type: "choice" },
  ],
  filters: [{ name: "tenant_id", type: "reference", of: "tenants" }],
  fields: [
    { name: "tenant_id", type: "reference", of: "tenants", required: true, fixed: true },
    { name: "name", type: "text", required: true, help: true },
    { name: "image", type: "reference", of: "images", value: "name", required: true },
    { name: "memory_mib", type: "number", unit: "MiB", initial: 1024, required: true, help: true },
    { name: "cpu_pct", type: "number", unit: "%", initial: 100, required: true, help: true },
    { name: "disk_mib", type: "number", unit: "MiB", initial: 4096, required: true, help: true },
    { name: "home_mib", type: "number", unit: "MiB", initial: 4096, required: true, help: true },
    { name: "egress", type: "switch", initial: true, help: true },
    { name: "idle_minutes", type: "number", initial: 0, help: true },
    { name: "hibernate_after_s", type: "number", unit: "s", initial: 300, help: true },
    { name: "clipboard", type: "choice", values: WAYS, initial: "both", help: true },
    { name: "files", type: "choice", values: WAYS, initial: "both", help: true },
    { name: "takeover", type: "choice", values: ["never", "at_connect", "at_once"], initial: "never", help: true, advanced: true },
    { name: "application", type: "text", nullable: true, help: true, advanced: true },
    { name: "locale", type: "text", initial: "C.UTF-8", help: true, advanced: true },
    { name: "timezone", type: "text", initial: "Etc/UTC", help: true, advanced: true },
    { name: "shell", type: "text", initial: "/bin/bash", help: true, advanced: true },
    { name: "driver", type: "text", initial: "lxc", help: true, advanced: true },
    { name: "pids_max", type: "number", initial: 1024, help: true, advanced: true },
    { name: "nesting", type: "switch", initial: false, help: true, advanced: true },
  ],
  createCommand: (body, names) => command("qvd", "flavour", "create",
    flavourName({ name: body.name ?? "NAME", tenant: names.tenant_id ?? "default" }),
    ...options({ image: "IMAGE", ...body }, ["tenant_id", "name"])),
  changeCommand: (row, body) =>
    command("qvd", "flavour", "change", flavourName(row), ...options(body)),
  listCommand: (query) =>
    command("qvd", "flavour", "list", ...(query.tenant_id ? ["--tenant", query.tenant_id] : [])),
  actions: [
    deletion("/flavours", (row) => command("qvd", "flavour", "delete", flavourName(row))),
  ],
};

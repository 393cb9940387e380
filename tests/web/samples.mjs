// A row or two of each kind. Run by itself it prints every command and call of the page as JSON, so
// that a test can ask the real `qvd` and the real API whether they know them.
import { pathToFileURL } from "node:url";
import { KINDS } from "../../qvdnode/web/static/core/kinds/index.js";
import { importCommand } from "../../qvdnode/web/static/core/kinds/images.js";
import { actionsFor } from "../../qvdnode/web/static/core/kinds/kind.js";

const vm = { id: 7, name: "desk", tenant_id: 2, tenant: "school", user_id: 9, user: "ana", flavour_id: 3,
  flavour: "office", node_id: 1, node: "node1", blocked: false, viewer: true, state: "running" };

export const SAMPLES = {
  vms: [vm, { ...vm, blocked: true, viewer: false, state: "stopped", node_id: null }, { ...vm, state: "hibernated" }],
  sessions: [{ id: 1, vm_id: 7, vm: "desk", user_id: 9, user: "ana", node_id: 1, node: "node1", closed_at: null },
    { id: 2, vm_id: 7, vm: null, user_id: 9, user: null, node_id: 1, closed_at: "2026-05-01T12:00:00Z" }],
  users: [{ id: 9, login: "ana", tenant: "school", tenant_id: 2, blocked: false, home_node: 1 },
    { id: 10, login: "eva", tenant: "default", tenant_id: 1, blocked: true, home_node: null }],
  tenants: [{ id: 2, name: "school", blocked: false }, { id: 3, name: "office", blocked: true }],
  flavours: [{ id: 3, name: "office", tenant: "school", tenant_id: 2, image: "xfce" }],
  images: [{ id: 4, name: "xfce", head_version: 2 }],
  nodes: [{ id: 1, name: "node1", here: true, alive: true, state: "up", drain: "no" }, { id: 3, name: "node3", here: false, alive: true, state: "up", drain: "move" }, { id: 2, name: "node2", here: false, alive: false }],
  tokens: [{ id: 5, name: "backup-robot" }],
  audit: [{ id: 6, action: "vm.start", object_kind: "vm", object_id: "7" }, { id: 8, action: "x", object_kind: "token", object_id: "5" },
    { id: 9, action: "image.import", object_kind: "image", object_id: "4", detail: { name: "xfce" } }],
};
const VALUES = { version: 2, password: "secret", node_id: 2 };
const QUERIES = [{}, { state: "running", tenant_id: "2", flavour_id: "3", user_id: "9", vm_id: "7", open: "true", actor: "ana",
  object_kind: "vm", object_id: "7" }];
const BODIES = [{}, { name: "x", login: "ana", memory_mib: 512, egress: false, life_s: 600, note: "a" }];

export const STATIC_COMMANDS = Object.values(KINDS).flatMap((kind) => [
  ...QUERIES.map((query) => kind.listCommand(query)),
  ...(kind.createCommand ? BODIES.map((body) => kind.createCommand(known(kind, body), { tenant_id: "school", user_id: "ana", flavour_id: "office" })) : []),
  ...(kind.changeCommand ? SAMPLES[kind.page].map((row) => kind.changeCommand(row, { memory_mib: 512, egress: false })) : []),
]).concat(importCommand("xfce", "x.tar", "May", true));

/** The fields of a body that a kind has. */
function known(kind, body) {
  const names = kind.fields.map((field) => field.name);
  return Object.fromEntries(Object.entries(body).filter(([name]) => names.includes(name)));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const done = Object.entries(KINDS).flatMap(([page, kind]) => SAMPLES[page].flatMap((row) =>
    actionsFor(kind, row).map((action) => ({ call: action.call(row, VALUES), command: action.command(row, VALUES) }))));
  const lists = Object.values(KINDS).map((kind) => ({ method: "GET", path: kind.path }));
  const filters = Object.values(KINDS).flatMap((kind) => [
    ...kind.filters.map((filter) => [kind.path, filter.name]), ...(kind.searchable ? [[kind.path, "q"]] : []),
    ...(kind.columns.some((column) => column.sort) ? [[kind.path, "sort"]] : []), ...Object.keys(kind.fixed ?? {}).map((name) => [kind.path, name])]);
  const fields = Object.values(KINDS).filter((kind) => kind.fields).map((kind) => [kind.page === "nodes" ? "/nodes/invite" : kind.path, kind.fields.map((field) => field.name)]);
  console.log(JSON.stringify({ calls: [...done.map((one) => one.call), ...lists],
    commands: [...done.map((one) => one.command), ...STATIC_COMMANDS], filters, fields }));
}

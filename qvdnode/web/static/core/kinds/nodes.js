// Nodes: the hosts of the farm. Pure.
import { command } from "../commands.js";
import { deletion } from "./kind.js";

/** @type {import("./kind.js").Kind} */
export const nodes = {
  name: "node",
  page: "nodes",
  path: "/nodes",
  title: (row) => row.name,
  searchable: true,
  single: true,
  columns: [
    { name: "name", type: "link", sort: "name", to: (row) => ["nodes", row.id] },
    { name: "state", type: "state", sort: "state" },
    { name: "alive", type: "switch" },
    { name: "drain", type: "state" },
    { name: "reached", type: "switch", wide: true },
    { name: "address", type: "code", wide: true },
    { name: "program", type: "text", wide: true },
  ],
  facts: [
    { name: "address", type: "code" },
    { name: "peer_port", type: "code" },
    { name: "program", type: "text" },
    { name: "alive", type: "switch" },
    { name: "drain", type: "state" },
    { name: "here", type: "switch" },
    { name: "reached", type: "switch" },
    { name: "reason", type: "text" },
    { name: "drivers", type: "text" },
    { name: "runs_database", type: "switch" },
    { name: "joined_at", type: "moment" },
  ],
  filters: [],
  fields: [
    { name: "name", type: "text", help: true },
    { name: "life_s", type: "number", unit: "s", initial: 3600, help: true },
  ],
  createCommand: (body) => command("qvd", "node", "invite",
    ...(body.name ? ["--name", body.name] : []), ...(body.life_s ? ["--life-s", body.life_s] : [])),
  listCommand: () => "qvd node list",
  actions: [
    {
      name: "drain",
      applies: (row) => row.drain === "no" && row.state === "up",
      fields: [{ name: "move", type: "switch", initial: false, help: true }],
      call: (row, values) =>
        ({ method: "POST", path: `/nodes/${row.id}/drain`, body: { move: Boolean(values.move) } }),
      command: (row, values) =>
        command("qvd", "node", "drain", row.name, ...(values.move ? ["--move"] : [])),
    },
    {
      name: "undrain",
      applies: (row) => row.drain === "stay" || row.drain === "move",
      call: (row) => ({ method: "POST", path: `/nodes/${row.id}/undrain` }),
      command: (row) => command("qvd", "node", "undrain", row.name),
    },
    {
      name: "fence",
      applies: (row) => !row.here && !row.alive,
      call: (row) => ({ method: "POST", path: `/nodes/${row.id}/fence` }),
      command: (row) => command("qvd", "node", "fence", row.name),
      destroys: true,
    },
    deletion("/nodes", (row) => command("qvd", "node", "remove", row.name), {
      name: "remove",
      applies: (row) => !row.here,
      bulk: false,
    }),
  ],
};

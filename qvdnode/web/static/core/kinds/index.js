// Every kind of object that the page shows, by the page's name. Pure.
import { audit } from "./audit.js";
import { flavours } from "./flavours.js";
import { images } from "./images.js";
import { nodes } from "./nodes.js";
import { sessions } from "./sessions.js";
import { tenants } from "./tenants.js";
import { tokens } from "./tokens.js";
import { users } from "./users.js";
import { vms } from "./vms.js";

/** @type {Record<string, import("./kind.js").Kind>} */
export const KINDS = { vms, sessions, users, tenants, flavours, images, nodes, tokens, audit };

/** The kind that an event is about. @param {string} name */
export const kindNamed = (name) => Object.values(KINDS).find((kind) => kind.name === name);

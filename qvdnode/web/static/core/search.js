// What the search over everything offers. Pure.
import { addressOf } from "./address.js";
import { KINDS } from "./kinds/index.js";

const ORDER = ["users", "vms", "nodes", "images", "flavours", "tenants"];

/**
 * The server's findings as options, kind after kind.
 * @param {Record<string, {id: number, name: string, detail?: string | null}[]>} found
 */
export const optionsOf = (found) => ORDER.flatMap((page) => (found[page] ?? []).map((one) => ({
  text: one.name,
  detail: one.detail ?? "",
  kind: `kind.${KINDS[page].name}`,
  to: addressOf(page, page === "images" ? one.name : one.id),
})));

/**
 * Whether any word of a title begins with the text; case and accents do not matter.
 * @param {string} title
 * @param {string} text
 */
export const matchesWord = (title, text) =>
  plain(title).split(/\s+/).some((word) => word.startsWith(plain(text)));

/** @param {string} text */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

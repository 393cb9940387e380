// Chooses another object: from a list if there are few, else by typing the beginning of its name.
import { useEffect, useState } from "preact/hooks";
import { call } from "../api.js";
import { withQuery } from "../core/address.js";
import { flavourName, userName, vmName } from "../core/commands.js";
import { KINDS } from "../core/kinds/index.js";
import { t } from "../core/words.js";
import { html } from "../html.js";

const FEW = 30;
const OFFERED = 20;
const PAUSE_MS = 150;
const NAMES = /** @type {Record<string, (row: any) => string>} */ ({
  users: userName, flavours: flavourName, vms: vmName,
});

/** An object's name that is unique in the farm. @param {string} page @param {any} row */
const nameOf = (page, row) => (NAMES[page] ?? KINDS[page].title)(row);

/**
 * @param {{of: string, value: string, valueKey?: string, onChange: (value: string, name: string) => void,
 *   attributes: Record<string, unknown>, empty: string}} props
 */
export function Reference({ of, value, valueKey = "id", onChange, attributes, empty }) {
  const [few, setFew] = useState(/** @type {any[] | null} */ (null));
  const [many, setMany] = useState(false);
  useEffect(() => {
    call("GET", withQuery(KINDS[of].path, { limit: FEW + 1 })).then(
      ({ items }) => (items.length > FEW ? setMany(true) : setFew(items)),
      () => setMany(true));
  }, [of]);
  if (many) {
    return html`<${ByName} of=${of} value=${value} valueKey=${valueKey} onChange=${onChange} attributes=${attributes} />`;
  }
  const choose = (/** @type {any} */ event) => {
    const row = (few ?? []).find((one) => String(one[valueKey]) === event.target.value);
    onChange(event.target.value, row ? nameOf(of, row) : "");
  };
  return html`<select ...${attributes} value=${value} onChange=${choose}>
    <option value="">${few ? empty : t("loading")}</option>
    ${(few ?? []).map((row) => html`<option key=${row.id} value=${String(row[valueKey])}>${nameOf(of, row)}</option>`)}
  </select>`;
}

/** @param {any} props */
function ByName({ of, value, valueKey, onChange, attributes }) {
  const [text, setText] = useState("");
  const [offered, setOffered] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    if (!value || valueKey !== "id") return setText(value);
    call("GET", `${KINDS[of].path}/${value}`).then((row) => setText(nameOf(of, row)), () => setText(value));
  }, [of, value]);
  useEffect(() => {
    const timer = setTimeout(() => {
      const beginning = text.split(/[@/]/)[0];
      call("GET", withQuery(KINDS[of].path, { q: beginning, limit: OFFERED })).then(
        ({ items }) => setOffered(items), () => setOffered([]));
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [of, text]);
  const type = (/** @type {any} */ event) => {
    const typed = event.target.value;
    setText(typed);
    const row = offered.find((one) => nameOf(of, one) === typed);
    if (row) onChange(String(row[valueKey]), typed);
    else if (!typed && value) onChange("", "");
  };
  const list = `${attributes.id}-offered`;
  return html`<input ...${attributes} type="text" list=${list} autocomplete="off" value=${text} onInput=${type} placeholder=${t("type_a_name")} />
    <datalist id=${list}>${offered.map((row) => html`<option key=${row.id} value=${nameOf(of, row)} />`)}</datalist>`;
}

// All that a list's filter finds, as a CSV file.
import { useState } from "preact/hooks";
import { call } from "../api.js";
import { withQuery } from "../core/address.js";
import { csv } from "../core/csv.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { save } from "./save.js";
import { report } from "./store.js";
import { troubleText } from "./trouble.js";

const READ_AT_ONCE = 1000;
const COLUMNS = ["id", "at", "actor", "action", "object_kind", "object_id", "detail", "correlation"];

/** @param {{kind: import("../core/kinds/kind.js").Kind, query: any}} props */
export function DownloadCsv({ kind, query }) {
  const [busy, setBusy] = useState(false);
  const download = async () => {
    setBusy(true);
    const key = `csv-${kind.name}`;
    report({ key, title: t("csv.task"), state: "running", note: "" });
    try {
      /** @type {any[]} */
      const rows = [];
      let after = null;
      do {
        const page = /** @type {any} */ (await call("GET", withQuery(kind.path, { ...query, limit: READ_AT_ONCE, after })));
        rows.push(...page.items);
        after = page.next_after;
        report({ key, note: t("csv.rows", { count: rows.length }) });
      } while (after !== null);
      save(`${kind.page}.csv`, "text/csv", csv(COLUMNS, rows));
      report({ key, state: "done", note: t("csv.rows", { count: rows.length }) });
    } catch (/** @type {any} */ error) {
      report({ key, state: "failed", note: troubleText(error) });
    }
    setBusy(false);
  };
  return html`<button type="button" disabled=${busy} onClick=${download}>${t("csv.button")}</button>`;
}

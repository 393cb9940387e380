// Addresses, lists, forms and searches: what the page asks the server for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, placeOf, withQuery } from "../../qvdnode/web/static/core/address.js";
import { outcome, preview, proof, script } from "../../qvdnode/web/static/core/bulk.js";
import { csv } from "../../qvdnode/web/static/core/csv.js";
import { bodyOf, changesOf, initialValues } from "../../qvdnode/web/static/core/forms.js";
import { LineReader } from "../../qvdnode/web/static/core/import_lines.js";
import { firstRow, isFiltered, listQuery, nextPage, refined, sortAfterClick, sortDirection }
  from "../../qvdnode/web/static/core/lists.js";
import { Problem, fieldErrors } from "../../qvdnode/web/static/core/problem.js";
import { matchesWord, optionsOf } from "../../qvdnode/web/static/core/search.js";
import { column, merged, sampled, summary } from "../../qvdnode/web/static/core/series.js";
import { taskState, withTask, withoutOld, withoutTask } from "../../qvdnode/web/static/core/tasks.js";

test("an address says the view, the object and the filters, and can be read again", () => {
  const address = addressOf("images", "a/b c", { q: "x&y", state: "", sort: undefined });
  assert.equal(address, "/ui/images/a%2Fb%20c?q=x%26y");
  assert.deepEqual(placeOf("/ui/images/a%2Fb%20c", "?q=x%26y"), { page: "images", id: "a/b c", query: { q: "x&y" } });
});

test("addresses that the page never wrote do no harm", () => {
  assert.deepEqual(placeOf("/elsewhere", ""), { page: "", id: "", query: {} });
  assert.equal(placeOf("/ui/%E0%A4%A", "").page, "%E0%A4%A");
});

test("a list sends its own filters, and not what only people need", () => {
  const query = { q: "an", from: "51", after: "50", state: "running", evil: "1" };
  assert.deepEqual(listQuery(query, ["state"], { newest: true }), { newest: true, q: "an", after: "50", state: "running", limit: 50 });
});

test("another filter begins at the first page", () => {
  assert.deepEqual(refined({ q: "a", after: "50", from: "51" }, { state: "running", q: "" }), { state: "running" });
});

test("the next page remembers where it begins", () => {
  const second = nextPage({ sort: "name" }, "opaque", 50);
  assert.deepEqual(second, { sort: "name", after: "opaque", from: "51" });
  assert.equal(firstRow(second), 51);
  assert.equal(firstRow({ from: "-3" }), 1);
});

test("a column sorts one way and then the other", () => {
  assert.equal(sortAfterClick(undefined, "name"), "name");
  assert.equal(sortAfterClick("name", "name"), "-name");
  assert.equal(sortDirection("-name", "name"), "descending");
  assert.equal(sortDirection("name", "id"), "none");
});

test("a list is filtered by a search or a field, not by its sort", () => {
  assert.ok(isFiltered({ state: "failed" }, ["state"]));
  assert.ok(!isFiltered({ sort: "name", after: "3" }, ["state"]));
});

const FIELDS = [
  { name: "tenant_id", type: "reference", of: "tenants", fixed: true },
  { name: "image", type: "reference", of: "images", value: "name" },
  { name: "memory_mib", type: "number" },
  { name: "application", type: "text", nullable: true },
  { name: "egress", type: "switch", initial: true },
  { name: "note", type: "text" },
];

test("a form's values get the types of the API", () => {
  const values = { tenant_id: "7", image: "12", memory_mib: "512", application: "", egress: false, note: "" };
  assert.deepEqual(bodyOf(FIELDS, values), { tenant_id: 7, image: "12", memory_mib: 512, application: null, egress: false });
});

test("what is no number is left to the server's judgement", () => {
  assert.deepEqual(bodyOf([FIELDS[2]], { memory_mib: "much" }), { memory_mib: "much" });
});

test("a change has only what differs, and nothing fixed", () => {
  const before = { tenant_id: 7, image: "xfce", memory_mib: 512, application: null, egress: true, note: "a" };
  const values = { ...initialValues(FIELDS, before), memory_mib: "1024" };
  assert.deepEqual(changesOf(FIELDS, values, before), { memory_mib: 1024 });
});

test("each of the server's sentences goes to its field", () => {
  const problem = new Problem({ status: 422, detail: "login must be 1 to 64 letters; password is required.", field: "login" });
  assert.deepEqual(fieldErrors(problem, ["login", "password", "tenant_id"]),
    { login: "login must be 1 to 64 letters", password: "password is required." });
  const conflict = new Problem({ status: 409, detail: "Another user has this login.", field: "login" });
  assert.deepEqual(fieldErrors(conflict, ["login"]), { login: "Another user has this login." });
  assert.deepEqual(fieldErrors(new Problem({ status: 500 }), ["login"]), {});
});

test("an error without a body still says something", () => {
  assert.equal(new Problem({ status: 502 }).message, "HTTP 502");
});

test("lines of an import that arrive in pieces", () => {
  const reader = new LineReader();
  assert.deepEqual(reader.take('{"progress": 1}\n{"prog'), [{ progress: 1 }]);
  assert.deepEqual(reader.take('ress": 2}\n\n{"version": {"version": 3}}\n'), [{ progress: 2 }, { version: { version: 3 } }]);
});

test("CSV is quoted, and no formula of somebody else's runs", () => {
  assert.equal(csv(["a", "b"], [{ a: 'say "x", y', b: { c: 1 } }, { a: "=HYPERLINK(1)", b: null }, { a: -5 }]),
    'a,b\r\n"say ""x"", y","{""c"":1}"\r\n\'=HYPERLINK(1),\r\n-5,\r\n');
});

const STOP = { name: "stop", applies: (row) => row.on, call: () => ({}), command: (row) => `qvd vm stop ${row.id}` };

test("an action on many says what it takes and what it passes by", () => {
  const rows = [{ id: 1, on: true }, { id: 2, on: false }, { id: 3, on: true }];
  const { taken, passed } = preview(STOP, rows);
  assert.deepEqual([taken.length, passed], [2, 1]);
  assert.equal(script(STOP, taken), "qvd vm stop 1\nqvd vm stop 3");
  assert.equal(proof(["a"]), "a");
  assert.equal(proof(["a", "b"]), "2");
  assert.deepEqual(outcome([{ title: "a", error: null }, { title: "b", error: "no" }]),
    { done: 1, failed: [{ title: "b", error: "no" }] });
});

test("the search offers objects kind after kind", () => {
  const options = optionsOf({ images: [{ id: 4, name: "xfce" }], users: [{ id: 9, name: "ana", detail: "school" }] });
  assert.deepEqual(options, [
    { text: "ana", detail: "school", kind: "kind.user", to: "/ui/users/9" },
    { text: "xfce", detail: "", kind: "kind.image", to: "/ui/images/xfce" }]);
});

test("pages are found by any word of their title, without accents", () => {
  assert.ok(matchesWord("Importar una imagen", "IMÁ"));
  assert.ok(!matchesWord("Usuarios", "sua"));
});

test("figures of two answers become one series", () => {
  const points = merged([{ at: 1, x: 1 }, { at: 5, x: 2 }], [{ at: 5, x: 3 }, { at: 10, x: null }], 6);
  assert.deepEqual(column(points, "x"), [3, null]);
  assert.deepEqual(merged([], [], 60), []);
});

test("a state that nothing is in counts zero, a figure that was not taken is unknown", () => {
  assert.deepEqual(column([{ at: 1, vms: { running: 2 } }, { at: 2, vms: {} }, { at: 3 }], "vms.running"), [2, 0, null]);
  assert.deepEqual(column([{ at: 1, "vms.running": 7 }], "vms.running"), [7]);
});

test("a plot is told in words", () => {
  assert.deepEqual(summary([null, 4, 2]), { last: 2, least: 2, most: 4 });
  assert.equal(summary([null]), null);
});

test("a table of a plot has its last point", () => {
  const points = Array.from({ length: 100 }, (_, at) => ({ at }));
  const rows = sampled(points, 10);
  assert.equal(rows.length, 10);
  assert.equal(rows.at(-1).at, 99);
});

test("tasks are added, changed, and go when they are old; failures stay", () => {
  let tasks = withTask([], { key: "a", title: "A" });
  tasks = withTask(tasks, { key: "a", state: "done", endedAt: 1000 });
  tasks = withTask(tasks, { key: "b", state: "failed", endedAt: 1000 });
  assert.deepEqual(tasks.map((task) => [task.title, task.state]), [["A", "done"], ["b", "failed"]]);
  assert.deepEqual(withoutOld(tasks, 5000, 3000).map((task) => task.key), ["b"]);
  assert.deepEqual(withoutTask(tasks, "b").map((task) => task.key), ["a"]);
});

test("an event makes a task while a desktop is on its way, and ends the one it made", () => {
  assert.equal(taskState("booting", false), "running");
  assert.equal(taskState("running", true), "done");
  assert.equal(taskState("running", false), null);
  assert.equal(taskState("failed", false), "failed");
  assert.equal(taskState(undefined, true), null);
});

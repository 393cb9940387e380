// Beside each action: the same as a command and as a call.
import assert from "node:assert/strict";
import { test } from "node:test";
import { command, curl, flavourName, options, shellWord, userName, vmName } from "../../qvdnode/web/static/core/commands.js";
import { KINDS, kindNamed } from "../../qvdnode/web/static/core/kinds/index.js";
import { importCommand } from "../../qvdnode/web/static/core/kinds/images.js";
import { actionsFor, keyOf, pathOf } from "../../qvdnode/web/static/core/kinds/kind.js";
import { STATIC_COMMANDS, SAMPLES } from "./samples.mjs";

test("a word with blanks or quotes stays one word of the shell", () => {
  assert.equal(shellWord("plain-1.2"), "plain-1.2");
  assert.equal(shellWord("it's"), `'it'\\''s'`);
  assert.equal(shellWord(""), "''");
  assert.equal(command("qvd", "x", "$(reboot)"), "qvd x '$(reboot)'");
});

test("objects have the names that qvd takes", () => {
  assert.equal(userName({ login: "ana", tenant: "default" }), "ana");
  assert.equal(userName({ login: "ana", tenant: "school" }), "ana@school");
  assert.equal(userName({ login: "ana@corp.example", tenant: "default" }), "ana@corp.example@default");
  assert.equal(flavourName({ name: "office", tenant: "school" }), "office@school");
  assert.equal(vmName({ name: "desk", user: "ana", tenant: "school" }), "ana@school/desk");
});

test("fields of a body become options", () => {
  assert.deepEqual(options({ name: "x", memory_mib: 512, egress: false, nesting: true, application: null }, ["name"]),
    ["--memory-mib", 512, "--no-egress", "--nesting", "--application", ""]);
});

test("a call is written for curl without the token", () => {
  const call = { method: "POST", path: "/vms/7/stop", body: { a: "it's" } };
  assert.equal(curl(call, "https://n:8444"),
    `curl -X POST https://n:8444/api/v1/vms/7/stop -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"a":"it'\\''s"}'`);
});

test("an import as a command", () => {
  assert.equal(importCommand("", "", "", false), "qvd image import IMAGE FILE");
  assert.equal(importCommand("xfce", "x.tar", "May", true), "qvd image import xfce ./x.tar --note May --add-session");
});

test("every action has a call and a command for a sample of its kind", () => {
  for (const [page, kind] of Object.entries(KINDS)) {
    for (const row of SAMPLES[page]) {
      for (const action of actionsFor(kind, row)) {
        const call = action.call(row, {});
        assert.match(call.method, /^(POST|PUT|PATCH|DELETE)$/, `${page} ${action.name}`);
        assert.match(call.path, /^\/[a-z]/, `${page} ${action.name}`);
        assert.match(action.command(row, {}), /^qvd [a-z]+ [a-z-]+ /, `${page} ${action.name}`);
      }
    }
  }
});

test("every action is shown by one sample at least", () => {
  for (const [page, kind] of Object.entries(KINDS)) {
    const shown = new Set(SAMPLES[page].flatMap((row) => actionsFor(kind, row).map((action) => action.name)));
    assert.deepEqual(kind.actions.filter((action) => !action.onlyBulk).map((action) => action.name).filter((name) => !shown.has(name)), [], page);
  }
});

test("desktops that nobody uses can be stopped together, and only together", () => {
  const stop = KINDS.vms.actions.find((action) => action.onlyBulk);
  const row = { id: 7, state: "running", viewer: false };
  assert.ok(stop.applies(row) && stop.applies({ ...row, state: "hibernated" }));
  assert.ok(!stop.applies({ ...row, viewer: true }) && !stop.applies({ ...row, state: "booting" }));
  assert.ok(!actionsFor(KINDS.vms, row).includes(stop));
  assert.deepEqual(stop.call(row, {}), { method: "POST", path: "/vms/7/stop" });
});

test("what can be undone names an action that does it", () => {
  for (const kind of Object.values(KINDS)) {
    for (const action of kind.actions.filter((one) => one.undo)) {
      assert.ok(kind.actions.some((other) => other.name === action.undo), action.name);
    }
  }
});

test("what destroys asks for the name, and never goes without a question", () => {
  for (const kind of Object.values(KINDS)) {
    for (const action of kind.actions.filter((one) => one.call(SAMPLES[kind.page][0], {}).method === "DELETE")) {
      assert.ok(action.destroys || action.confirm, `${kind.page} ${action.name}`);
    }
  }
});

test("links of a row lead to objects that it has", () => {
  for (const [page, kind] of Object.entries(KINDS)) {
    for (const row of SAMPLES[page]) {
      for (const column of [...kind.columns, ...(kind.facts ?? [])].filter((one) => one.to)) {
        const to = column.to(row);
        if (to) assert.ok(KINDS[to[0]].single && to[1], `${page} ${column.name}`);
      }
      assert.ok(kind.title(row));
    }
  }
});

test("kinds are found by the name that events use, and know their paths", () => {
  assert.equal(kindNamed("vm"), KINDS.vms);
  assert.equal(kindNamed("nothing"), undefined);
  assert.equal(pathOf(KINDS.images, keyOf(KINDS.images, { id: 3, name: "a b" })), "/images/a%20b");
  assert.equal(keyOf(KINDS.users, { id: 3 }), 3);
});

test("lists and new objects have a command too", () => {
  assert.ok(STATIC_COMMANDS.length > 15);
  for (const line of STATIC_COMMANDS) assert.match(line, /^qvd [a-z]+ [a-z-]+/);
});

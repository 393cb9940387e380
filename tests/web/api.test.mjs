// Calls of the API when the network or the node misbehaves, with a pretended fetch.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { call, onSignedOut } from "../../qvdnode/web/static/api.js";
import { Problem, Unreachable } from "../../qvdnode/web/static/core/problem.js";

const real = globalThis.fetch;
afterEach(() => { globalThis.fetch = real; });

/** Answers in turn; an error is thrown. */
function answering(...answers) {
  const asked = [];
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return asked;
}
const json = (status, body) => new Response(JSON.stringify(body), { status });
const cut = () => new TypeError("network changed");

test("what only reads is asked again when the network changed", async () => {
  const asked = answering(cut(), cut(), json(200, { items: [] }));
  assert.deepEqual(await call("GET", "/users"), { items: [] });
  assert.equal(asked.length, 3);
});

test("a node that stays away is told", async () => {
  answering(cut(), cut(), cut());
  await assert.rejects(call("GET", "/users"), Unreachable);
});

test("what writes is sent once, since it may have arrived", async () => {
  const asked = answering(cut(), json(201, {}));
  await assert.rejects(call("POST", "/users", { login: "ana" }), Unreachable);
  assert.equal(asked.length, 1);
});

test("a call says what it sends, and whether somebody is there", async () => {
  const asked = answering(json(201, { id: 1 }), json(200, {}), new Response(null, { status: 204 }));
  await call("POST", "/users", { login: "ana" });
  await call("GET", "/users", undefined, { background: true });
  assert.equal(await call("DELETE", "/users/1"), null);
  assert.deepEqual(asked.map((one) => one.headers),
    [{ "Content-Type": "application/json" }, { "X-Background": "1" }, {}]);
  assert.deepEqual(asked.map((one) => [one.url, one.body]),
    [["/api/v1/users", '{"login":"ana"}'], ["/api/v1/users", undefined], ["/api/v1/users/1", undefined]]);
});

test("an error is the server's own, even without a body", async () => {
  answering(json(409, { code: "conflict", detail: "In use.", status: 409 }), new Response("<html>", { status: 502 }));
  await assert.rejects(call("GET", "/users"), (error) => error instanceof Problem && error.code === "conflict" && error.message === "In use.");
  await assert.rejects(call("GET", "/users"), (error) => error instanceof Problem && error.status === 502);
});

test("whoever is not logged in any more is told so once for all", async () => {
  let told = 0;
  onSignedOut(() => { told += 1; });
  answering(json(401, { code: "unauthenticated", detail: "Log in." }));
  await assert.rejects(call("GET", "/users"), Problem);
  assert.equal(told, 1);
});

test("a call that the page gave up is no fault of the node", async () => {
  const leaving = new AbortController();
  leaving.abort();
  answering(new DOMException("gone", "AbortError"));
  await assert.rejects(call("GET", "/users", undefined, { signal: leaving.signal }), { name: "AbortError" });
});

// What a page offers follows from what the session says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mayCall } from "../../qvdnode/web/static/core/rights.js";

const ALLOWED = ["GET /vms", "GET /vms/{id}", "POST /vms/{id}/start", "GET /images/{name}"];

test("a call is allowed by its method and the shape of its path", () => {
  assert.ok(mayCall(ALLOWED, "GET", "/vms"));
  assert.ok(mayCall(ALLOWED, "POST", "/vms/7/start"));
  assert.ok(mayCall(ALLOWED, "GET", "/images/icewm"));
  assert.ok(!mayCall(ALLOWED, "DELETE", "/vms/7"));
  assert.ok(!mayCall(ALLOWED, "POST", "/vms/7/stop"));
  assert.ok(!mayCall(ALLOWED, "POST", "/vms"));
  assert.ok(!mayCall([], "GET", "/vms"));
});

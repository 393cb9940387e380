// Uploads go on where they stopped, and give up in the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRIES, above, below, keyOf, sendParts, sizeText } from "../../qvdnode/web/static/my/transfers.js";

/** A server that keeps what comes; `faults` are thrown at those requests. */
function server(size, faults = {}) {
  const said = { asked: [], received: 0 };
  said.put = async (begin, end) => {
    const number = said.asked.push([begin, end]) - 1;
    if (faults[number]) throw new Error(faults[number]);
    if (begin === said.received) said.received = end;
    return { received_bytes: said.received, done: said.received === size };
  };
  return said;
}
const how = (more = {}) => ({ part: 4, progress: () => {}, again: () => true, wait: async () => {}, ...more });

test("a file goes in parts, after asking what is there", async () => {
  const kept = server(10);
  const seen = [];
  await sendParts(10, kept.put, how({ progress: (received) => seen.push(received) }));
  assert.deepEqual(kept.asked, [[0, 0], [0, 4], [4, 8], [8, 10]]);
  assert.deepEqual(seen, [0, 4, 8, 10]);
});

test("an upload goes on where an earlier one stopped", async () => {
  const kept = server(10);
  kept.received = 8;
  await sendParts(10, kept.put, how());
  assert.deepEqual(kept.asked, [[0, 0], [8, 10]]);
});

test("after a fault it asks again and goes on", async () => {
  const kept = server(8, { 2: "away" });
  await sendParts(8, kept.put, how());
  assert.deepEqual(kept.asked, [[0, 0], [0, 4], [4, 8], [4, 4], [4, 8]]);
});

test("it gives up after so many faults, and at once for those that stay", async () => {
  const waits = [];
  await assert.rejects(sendParts(8, async () => { throw new Error("away"); }, how({ wait: async (ms) => { waits.push(ms); } })), /away/);
  assert.equal(waits.length, TRIES - 1);
  await assert.rejects(sendParts(8, async () => { throw new Error("full"); }, how({ again: () => false })), /full/);
});

test("a server that takes nothing does not keep it busy for ever", async () => {
  await assert.rejects(sendParts(8, async () => ({ received_bytes: 0, done: false }), how()), /does not arrive/);
});

test("an empty file needs one request", async () => {
  const kept = server(0);
  await sendParts(0, kept.put, how());
  assert.deepEqual(kept.asked, [[0, 0]]);
});

test("the key is of the file and the folder", async () => {
  const file = { name: "a", size: 1, lastModified: 2 };
  const key = await keyOf("x", file);
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.equal(await keyOf("x", { ...file }), key);
  assert.notEqual(await keyOf("y", file), key);
  assert.notEqual(await keyOf("x", { ...file, lastModified: 3 }), key);
});

test("sizes and paths", () => {
  assert.equal(sizeText(0, "en"), "0 B");
  assert.equal(sizeText(1536, "es"), "1,5 KiB");
  assert.equal(sizeText(5 * 1024 ** 4, "en"), "5 TiB");
  assert.deepEqual([above("a/b/c"), above("a"), below("", "a"), below("a", "b")], ["a/b", "", "a", "a/b"]);
});

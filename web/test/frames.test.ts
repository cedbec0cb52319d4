import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameDecoder, wrapLongitude } from "../src/client/frames.ts";

const CELL = "cell:871f8d4b0ffffff";
const OTHER = "cell:871f8d4b1ffffff";
const NOW = 1_800_000_000_000;

function decoder(): FrameDecoder {
  const riders = new FrameDecoder(200);
  riders.take({ topic: CELL, origin: [46.5, 10.4], riders: [[7, 1000, -2000, 45, 139, 5]], snapshot: true }, NOW);
  return riders;
}

test("a row is an offset from the origin of its topic's last snapshot", () => {
  const { seen } = decoder().take({ topic: CELL, riders: [[8, -100, 100, 179, 0, 0]] }, NOW + 10);
  assert.equal(seen.length, 1);
  assert.ok(Math.abs(seen[0]!.latitude - 46.499) < 1e-9);
  assert.ok(Math.abs(seen[0]!.longitude - 10.401) < 1e-9);
  assert.equal(seen[0]!.heading, 358);
  assert.equal(seen[0]!.speed, 0);
  assert.equal(seen[0]!.heardAt, NOW + 10);
});

test("age counts back from the arrival of the frame; -1 is unknown", () => {
  const riders = new FrameDecoder(200);
  const frame = { topic: CELL, origin: [0, 0] as [number, number], riders: [[1, 0, 0, -1, -1, 10]] as never, snapshot: true };
  const sighting = riders.take(frame, NOW).seen[0]!;
  assert.deepEqual([sighting.heading, sighting.speed, sighting.heardAt], [null, null, NOW - 2000]);
});

test("a snapshot replaces what was known of its topic", () => {
  const riders = decoder();
  const changes = riders.take({ topic: CELL, origin: [46.5, 10.4], riders: [[9, 0, 0, 0, 0, 0]], snapshot: true }, NOW);
  assert.deepEqual(changes.gone, [7]);
  assert.equal(riders.newest(7), null);
});

test("an empty snapshot has no origin and empties its topic", () => {
  assert.deepEqual(decoder().take({ topic: CELL, snapshot: true }, NOW).gone, [7]);
});

test("a topic without an origin is not known yet: its rows are nowhere until a snapshot says from where they count", () => {
  const riders = new FrameDecoder(200);
  const nothing = { seen: [], gone: [] };
  assert.deepEqual(riders.take({ topic: OTHER, snapshot: true }, NOW), nothing);
  assert.deepEqual(riders.take({ topic: OTHER, riders: [[7, 1000, -2000, 45, 139, 5]], gone: [8] }, NOW), nothing);
  assert.deepEqual(riders.retain(() => false), []);
  const { seen } = riders.take({ topic: OTHER, origin: [46.5, 10.4], riders: [[7, 0, 0, 0, 0, 0]], snapshot: true }, NOW);
  assert.ok(Math.abs(seen[0]!.longitude - 10.4) < 1e-9);
});

test("who leaves one cell for another is not gone, in whatever order the frames come", () => {
  const riders = decoder();
  riders.take({ topic: OTHER, origin: [46.6, 10.4], riders: [[7, 0, 0, 0, 0, 0]], snapshot: true }, NOW + 200);
  assert.deepEqual(riders.take({ topic: CELL, gone: [7] }, NOW + 200).gone, []);
  assert.deepEqual(riders.take({ topic: OTHER, gone: [7] }, NOW + 400).gone, [7]);
});

test("an older position on another topic does not move a rider back", () => {
  const riders = decoder();
  const changes = riders.take({ topic: OTHER, origin: [0, 0], riders: [[7, 0, 0, 0, 0, 50]], snapshot: true }, NOW);
  assert.deepEqual(changes.seen, []);
  assert.ok(riders.newest(7)!.latitude > 46);
});

test("topics that are watched no more take their riders with them", () => {
  const riders = decoder();
  riders.take({ topic: "rider:3", origin: [0, 0], riders: [[3, 0, 0, 0, 0, 0]], snapshot: true }, NOW);
  assert.deepEqual(riders.retain((topic) => topic.startsWith("rider:")), [7]);
  assert.equal(riders.newest(3)?.rider, 3);
});

test("positions across the antimeridian stay between -180 and 180", () => {
  const riders = new FrameDecoder();
  const frame = { topic: CELL, origin: [0, 179.999] as [number, number], riders: [[1, 0, 500, 0, 0, 0]] as never, snapshot: true };
  assert.ok(Math.abs(riders.take(frame, NOW).seen[0]!.longitude - -179.996) < 1e-9);
  assert.equal(wrapLongitude(540), -180);
});

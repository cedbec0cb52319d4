import assert from "node:assert/strict";
import { test } from "node:test";

import { distance } from "../src/geo.ts";
import { carriedSeconds, Motion } from "../src/riders/motion.ts";

const START = { rider: 1, latitude: 46.5, longitude: 10.4, heading: 0, speed: 20, heardAt: 0 };

test("a dot is carried on along its heading for a moment, then comes to rest", () => {
  const motion = new Motion(START);
  const after = (ms: number): number => distance(START, motion.at(ms));
  assert.ok(Math.abs(after(1000) - 20) < 0.1);
  assert.ok(after(60_000) < 20 * 2.6);
  assert.ok(carriedSeconds(1.31) - carriedSeconds(1.29) < 0.03);
});

test("a new position moves the dot without a jump, and it arrives", () => {
  const motion = new Motion(START);
  const before = motion.at(1000);
  motion.take({ ...START, latitude: 46.5004, heading: 90, heardAt: 1000 }, 1000, false);
  assert.ok(distance(before, motion.at(1000)) < 0.01);
  assert.ok(distance(before, motion.at(1016)) < 3);
  const settled = motion.at(3500);
  assert.ok(Math.abs(settled.latitude - 46.5004) < 1e-6);
});

test("after a leap the dot is simply there", () => {
  const motion = new Motion(START);
  motion.take({ ...START, latitude: 46.6, speed: null, heardAt: 1000 }, 1000, false);
  assert.equal(motion.at(1000).latitude, 46.6);
});

test("who asked for stillness sees positions as they came", () => {
  const motion = new Motion(START);
  motion.take({ ...START, latitude: 46.5004, heardAt: 1000 }, 1000, true);
  assert.equal(motion.at(1900).latitude, 46.5004);
});

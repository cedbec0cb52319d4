import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest, pathThrough, rangeOf, roundStep } from "../src/tracks/scale.ts";

test("steps are 1, 2 or 5 times a power of ten", () => {
  assert.deepEqual([1, 7, 40, 950, 0.3].map((span) => roundStep(span, 4)), [0.5, 2, 10, 500, 0.1]);
});

test("a range has round ends around all values, and is never flat", () => {
  assert.deepEqual(rangeOf([612, null, 1388], 30), { from: 500, to: 1500 });
  assert.deepEqual(rangeOf([100, 100], 30), { from: 100, to: 110 });
  assert.deepEqual(rangeOf([-12, 3], 5), { from: -15, to: 5 });
  assert.equal(rangeOf([null, null], 5), null);
});

test("a line is broken where nothing was measured", () => {
  const nowhere = new Set<number>();
  assert.equal(pathThrough([0, 1, 2, 3, 4], [5, 6, null, 7, 8], nowhere), "M0.0 5.0L1.0 6.0M3.0 7.0L4.0 8.0");
  assert.equal(pathThrough([0, 1, 2, 3], [5, 6, 7, 8], new Set([0, 2])), "M0.0 5.0L1.0 6.0M2.0 7.0L3.0 8.0");
  assert.equal(pathThrough([0, 1], [null, null], nowhere), "");
});

test("the nearest place is found, beyond the ends too", () => {
  const metres = [0, 10, 10, 40];
  assert.deepEqual([-5, 4, 6, 10, 24, 26, 99].map((at) => nearest(metres, at)), [0, 0, 1, 1, 2, 3, 3]);
});

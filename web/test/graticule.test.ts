import assert from "node:assert/strict";
import { test } from "node:test";

import { degreeWords, multiples, stepAt } from "../src/map/graticule.ts";

test("lines stay apart at every zoom, and get finer with it", () => {
  for (let zoom = 1; zoom <= 18; zoom++) {
    assert.ok(stepAt(zoom) >= stepAt(zoom + 1));
    assert.ok((stepAt(zoom) * 512 * 2 ** zoom) / 360 >= 85);
  }
});

test("degrees, minutes and seconds are named, with the side of the Earth", () => {
  assert.equal(degreeWords(46.5, "N", "S"), "46° 30′ N");
  assert.equal(degreeWords(-33.0042, "N", "S"), "33° 00′ 15″ S");
  assert.equal(degreeWords(0, "E", "W"), "0°");
  assert.equal(degreeWords(-180, "E", "W"), "180°");
});

test("multiples include both ends", () => {
  assert.deepEqual(multiples(10, 30, 10), [10, 20, 30]);
  assert.deepEqual(multiples(-0.4, 0.4, 0.5), [0]);
});

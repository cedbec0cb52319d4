import assert from "node:assert/strict";
import { test } from "node:test";

import { hasAltitude } from "../../src/tracks/detail.ts";

test("a climb is known when one altitude was measured", () => {
  assert.equal(hasAltitude({ altitude: [null, null] }), false);
  assert.equal(hasAltitude({ altitude: [] }), false);
  assert.equal(hasAltitude({ altitude: [null, 0] }), true);
});

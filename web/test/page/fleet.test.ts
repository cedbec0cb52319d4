import assert from "node:assert/strict";
import { test } from "node:test";

import type { LocationFrame } from "../../src/client/index.ts";
import { Fleet } from "../../src/riders/fleet.ts";

const ME = 7;

/** What the server says of me, heard so many ticks of 200 ms before. */
function frame(age: number): LocationFrame {
  return { topic: "cell:x", origin: [46.5, 10.4], snapshot: true, riders: [[ME, 0, 0, -1, -1, age]] } as unknown as LocationFrame;
}

test("who stopped riding is off the map, whatever the server remembers, until they ride again", () => {
  const fleet = new Fleet();
  fleet.takeLocal({ rider: ME, latitude: 46.5, longitude: 10.4, heading: null, speed: 0, heardAt: 1_000 }, 1_000);
  assert.equal(fleet.present(1_000).length, 1);
  fleet.forget(ME, 2_000);
  fleet.take(frame(1), 2_500);
  assert.equal(fleet.present(2_500).length, 0);
  fleet.take(frame(300), 62_000);
  assert.equal(fleet.present(62_000).length, 0);
  fleet.take(frame(1), 70_000);
  assert.equal(fleet.present(70_000).length, 1);
});

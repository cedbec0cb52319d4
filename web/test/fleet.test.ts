import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocationFrame } from "../src/client/index.ts";
import { Fleet } from "../src/riders/fleet.ts";

const NOW = 1_800_000_000_000;

test("a rider nobody has heard of for long is forgotten with their name and when it was asked for", () => {
  const fleet = new Fleet();
  fleet.takeLocal({ rider: 7, latitude: 46.5, longitude: 10.4, heading: null, speed: 12, heardAt: NOW }, NOW);
  fleet.get(7)!.nameAskedAt = NOW;
  assert.equal(fleet.present(NOW + 1000).length, 1);
  assert.equal(fleet.present(NOW + 400_000).length, 0);
  assert.equal(fleet.get(7)!.nameAskedAt, NOW);
  fleet.present(NOW + 700_000);
  assert.equal(fleet.get(7), null);
});

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

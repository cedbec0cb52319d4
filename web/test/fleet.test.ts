import assert from "node:assert/strict";
import { test } from "node:test";
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

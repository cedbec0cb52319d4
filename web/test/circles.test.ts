import assert from "node:assert/strict";
import { test } from "node:test";
import { distance } from "../src/geo.ts";
import { circles } from "../src/map/circles.ts";

const ring = (latitude: number, longitude: number, radiusMetres: number) =>
  circles([{ middle: { latitude, longitude }, radiusMetres, properties: { name: "home" } }]).features[0]!.geometry.coordinates[0]!;

test("every corner is the radius away, in the south, the north and beyond 180°", () => {
  for (const [latitude, longitude] of [[46.5, 10.45], [-33.9, 151.2], [69.6, 18.9], [-17.7, 179.99]] as const) {
    for (const [east, north] of ring(latitude, longitude, 5000)) {
      const away = distance({ latitude, longitude }, { latitude: north!, longitude: east! });
      assert.ok(Math.abs(away - 5000) < 25, `${away} m`);
    }
  }
});

test("a ring is closed, and keeps what it stands for", () => {
  const corners = ring(46.5, 10.45, 100);
  assert.deepEqual(corners[0], corners.at(-1));
  assert.deepEqual(circles([]).features, []);
});

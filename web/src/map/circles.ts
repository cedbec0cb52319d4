/** Circles on the ground as shapes: as many metres wide everywhere, whatever the map's projection makes of them. */

import type { FeatureCollection, Polygon } from "geojson";

import { ahead, type Place } from "../geo.ts";

const CORNERS = 72;

export interface Circle {
  middle: Place;
  radiusMetres: number;
  properties: Record<string, string | boolean>;
}

/** A polygon for each circle; one across 180° goes on beyond it. */
export function circles(drawn: readonly Circle[]): FeatureCollection<Polygon> {
  const features = drawn.map(({ middle, radiusMetres, properties }) => {
    const ring = Array.from({ length: CORNERS + 1 }, (_, corner) => {
      const { latitude, longitude } = ahead(middle, ((corner % CORNERS) * 360) / CORNERS, radiusMetres);
      return [longitude, latitude];
    });
    return { type: "Feature" as const, properties, geometry: { type: "Polygon" as const, coordinates: [ring] } };
  });
  return { type: "FeatureCollection", features };
}

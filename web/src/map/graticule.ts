/** Lines of latitude and longitude that suit the zoom, and how they are named. */

import type { Feature, FeatureCollection, LineString } from "geojson";

/** Steps in degrees: whole degrees, then minutes and seconds of arc. */
const STEPS = [30, 15, 10, 5, 2, 1, 30 / 60, 15 / 60, 10 / 60, 5 / 60, 2 / 60, 1 / 60, 30 / 3600, 15 / 3600, 5 / 3600];
const LEAST_GAP_PIXELS = 150;
const LARGEST_LATITUDE = 85;

export interface Extent {
  west: number;
  south: number;
  east: number;
  north: number;
}

/** The finest step (degrees) whose lines stay well apart at this zoom (512-pixel tiles). */
export function stepAt(zoom: number): number {
  const pixelsPerDegree = (512 * 2 ** zoom) / 360;
  return STEPS.filter((step) => step * pixelsPerDegree >= LEAST_GAP_PIXELS).at(-1) ?? STEPS[0]!;
}

/** Multiples of the step from `low` to `high`. */
export function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.max(0, Math.floor(high / step + 1e-9) - first + 1);
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

/** The lines within an extent. */
export function graticule(extent: Extent, step: number): FeatureCollection<LineString> {
  const south = Math.max(extent.south, -LARGEST_LATITUDE);
  const north = Math.min(extent.north, LARGEST_LATITUDE);
  const meridians = multiples(extent.west, extent.east, step).map((longitude) => line([longitude, south], [longitude, north]));
  const parallels = multiples(south, north, step).map((latitude) => line([extent.west, latitude], [extent.east, latitude]));
  return { type: "FeatureCollection", features: [...meridians, ...parallels] };
}

/** "46° 30′ N". */
export function degreeWords(value: number, positive: string, negative: string): string {
  const seconds = Math.round(Math.abs(value) * 3600);
  const [whole, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  let words = `${whole}°`;
  if (minutes > 0 || rest > 0) words += ` ${String(minutes).padStart(2, "0")}′`;
  if (rest > 0) words += ` ${String(rest).padStart(2, "0")}″`;
  if (seconds === 0 || (positive === "E" && whole === 180)) return words;
  return `${words} ${value > 0 ? positive : negative}`;
}

function line(...coordinates: [number, number][]): Feature<LineString> {
  return { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates } };
}

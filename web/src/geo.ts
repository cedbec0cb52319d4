/** Distances and directions on the sphere, good to half a percent: for showing, not for records. */

export interface Place {
  latitude: number;
  longitude: number;
}

const EARTH_RADIUS_METRES = 6_371_008.8;
const METRES_PER_DEGREE = (Math.PI / 180) * EARTH_RADIUS_METRES;

/** Metres between two places along the great circle. */
export function distance(from: Place, to: Place): number {
  const [south, north] = [radians(from.latitude), radians(to.latitude)];
  const rise = Math.sin((north - south) / 2) ** 2;
  const turn = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  return 2 * EARTH_RADIUS_METRES * Math.asin(Math.min(1, Math.sqrt(rise + Math.cos(south) * Math.cos(north) * turn)));
}

/** The place `metres` away (a few kilometres at most) in the direction `heading` (degrees from north). */
export function ahead(from: Place, heading: number, metres: number): Place {
  const north = (metres * Math.cos(radians(heading))) / METRES_PER_DEGREE;
  const shrink = Math.max(Math.cos(radians(from.latitude)), 0.01);
  const east = (metres * Math.sin(radians(heading))) / (METRES_PER_DEGREE * shrink);
  return { latitude: from.latitude + north, longitude: from.longitude + east };
}

/** Degrees from north in which `to` lies from `from`. */
export function bearing(from: Place, to: Place): number {
  const shrink = Math.cos(radians((from.latitude + to.latitude) / 2));
  const east = shortestTurn(to.longitude - from.longitude) * shrink;
  return (degrees(Math.atan2(east, to.latitude - from.latitude)) + 360) % 360;
}

/** The same turn between -180 and 180 degrees. */
export function shortestTurn(turn: number): number {
  return ((((turn + 180) % 360) + 360) % 360) - 180;
}

function radians(angle: number): number {
  return (angle * Math.PI) / 180;
}

function degrees(angle: number): number {
  return (angle * 180) / Math.PI;
}

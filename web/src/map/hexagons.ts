/** H3 cells as shapes. The library is fetched when the first one is needed. */

import type { Feature, FeatureCollection, Point, Polygon, Position } from "geojson";

const load = (): Promise<typeof import("h3-js")> => import("h3-js");

/** Outlines of cells. */
export async function outlines(cells: readonly string[]): Promise<FeatureCollection<Polygon>> {
  const { cellToBoundary } = await load();
  const features = cells.map((cell) => hexagon(cellToBoundary(cell, true), {}));
  return { type: "FeatureCollection", features };
}

/** Cells with how many riders are in each; a point in the middle of each carries the number. */
export async function counted(cells: readonly (readonly [string, number])[]): Promise<FeatureCollection<Polygon | Point>> {
  const { cellToBoundary, cellToLatLng } = await load();
  const features = cells.flatMap(([cell, count]) => {
    const [latitude, longitude] = cellToLatLng(cell);
    const middle: Point = { type: "Point", coordinates: [longitude, latitude] };
    const properties = { count: Math.max(1, count), label: count.toLocaleString() };
    return [hexagon(cellToBoundary(cell, true), properties), { type: "Feature" as const, properties, geometry: middle }];
  });
  return { type: "FeatureCollection", features };
}

/** West, south, east, north of a cell; east may be beyond 180°. */
export async function extentOf(cell: string): Promise<[number, number, number, number]> {
  const { cellToBoundary } = await load();
  const ring = unbroken(cellToBoundary(cell, true));
  const [longitudes, latitudes] = [ring.map((corner) => corner[0]!), ring.map((corner) => corner[1]!)];
  return [Math.min(...longitudes), Math.min(...latitudes), Math.max(...longitudes), Math.max(...latitudes)];
}

function hexagon(ring: Position[], properties: Record<string, unknown>): Feature<Polygon> {
  return { type: "Feature", properties, geometry: { type: "Polygon", coordinates: [unbroken(ring)] } };
}

/** A cell across 180° as one piece, going on beyond it. */
function unbroken(ring: Position[]): Position[] {
  const longitudes = ring.map((corner) => corner[0]!);
  if (Math.max(...longitudes) - Math.min(...longitudes) <= 180) return ring;
  return ring.map(([longitude, latitude]) => [longitude! < 0 ? longitude! + 360 : longitude!, latitude!]);
}

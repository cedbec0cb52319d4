/** H3 cells as shapes. The library is fetched when the first one is needed. */

import type { Feature, FeatureCollection, Polygon, Position } from "geojson";

const load = (): Promise<typeof import("h3-js")> => import("h3-js");

/** Outlines of cells. */
export async function outlines(cells: readonly string[]): Promise<FeatureCollection<Polygon>> {
  const { cellToBoundary } = await load();
  const features = cells.map((cell) => hexagon(cellToBoundary(cell, true), {}));
  return { type: "FeatureCollection", features };
}

/** Cells with how many riders are in each. */
export async function counted(cells: readonly (readonly [string, number])[]): Promise<FeatureCollection<Polygon>> {
  const { cellToBoundary } = await load();
  const features = cells.map(([cell, count]) =>
    hexagon(cellToBoundary(cell, true), { count: Math.max(1, count), label: count.toLocaleString() }),
  );
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

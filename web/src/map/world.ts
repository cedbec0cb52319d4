/** Coasts and borders for the far view: Natural Earth (public domain), fetched once somebody zooms out that far. */

import type { Feature, FeatureCollection, MultiPolygon, Position } from "geojson";
import type { GeoJSONSource, Map as LiveMap } from "maplibre-gl";
import atlasUrl from "world-atlas/countries-50m.json?url";

import { request } from "../api.ts";

/** Above this zoom the outlines are too coarse to be shown. */
export const WORLD_ENDS_AT_ZOOM = 9;

/** TopoJSON, as far as this file uses it. */
interface Topology {
  transform: { scale: [number, number]; translate: [number, number] };
  arcs: [number, number][][];
  objects: { countries: { geometries: Shape[] } };
}
type Shape = { type: "Polygon"; arcs: number[][] } | { type: "MultiPolygon"; arcs: number[][][] } | { type: null };

/** Fill the source once the map is zoomed out far enough to need it. */
export function bringWorld(map: LiveMap, source: string): void {
  let asked = false;
  const look = (): void => {
    if (asked || map.getZoom() > WORLD_ENDS_AT_ZOOM) return;
    asked = true;
    void fetchWorld().then((world) => map.getSource<GeoJSONSource>(source)?.setData(world), () => (asked = false));
  };
  map.on("moveend", look);
  look();
}

async function fetchWorld(): Promise<FeatureCollection<MultiPolygon>> {
  const answer = await request(atlasUrl);
  if (!answer.ok) throw new Error(`no outlines: ${answer.status}`);
  const topology = (await answer.json()) as Topology;
  const arcs = topology.arcs.map((arc) => decodeArc(arc, topology.transform));
  const features = topology.objects.countries.geometries.map((shape) => featureOf(shape, arcs));
  return { type: "FeatureCollection", features };
}

/** Deltas of a quantised arc as degrees. */
function decodeArc(arc: [number, number][], { scale, translate }: Topology["transform"]): Position[] {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
  });
}

function featureOf(shape: Shape, arcs: Position[][]): Feature<MultiPolygon> {
  const polygons = shape.type === "MultiPolygon" ? shape.arcs : shape.type === "Polygon" ? [shape.arcs] : [];
  const coordinates = polygons.map((polygon) => polygon.map((ring) => joined(ring, arcs)));
  return { type: "Feature", properties: {}, geometry: { type: "MultiPolygon", coordinates } };
}

/** A ring from its arcs; a negative number is the arc `~number`, backwards. Neighbours share their end points. */
function joined(ring: number[], arcs: Position[][]): Position[] {
  const corners = ring.flatMap((number, index) => {
    const arc = number < 0 ? [...arcs[~number]!].reverse() : arcs[number]!;
    return index === 0 ? arc : arc.slice(1);
  });
  return unrolled(corners);
}

/** A ring across 180° goes on beyond it; one around the pole (Antarctica) is led along the edge of the map. */
function unrolled(ring: Position[]): Position[] {
  let turns = 0;
  const flat = ring.map(([longitude, latitude], index) => {
    const before = index === 0 ? longitude! : ring[index - 1]![0]!;
    if (longitude! - before > 180) turns -= 360;
    else if (longitude! - before < -180) turns += 360;
    return [longitude! + turns, latitude!];
  });
  const [first, last] = [flat[0]![0]!, flat.at(-1)![0]!];
  return Math.abs(last - first) < 180 ? flat : [...flat, [last, -90], [first, -90], flat[0]!];
}

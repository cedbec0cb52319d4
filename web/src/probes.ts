/**
 * `window.__throttlecove`: what tests may read of the page. Reads only; nothing of the page depends on it.
 *
 * `connection()` is `connecting`, `live`, `waiting` or `ended`; `latency()` in ms or null; `idle()` whether the map has
 * loaded and drawn everything and does not move; `riders()` those painted on screen (pixels of the page); `following()`
 * a rider's number or null; `trailLength(rider)` the points of a trail; `sight()` what is watched: `none`, `blank`,
 * `riders` or `density`; `cells()` the watched cells; `density()` the counts; `view()` the camera; `ride()` the figures
 * of one's own ride; `zones()` the names of the privacy zones drawn on screen.
 */

import type { LiveMap } from "./map/live-map.ts";
import type { Connection } from "./client/index.ts";
import type { OwnRide } from "./ride.ts";
import type { Fleet } from "./riders/fleet.ts";
import type { Stage } from "./stage.ts";
import type { Viewport } from "./viewport.ts";

export interface Probed {
  connection: Connection;
  map: LiveMap;
  stage: Stage;
  fleet: Fleet;
  viewport: Viewport;
  ride: OwnRide;
}

/** Offer the probes of a page; returns how to take them away. */
export function offerProbes({ connection, map, stage, fleet, viewport, ride }: Probed): () => void {
  const sight = () => viewport.sight;
  const probes = Object.freeze({
    connection: () => connection.state.kind,
    latency: () => connection.latencyMs,
    idle: () => map.gl.loaded() && !map.gl.isMoving(),
    view: () => map.view,
    following: () => stage.followed,
    trailLength: (rider: number) => fleet.get(rider)?.trail.points.length ?? 0,
    sight: () => sight().kind,
    cells: () => {
      const seen = sight();
      return seen.kind === "riders" ? [...seen.cells] : [];
    },
    density: () => {
      const seen = sight();
      return seen.kind === "density" ? [...(seen.cells ?? [])] : [];
    },
    ride: () => ({ ...ride.figures }),
    riders: () => painted(map, stage, fleet),
    zones: () => zonesOn(map),
  });
  Object.defineProperty(window, "__throttlecove", { value: probes, configurable: true });
  return () => Reflect.deleteProperty(window, "__throttlecove");
}

function zonesOn(map: LiveMap): string[] {
  if (!map.gl.getLayer("zones")) return [];
  const names = map.gl.queryRenderedFeatures({ layers: ["zones"] }).map(({ properties }) => String(properties["name"]));
  return [...new Set(names)].filter((name) => name !== "");
}

function painted(map: LiveMap, stage: Stage, fleet: Fleet): object[] {
  const corner = map.gl.getContainer().getBoundingClientRect();
  const now = Date.now();
  return [...stage.painter.points].flatMap(([number, point]) => {
    const rider = fleet.get(number);
    if (!rider) return [];
    const { heading, speed, heardAt, latitude, longitude } = rider.sighting;
    return [
      {
        rider: number,
        name: rider.name,
        colour: rider.colour,
        x: corner.left + point.x,
        y: corner.top + point.y,
        latitude,
        longitude,
        heading,
        speed,
        ageMs: now - heardAt,
        followed: number === stage.followed,
      },
    ];
  });
}

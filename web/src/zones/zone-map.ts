/** Zones on the map: those that hold, and the one that is being placed in its middle. */

import type { Place } from "../geo.ts";
import { circles, type Circle } from "../map/circles.ts";
import type { LiveMap } from "../map/live-map.ts";
import { SOURCES } from "../map/style.ts";
import type { PrivacyZone } from "./requests.ts";

/** Narrower on the screen, a circle cannot be placed by eye. */
const LEAST_PIXELS = 8;
const NEAR_ENOUGH = 13;

export class ZoneMap {
  readonly #map: LiveMap;
  readonly #animate: () => boolean;
  readonly #takeCamera: () => void;

  /** `takeCamera` is called when the camera is needed: nobody else may move it then. */
  constructor(map: LiveMap, animate: () => boolean, takeCamera: () => void) {
    this.#map = map;
    this.#animate = animate;
    this.#takeCamera = takeCamera;
  }

  /** The middle of what is in sight. */
  get middle(): Place {
    const { latitude, longitude } = this.#map.view;
    return { latitude, longitude };
  }

  /** Whether a circle around the middle is wide enough to be seen. */
  shows(radiusMetres: number): boolean {
    const { latitude, zoom } = this.#map.view;
    const metresPerPixel = (Math.cos((latitude * Math.PI) / 180) * 40_075_017) / (512 * 2 ** zoom);
    return radiusMetres / metresPerPixel >= LEAST_PIXELS;
  }

  draw(zones: readonly PrivacyZone[], draftRadiusMetres: number | null): void {
    const held: Circle[] = zones.map(({ name, latitude, longitude, radius_metres }) => ({
      middle: { latitude, longitude },
      radiusMetres: radius_metres,
      properties: { name, draft: false },
    }));
    const draft = draftRadiusMetres === null ? [] : [{ middle: this.middle, radiusMetres: draftRadiusMetres, properties: { name: "", draft: true } }];
    void this.#map.fill(SOURCES.zones, circles([...held, ...draft]));
  }

  /** Leave the camera to the rider's hands. */
  hold(): void {
    this.#takeCamera();
  }

  show(place: Place): void {
    this.#takeCamera();
    this.#map.fly(place, Math.max(this.#map.gl.getZoom(), NEAR_ENOUGH), this.#animate());
  }

  /** Be told while the map moves; returns how to stop. */
  onMove(look: () => void): () => void {
    this.#map.gl.on("move", look);
    return () => this.#map.gl.off("move", look);
  }
}

/**
 * Tells the server what is in sight, and knows how it answers: single riders in cells, or counts when zoomed out.
 *
 * One request at a time, none while the map only moves within what is watched already.
 */

import { Refused, type Connection, type LocationDensity } from "./client/index.ts";
import type { Extent } from "./map/graticule.ts";
import { asBounds, within, type LiveMap } from "./map/live-map.ts";

/** `none`: not known yet. `blank`: too far out, and this server has no counts. */
export type Sight =
  | { kind: "none" }
  | { kind: "blank" }
  | { kind: "riders"; resolution: number; cells: readonly string[] }
  | { kind: "density"; resolution: number; cells: LocationDensity["cells"] | null };

const MARGIN = 0.08;
const LEAST_PAUSE_MS = 250;
const ZOOM_SLACK = 0.6;

export class Viewport {
  readonly #connection: Connection;
  readonly #map: LiveMap;
  readonly #onChange: (sight: Sight) => void;
  #sight: Sight = { kind: "none" };
  #watched: { extent: Extent; zoom: number } | null = null;
  /** The newest counts; the first ones of a box come before its ack. */
  #counts: LocationDensity | null = null;
  #asking = false;
  #due: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, map: LiveMap, onChange: (sight: Sight) => void) {
    this.#connection = connection;
    this.#map = map;
    this.#onChange = onChange;
    map.gl.on("move", this.#look);
    connection.on("session:ready", this.renew);
    connection.on("location:density", (density) => {
      this.#counts = density;
      if (this.#sight.kind === "density") this.#become({ kind: "density", ...density });
    });
  }

  get sight(): Sight {
    return this.#sight;
  }

  /** Ask again, whatever was watched: the connection is new. */
  readonly renew = (): void => {
    this.#watched = null;
    this.#look();
  };

  /** Stop listening to the map. */
  close(): void {
    this.#map.gl.off("move", this.#look);
    clearTimeout(this.#due);
  }

  readonly #look = (): void => {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      void this.#watch();
    }, LEAST_PAUSE_MS);
  };

  async #watch(): Promise<void> {
    if (this.#asking || this.#connection.state.kind !== "live" || this.#suffices()) return;
    const extent = this.#map.extent(MARGIN);
    const zoom = this.#map.gl.getZoom();
    this.#asking = true;
    this.#watched = { extent, zoom };
    try {
      const ack = await this.#connection.ask("map:watch", { bounds: asBounds(extent), zoom: Math.max(0, zoom) });
      if (!ack.density) this.#become({ kind: "riders", ...ack });
      else this.#become({ kind: "density", resolution: ack.resolution, cells: this.#countsSoFar(ack.resolution) });
    } catch (error) {
      await this.#refused(error);
    } finally {
      this.#asking = false;
      if (!this.#suffices()) this.#look();
    }
  }

  async #refused(error: unknown): Promise<void> {
    if (!(error instanceof Refused)) throw error;
    if (error.code !== "too_large") {
      this.#watched = null; // tried again with the next look
      return;
    }
    this.#become({ kind: "blank" });
    await this.#connection.ask("map:unwatch", {}).catch(() => undefined);
  }

  #countsSoFar(resolution: number): LocationDensity["cells"] | null {
    return this.#counts?.resolution === resolution ? this.#counts.cells : null;
  }

  #suffices(): boolean {
    const watched = this.#watched;
    if (!watched || this.#connection.state.kind !== "live") return this.#connection.state.kind !== "live";
    return Math.abs(this.#map.gl.getZoom() - watched.zoom) < ZOOM_SLACK && within(this.#map.extent(), watched.extent);
  }

  #become(sight: Sight): void {
    this.#sight = sight;
    this.#onChange(sight);
  }
}

/**
 * Finds riders when none is in sight: out to the world, then down to where most are, until single riders show.
 *
 * Gives way as soon as somebody moves the map by hand.
 */

import { ahead, type Place } from "./geo.ts";
import { extentOf } from "./map/hexagons.ts";
import type { LiveMap } from "./map/live-map.ts";
import type { Fleet } from "./riders/fleet.ts";
import type { Sight } from "./viewport.ts";

/** Where a server without counts most likely has its riders: the roads around the Stelvio. */
const FALLBACK = { latitude: 46.53, longitude: 10.45, zoom: 11.3 };
const MOST_STEPS = 6;
const SETTLE_MS = 900;

export class Seeker {
  readonly #map: LiveMap;
  readonly #fleet: Fleet;
  readonly #sight: () => Sight;
  readonly #animate: () => boolean;
  #steps = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(map: LiveMap, fleet: Fleet, sight: () => Sight, animate: () => boolean) {
    this.#map = map;
    this.#fleet = fleet;
    this.#sight = sight;
    this.#animate = animate;
    for (const gesture of ["dragstart", "wheel", "touchstart"] as const) map.gl.on(gesture, () => this.stop());
  }

  get seeking(): boolean {
    return this.#steps > 0;
  }

  /** Show all riders that are known, or go looking for some. */
  begin(): void {
    this.#steps = MOST_STEPS;
    this.#step();
  }

  stop(): void {
    this.#steps = 0;
    clearTimeout(this.#timer);
  }

  /** What is in sight has changed. */
  look(): void {
    if (this.#steps === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#step(), this.#map.gl.isMoving() ? SETTLE_MS : SETTLE_MS / 2);
  }

  #step(): void {
    if (this.#steps === 0) return;
    if (this.#map.gl.isMoving()) return this.look();
    this.#steps--;
    const riders = this.#fleet.present(Date.now()).map((rider) => rider.sighting);
    const sight = this.#sight();
    if (riders.length > 0) return this.#found(riders);
    if (sight.kind === "density" && sight.cells && sight.cells.length > 0) return void this.#approach(sight.cells);
    if (sight.kind === "blank" || this.#steps === MOST_STEPS - 3) {
      this.#map.fly(FALLBACK, FALLBACK.zoom, this.#animate());
      this.stop();
    } else if (sight.kind === "riders") {
      this.#map.gl.easeTo({ zoom: 2, animate: this.#animate() });
      this.look();
    } else {
      this.look();
    }
  }

  #found(riders: Place[]): void {
    this.stop();
    this.#map.fit(nearby(riders), this.#animate());
  }

  async #approach(cells: readonly (readonly [string, number])[]): Promise<void> {
    const [fullest] = cells.reduce((most, each) => (each[1] > most[1] ? each : most));
    const [west, south, east, north] = await extentOf(fullest);
    if (this.#steps === 0) return;
    this.#map.gl.fitBounds([west, south, east, north], { padding: 24, animate: this.#animate(), duration: 1500 });
    this.look();
  }
}

/** Without the few who ride far from the others, who would make all the others a dot. */
function nearby(places: Place[]): Place[] {
  const middle = (values: number[]): number => values.sort((one, other) => one - other)[Math.floor(values.length / 2)]!;
  const latitude = middle(places.map((place) => place.latitude));
  const longitude = middle(places.map((place) => place.longitude));
  const reach = ahead({ latitude, longitude }, 45, 150_000);
  const [high, wide] = [reach.latitude - latitude, reach.longitude - longitude];
  return places.filter((place) => Math.abs(place.latitude - latitude) < high && Math.abs(place.longitude - longitude) < wide);
}

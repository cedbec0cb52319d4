/**
 * Finds riders when none is in sight: out to the world, then down to where most are, until single riders show.
 *
 * Gives way as soon as somebody moves the map by hand, and gives up after a while.
 */

import { ahead, type Place } from "./geo.ts";
import { extentOf } from "./map/hexagons.ts";
import type { LiveMap } from "./map/live-map.ts";
import type { Fleet } from "./riders/fleet.ts";
import type { Sight } from "./viewport.ts";

/** Where riders most likely are when the server has counted none: the roads around the Stelvio. */
const LIKELY = { latitude: 46.53, longitude: 10.45, zoom: 11.3 };
/** Somebody moves the map by hand. */
const GESTURES = ["dragstart", "wheel", "touchstart"] as const;
/** A flight from one cell to the next. */
const FLIGHT_MS = 700;
const LOOK_EVERY_MS = 150;
const GIVE_UP_MS = 25_000;
/** Snapshots of all cells come within this time after the map has stopped. */
const SETTLED_MS = 600;
/** The server answers for a new view within this time, and says whether it is still too far out. */
const ANSWERED_MS = 350;
/** Counts come every two seconds. */
const COUNTED_MS = 4500;

type Hop = "here" | "world" | "cell" | "likely";

export class Seeker {
  readonly #map: LiveMap;
  readonly #fleet: Fleet;
  readonly #sight: () => Sight;
  readonly #animate: () => boolean;
  #timer: ReturnType<typeof setInterval> | undefined;
  #hops: Hop[] = [];
  #hoppedAt = 0;
  #begunAt = 0;

  constructor(map: LiveMap, fleet: Fleet, sight: () => Sight, animate: () => boolean) {
    this.#map = map;
    this.#fleet = fleet;
    this.#sight = sight;
    this.#animate = animate;
    for (const gesture of GESTURES) map.gl.on(gesture, this.#giveWay);
  }

  get seeking(): boolean {
    return this.#timer !== undefined;
  }

  /** Show all riders that are known, or go looking for some. */
  begin(): void {
    this.stop();
    this.#hops = [];
    this.#begunAt = Date.now();
    if (this.#show()) return;
    this.#hop("here");
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Stop, and leave the map to the next one. */
  close(): void {
    this.stop();
    for (const gesture of GESTURES) this.#map.gl.off(gesture, this.#giveWay);
  }

  readonly #giveWay = (): void => this.stop();

  #look(): void {
    const now = Date.now();
    if (now - this.#begunAt > GIVE_UP_MS) return this.stop();
    if (this.#map.gl.isMoving()) {
      this.#hoppedAt = now;
      return;
    }
    const waited = now - this.#hoppedAt;
    const sight = this.#sight();
    if (sight.kind === "density") return this.#followCounts(sight.cells, waited);
    if (waited < SETTLED_MS) return;
    if (this.#show()) return this.stop();
    if (sight.kind === "blank") this.#goWhereLikely();
    else if (sight.kind === "riders") this.#goElsewhere();
  }

  /** All single riders that are known, in one view. */
  #show(): boolean {
    if (this.#sight().kind !== "riders") return false;
    const present = this.#fleet.present(Date.now()).filter((rider) => rider.goneAt === null);
    if (present.length === 0) return false;
    this.#map.fit(nearby(present.map((rider) => rider.sighting)), this.#animate());
    return true;
  }

  #followCounts(cells: readonly (readonly [string, number])[] | null, waited: number): void {
    if (waited < ANSWERED_MS) return;
    if (cells && cells.length > 0) void this.#approach(cells);
    else if (waited > COUNTED_MS) this.#goWhereLikely();
  }

  /** Nobody here: first out to the world, then to the likely place, then no further. */
  #goElsewhere(): void {
    if (this.#hops.includes("world")) return this.#goWhereLikely();
    this.#hop("world");
    this.#map.gl.easeTo({ zoom: 2, animate: this.#animate() });
  }

  #goWhereLikely(): void {
    if (this.#hops.includes("likely")) return this.stop();
    this.#hop("likely");
    this.#map.fly(LIKELY, LIKELY.zoom, this.#animate(), FLIGHT_MS);
  }

  /** Down to the fullest cell; nearer each time, because counts end where single riders begin. */
  async #approach(cells: readonly (readonly [string, number])[]): Promise<void> {
    this.#hop("cell");
    const [fullest] = cells.reduce((most, each) => (each[1] > most[1] ? each : most));
    const [west, south, east, north] = await extentOf(fullest);
    if (!this.seeking) return;
    const fitting = this.#map.gl.cameraForBounds([west, south, east, north], { padding: 16 });
    const zoom = Math.max(fitting?.zoom ?? 0, this.#map.gl.getZoom() + 0.7);
    this.#map.fly({ latitude: (south + north) / 2, longitude: (west + east) / 2 }, zoom, this.#animate(), FLIGHT_MS);
  }

  #hop(hop: Hop): void {
    this.#hops.push(hop);
    this.#hoppedAt = Date.now();
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

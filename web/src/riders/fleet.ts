/** All riders this page knows of: position, name, colour, trail. Promises that nobody flickers between two cells. */

import { FrameDecoder, type LocationFrame, type Sighting } from "../client/index.ts";
import { bearing, distance, shortestTurn, type Place } from "../geo.ts";
import { colourOf } from "./colours.ts";
import { Motion } from "./motion.ts";
import { Trail } from "./trail.ts";

/** A dot without news leaves the map after this, whatever the server says. */
const LIFE_MS = 300_000;
/** A rider who left one topic may be on the next one a moment later. */
const GRACE_MS = 1500;
/** This device knows better than the server where it is, for this long after its last word. */
const LOCAL_MS = 10_000;
/** What was sent last is heard by the server, and told to this page, within this time. */
const LAST_WORD_MS = 3_000;
/** Names and trails of riders out of sight are kept this long. */
const MEMORY_MS = 600_000;
const TURN_MS = 180;

export class Rider {
  readonly number: number;
  readonly colour: string;
  readonly trail = new Trail();
  name: string | null = null;
  /** When the server was last asked for the name (local clock, ms); forgotten with the rider. */
  nameAskedAt = 0;
  sighting: Sighting;
  goneAt: number | null = null;
  /** Degrees from north as drawn; turns smoothly. */
  heading: number | null;
  readonly #motion: Motion;
  #turnedAt = 0;

  constructor(sighting: Sighting) {
    this.number = sighting.rider;
    this.colour = colourOf(sighting.rider);
    this.sighting = sighting;
    this.heading = sighting.heading;
    this.#motion = new Motion(sighting);
    this.trail.add(sighting, sighting.heardAt);
  }

  get label(): string {
    return this.name ?? `Rider ${this.number}`;
  }

  take(sighting: Sighting, now: number, still: boolean): void {
    const moved = distance(this.sighting, sighting);
    const heading = sighting.heading ?? (moved > 4 ? bearing(this.sighting, sighting) : this.sighting.heading);
    this.sighting = { ...sighting, heading };
    this.goneAt = null;
    this.#motion.take(this.sighting, now, still);
    this.trail.add(sighting, sighting.heardAt);
  }

  at(now: number): Place {
    return this.#motion.at(now);
  }

  /** Turn the arrow towards the heading, as far as the time since the last call allows. */
  turn(now: number): void {
    const aim = this.sighting.heading;
    if (aim === null) return;
    const share = 1 - Math.exp(-(now - this.#turnedAt) / TURN_MS);
    this.heading = this.heading === null ? aim : this.heading + shortestTurn(aim - this.heading) * share;
    this.#turnedAt = now;
  }
}

export class Fleet {
  readonly #decoder = new FrameDecoder();
  readonly #riders = new Map<number, Rider>();
  #local = { rider: -1, until: 0 };
  #forgotten = { rider: -1, until: 0 };
  /** Draw positions as they come and make nothing up (prefers-reduced-motion). */
  still = false;

  /** Take in a frame; `now` is the local clock (ms). */
  take(frame: LocationFrame, now: number): void {
    const changes = this.#decoder.take(frame, now);
    for (const sighting of changes.seen) {
      if (!this.#isLocal(sighting.rider, now) && !this.#isForgotten(sighting)) this.#show(sighting, now);
    }
    this.#lose(changes.gone.filter((rider) => !this.#isLocal(rider, now)), now);
  }

  /** Take in where this device itself is; what the server says of it is older, and waits. */
  takeLocal(sighting: Sighting, now: number): void {
    this.#local = { rider: sighting.rider, until: now + LOCAL_MS };
    this.#show(sighting, now);
  }

  /** Take a rider off who rides no more, whatever the server still remembers; news of a later ride bring them back. */
  forget(rider: number, now: number): void {
    this.#forgotten = { rider, until: now + LAST_WORD_MS };
    if (this.#local.rider === rider) this.#local.until = 0;
    this.#riders.delete(rider);
  }

  /** Forget what was heard on topics that are watched no more. */
  retain(keep: (topic: string) => boolean, now: number): void {
    this.#lose(this.#decoder.retain(keep), now);
  }

  /** The riders to be seen at `now`. */
  present(now: number): Rider[] {
    const present: Rider[] = [];
    for (const rider of this.#riders.values()) {
      const lost = rider.goneAt !== null && now - rider.goneAt > GRACE_MS;
      if (!lost && now - rider.sighting.heardAt < LIFE_MS) present.push(rider);
      else if (now - rider.sighting.heardAt > MEMORY_MS) this.#riders.delete(rider.number);
    }
    return present;
  }

  get(number: number): Rider | null {
    return this.#riders.get(number) ?? null;
  }

  #isLocal(rider: number, now: number): boolean {
    return rider === this.#local.rider && now < this.#local.until;
  }

  #isForgotten({ rider, heardAt }: Sighting): boolean {
    return rider === this.#forgotten.rider && heardAt <= this.#forgotten.until;
  }

  #show(sighting: Sighting, now: number): void {
    const rider = this.#riders.get(sighting.rider);
    if (rider) rider.take(sighting, now, this.still);
    else this.#riders.set(sighting.rider, new Rider(sighting));
  }

  #lose(riders: number[], now: number): void {
    for (const number of riders) {
      const rider = this.#riders.get(number);
      if (rider && rider.goneAt === null) rider.goneAt = now;
    }
  }
}

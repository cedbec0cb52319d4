/**
 * Where to draw a rider between two positions: carried on along the heading for a moment, then coming to rest.
 *
 * A new position never makes the dot jump: what the drawing was off by fades within a second. Only after a real leap
 * (a tunnel, a reconnect) the dot is simply put where it is.
 */

import type { Sighting } from "../client/index.ts";
import { ahead, distance, type Place } from "../geo.ts";

const CARRIED_SECONDS = 1.3;
const COASTING_SECONDS = 1.2;
const FADE_MS = 350;
const LEAP_METRES = 400;
const STANDING = 0.6; // metres per second: below it a heading means nothing

export class Motion {
  #sighting: Sighting;
  #offset = { north: 0, east: 0 };
  #offsetAt = 0;
  #still = false;

  constructor(sighting: Sighting) {
    this.#sighting = sighting;
  }

  /** Take in the newest position, at `now` (ms, local clock). With `still`, nothing is made up between positions. */
  take(sighting: Sighting, now: number, still: boolean): void {
    const shown = this.at(now);
    this.#sighting = sighting;
    this.#still = still;
    this.#offset = { north: 0, east: 0 };
    const expected = this.at(now);
    if (still || distance(shown, expected) > LEAP_METRES) return;
    this.#offset = { north: shown.latitude - expected.latitude, east: shown.longitude - expected.longitude };
    this.#offsetAt = now;
  }

  /** Where the rider is drawn at `now`. */
  at(now: number): Place {
    const { heading, speed, heardAt } = this.#sighting;
    let place: Place = this.#sighting;
    if (!this.#still && heading !== null && speed !== null && speed > STANDING) {
      place = ahead(place, heading, speed * carriedSeconds((now - heardAt) / 1000));
    }
    const left = Math.exp(-(now - this.#offsetAt) / FADE_MS);
    if (left < 0.001) return place;
    return {
      latitude: place.latitude + this.#offset.north * left,
      longitude: place.longitude + this.#offset.east * left,
    };
  }
}

/** For how many seconds of riding a dot is carried on, `age` seconds after its position; smooth, and bounded. */
export function carriedSeconds(age: number): number {
  if (age <= CARRIED_SECONDS) return Math.max(0, age);
  return CARRIED_SECONDS + COASTING_SECONDS * (1 - Math.exp(-(age - CARRIED_SECONDS) / COASTING_SECONDS));
}

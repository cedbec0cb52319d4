/**
 * From `location:frame` to who is where.
 *
 * A rider may be on several topics at once (two cells while crossing their border, the own topic): the newest position
 * wins, and a rider is known as long as one topic has them. A snapshot replaces all of its topic.
 */

import type { LocationFrame } from "./contract.ts";

/** Length of the server's tick, the unit of `age`. */
export const TICK_MS = 200;

export interface Sighting {
  rider: number;
  latitude: number;
  longitude: number;
  /** Degrees clockwise from north, or null when unknown. */
  heading: number | null;
  /** Metres per second, or null when unknown. */
  speed: number | null;
  /** When the server heard of it, on the local clock (ms). */
  heardAt: number;
}

interface Topic {
  origin: [latitude: number, longitude: number];
  riders: Map<number, Sighting>;
}

/** What a frame changed: riders with a newer position, and riders who are on no topic any more. */
export interface Changes {
  seen: Sighting[];
  gone: number[];
}

export class FrameDecoder {
  readonly #topics = new Map<string, Topic>();
  readonly #tickMs: number;

  constructor(tickMs: number = TICK_MS) {
    this.#tickMs = tickMs;
  }

  /** Take in a frame that came at `now` (ms, local clock). A frame without a known origin is left out. */
  take(frame: LocationFrame, now: number): Changes {
    const before = this.#topics.get(frame.topic);
    const origin = frame.origin ?? before?.origin;
    if (!origin) return { seen: [], gone: [] };
    const topic: Topic = frame.snapshot || !before ? { origin, riders: new Map() } : before;
    topic.origin = origin;
    this.#topics.set(frame.topic, topic);

    const seen: Sighting[] = [];
    for (const row of frame.riders ?? []) {
      const sighting = this.#decode(row, topic.origin, now);
      const known = this.newest(sighting.rider);
      topic.riders.set(sighting.rider, sighting);
      if (!known || sighting.heardAt >= known.heardAt) seen.push(sighting);
    }
    const left = [...(frame.gone ?? [])];
    if (frame.snapshot && before) left.push(...before.riders.keys());
    for (const rider of frame.gone ?? []) topic.riders.delete(rider);
    return { seen, gone: this.#onNoTopic(left) };
  }

  /** Forget every topic that `keep` does not want; returns the riders who are on no topic any more. */
  retain(keep: (topic: string) => boolean): number[] {
    const left: number[] = [];
    for (const [name, topic] of this.#topics) {
      if (keep(name)) continue;
      this.#topics.delete(name);
      left.push(...topic.riders.keys());
    }
    return this.#onNoTopic(left);
  }

  /** The newest position of a rider, or null. */
  newest(rider: number): Sighting | null {
    let newest: Sighting | null = null;
    for (const topic of this.#topics.values()) {
      const sighting = topic.riders.get(rider);
      if (sighting && (!newest || sighting.heardAt > newest.heardAt)) newest = sighting;
    }
    return newest;
  }

  #decode(row: readonly number[], origin: readonly [number, number], now: number): Sighting {
    const [rider = 0, north = 0, east = 0, heading = -1, speed = -1, age = 0] = row;
    return {
      rider,
      latitude: origin[0] + north / 1e5,
      longitude: wrapLongitude(origin[1] + east / 1e5),
      heading: heading < 0 ? null : (heading * 2) % 360,
      speed: speed < 0 ? null : speed / 10,
      heardAt: now - age * this.#tickMs,
    };
  }

  #onNoTopic(riders: number[]): number[] {
    return [...new Set(riders)].filter((rider) => this.newest(rider) === null);
  }
}

/** The same longitude between -180 and 180. */
export function wrapLongitude(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

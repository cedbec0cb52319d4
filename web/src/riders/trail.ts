/** Where a rider has been, as far as this page has seen; broken where it was not looking. */

import { distance, type Place } from "../geo.ts";

const MOST_POINTS = 3000;
const LEAST_STEP_METRES = 3;
const BREAK_METRES = 1500;
const BREAK_MS = 45_000;

export interface TrailPoint extends Place {
  at: number;
  /** The first point after a time of which nothing is known. */
  breaks: boolean;
}

export class Trail {
  #points: TrailPoint[] = [];

  get points(): readonly TrailPoint[] {
    return this.#points;
  }

  /** The points from a moment on. */
  since(at: number): readonly TrailPoint[] {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle]!.at < at) low = middle + 1;
      else high = middle;
    }
    return this.#points.slice(low);
  }

  /** Metres along what was seen. */
  metres = 0;

  add(place: Place, at: number): void {
    const last = this.#points.at(-1);
    const step = last ? distance(last, place) : Infinity;
    if (last && step < LEAST_STEP_METRES) return;
    const breaks = !last || step > BREAK_METRES || at - last.at > BREAK_MS;
    if (!breaks) this.metres += step;
    this.#points.push({ latitude: place.latitude, longitude: place.longitude, at, breaks });
    if (this.#points.length > MOST_POINTS) this.#points = this.#points.slice(MOST_POINTS / 10);
  }
}

/** Decisions of a list that is looked at again: what it shows then, and when the next look is worth a request. */

import type { Track, TrackPage } from "./types.ts";

const FIRST_LOOK_MS = 2_000;
const LONGEST_MS = 30_000;
const GROWTH = 1.5;
/** A ride that was stopped a moment ago is still `recording` until the server has heard its end. */
const LOOKS_AT_RECORDING = 3;

/** The wait (ms) before look number `looks` (0 is the first): growing, so that a long computation costs few requests. */
export function pauseMs(looks: number): number {
  return Math.min(LONGEST_MS, FIRST_LOOK_MS * GROWTH ** looks);
}

/** The wait (ms) until tracks may have changed by themselves; null when they will not. */
export function nextLookMs(tracks: readonly Track[], looks: number): number | null {
  const computing = tracks.some(({ state }) => state === "finished");
  const ending = looks < LOOKS_AT_RECORDING && tracks.some(({ state }) => state === "recording");
  return computing || ending ? pauseMs(looks) : null;
}

/** The list after its first page was read again: that page, then what was shown of older pages. */
export function merged(shown: readonly Track[], first: TrackPage): Track[] {
  const last = first.items.at(-1);
  if (first.next_cursor === null || last === undefined) return first.items;
  const fresh = new Set(first.items.map(({ id }) => id));
  return [...first.items, ...shown.filter(({ id, started_at }) => !fresh.has(id) && started_at <= last.started_at)];
}

/** What this browser remembers. A browser that forbids it, or is full, only forgets. */

import type { BufferStorage, StoredTrack, Tokens } from "./client/index.ts";

const PREFIX = "throttlecove.";

/** A value of our own making, or null. */
export function recall<T>(name: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null") as T | null;
  } catch {
    return null;
  }
}

/** Keep a value; null forgets it. Says whether that worked. */
export function remember(name: string, value: unknown): boolean {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export const recallSession = (): Tokens | null => recall<Tokens>("session");
export const rememberSession = (tokens: Tokens | null): boolean => remember("session", tokens);

/** An id of this installation, made once. */
export function deviceId(): string {
  const known = recall<string>("device");
  if (known) return known;
  const made = `web-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  remember("device", made);
  return made;
}

/** Unsent fixes of one rider survive a reload here. */
export function rideStorage(userId: string): BufferStorage {
  return {
    load: () => recall<StoredTrack>(`ride.${userId}`),
    save: (track) => {
      if (!remember(`ride.${userId}`, track)) throw new Error("no room");
    },
  };
}

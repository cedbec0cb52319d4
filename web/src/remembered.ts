/** What this browser remembers. A browser that forbids it, or is full, only forgets. */

import type { BufferStorage, StoredTrack, Tokens } from "./client/index.ts";

const PREFIX = "throttlecove.";

/** A tab that is being left, or looks whether there is something to take up, is done within this time. */
const PATIENCE_MS = 500;

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

/** Unsent fixes of one rider survive a reload here; one tab at a time has them. */
export function rideStorage(userId: string): BufferStorage {
  const name = rideOf(userId);
  return {
    load: () => recall<StoredTrack>(name),
    save: (track) => {
      if (!remember(name, track)) throw new Error("no room");
    },
    lock: () => own(name),
  };
}

/** Hear that another tab keeps a ride of this rider (true) or has none any more, until `signal` ends that. */
export function onRideElsewhere(userId: string, listener: (kept: boolean) => void, signal: AbortSignal): void {
  if (!hasLocks()) return; // then nobody can tell whose ride it is
  addEventListener("storage", ({ key, newValue }) => {
    if (key === PREFIX + rideOf(userId)) listener(newValue !== null);
  }, { signal });
}

const rideOf = (userId: string): string => `ride.${userId}`;

/** Where the page did not come over HTTPS there are none. */
const hasLocks = (): boolean => "locks" in navigator;

/** Be the only tab with a name, until the answer is called; null while another one is, and stays it. */
function own(name: string): Promise<(() => void) | null> {
  if (!hasLocks()) return Promise.resolve(() => undefined);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return new Promise((resolve) => {
    const held = navigator.locks.request(PREFIX + name, { signal }, () => new Promise<void>((letGo) => resolve(letGo)));
    held.catch(() => resolve(signal.aborted ? null : () => undefined));
  });
}

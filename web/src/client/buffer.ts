/**
 * Fixes that are not yet known to be kept, in order, surviving a reload.
 *
 * A fix leaves the buffer only when the server's ack names it kept or refused. Numbers are given here, once, so that
 * whatever is sent again is the same fix; where several pages share a storage, its lock sees to it that one gives them.
 */

import type { Fix } from "./contract.ts";

/** Where the buffer survives a reload; may be asynchronous (IndexedDB, a file), may fail (a full disk). */
export interface BufferStorage {
  load(): StoredTrack | null | Promise<StoredTrack | null>;
  save(track: StoredTrack | null): void | Promise<void>;
  /**
   * Own what is stored until the answer is called; null while another page does. To be left out where there is one only.
   */
  lock?(): Promise<(() => void) | null>;
}

export interface StoredTrack {
  trackId: string;
  startedAt: number;
  nextSeq: number;
  /** Milliseconds from the phone's clock to the server's, the same for all fixes of the track. */
  clockOffset: number;
  /** When the newest fix was, on the server's clock (ms); 0 before the first. */
  newestTime: number;
  /** Set once the rider has stopped: what remains is only to be sent. */
  stopped: boolean;
  fixes: Fix[];
}

/** Forgets everything on a reload. */
export class MemoryStorage implements BufferStorage {
  #track: StoredTrack | null = null;

  load(): StoredTrack | null {
    return this.#track;
  }

  save(track: StoredTrack | null): void {
    this.#track = track;
  }
}

/** What is known of a track before its first fix. */
export type NewTrack = Pick<StoredTrack, "trackId" | "startedAt" | "clockOffset">;

export class FixBuffer {
  readonly trackId: string;
  readonly startedAt: number;
  readonly clockOffset: number;
  readonly #storage: BufferStorage;
  readonly #onStorageFault: (fault: unknown) => void;
  #fixes: Fix[];
  #nextSeq: number;
  #newestTime: number;
  #stopped: boolean;
  #saving: Promise<void> | null = null;
  #dirty = false;
  #closed = false;

  private constructor(track: StoredTrack, storage: BufferStorage, onStorageFault: (fault: unknown) => void) {
    this.trackId = track.trackId;
    this.startedAt = track.startedAt;
    this.clockOffset = track.clockOffset;
    this.#newestTime = track.newestTime;
    this.#fixes = track.fixes;
    this.#nextSeq = track.nextSeq;
    this.#stopped = track.stopped;
    this.#storage = storage;
    this.#onStorageFault = onStorageFault;
  }

  /** A buffer for a new track. */
  static begin(track: NewTrack, storage: BufferStorage, onStorageFault: (fault: unknown) => void = () => undefined): FixBuffer {
    const buffer = new FixBuffer({ ...track, newestTime: 0, nextSeq: 0, stopped: false, fixes: [] }, storage, onStorageFault);
    buffer.#changed();
    return buffer;
  }

  /** What an earlier page left unsent, or null. */
  static async resume(storage: BufferStorage, onStorageFault?: (fault: unknown) => void): Promise<FixBuffer | null> {
    const track = await storage.load();
    return track && new FixBuffer({ ...track, ...timesOf(track) }, storage, onStorageFault ?? (() => undefined));
  }

  get unsent(): number {
    return this.#fixes.length;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** When the newest fix was, on the server's clock (ms); 0 before the first. */
  get newestTime(): number {
    return this.#newestTime;
  }

  /** The number of the last fix, or -1. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** Add a fix; it gets the next number of its track. */
  add(fix: Omit<Fix, "seq">): Fix {
    const numbered: Fix = { seq: this.#nextSeq++, ...fix };
    this.#fixes.push(numbered);
    this.#newestTime = Math.max(this.#newestTime, numbered.timestamp);
    this.#changed();
    return numbered;
  }

  /** The oldest unsent fixes, at most `count`, oldest first. They stay until `settle`. */
  oldest(count: number): Fix[] {
    return this.#fixes.slice(0, count);
  }

  /** The newest unsent fix, or null. */
  newest(): Fix | null {
    return this.#fixes.at(-1) ?? null;
  }

  /** The server has answered for these numbers, kept or refused: they need not be sent again. */
  settle(seqs: Iterable<number>): void {
    const settled = new Set(seqs);
    this.#fixes = this.#fixes.filter((fix) => !settled.has(fix.seq));
    this.#changed();
  }

  /** No more fixes will be added. */
  stop(): void {
    this.#stopped = true;
    this.#changed();
  }

  /** Everything is with the server, or given up: leave nothing behind. Resolves once the storage is empty. */
  async clear(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#dirty = false;
    this.#fixes = [];
    await this.#saving;
    await this.#try(() => this.#storage.save(null));
  }

  /** Leave the storage, with all that is unsent, to somebody else. Resolves once everything is there. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.saved();
  }

  /** Resolves when everything so far is stored. */
  async saved(): Promise<void> {
    while (this.#saving) await this.#saving;
  }

  #changed(): void {
    if (this.#closed) return;
    this.#dirty = true;
    this.#saving ??= this.#save();
  }

  async #save(): Promise<void> {
    await Promise.resolve(); // several changes in a row are one write
    while (this.#dirty) {
      this.#dirty = false;
      await this.#try(() => this.#storage.save(this.#snapshot()));
    }
    this.#saving = null;
  }

  async #try(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      this.#onStorageFault(fault);
    }
  }

  #snapshot(): StoredTrack {
    return {
      trackId: this.trackId,
      startedAt: this.startedAt,
      nextSeq: this.#nextSeq,
      clockOffset: this.clockOffset,
      newestTime: this.#newestTime,
      stopped: this.#stopped,
      fixes: [...this.#fixes],
    };
  }
}

/** What an earlier version of a page did not store. */
function timesOf({ clockOffset, newestTime, fixes }: Partial<StoredTrack>): Pick<StoredTrack, "clockOffset" | "newestTime"> {
  return { clockOffset: clockOffset ?? 0, newestTime: newestTime ?? fixes?.at(-1)?.timestamp ?? 0 };
}

/**
 * Fixes that are not yet known to be kept, in order, surviving a reload.
 *
 * A fix leaves the buffer only when the server's ack names it kept or refused. Numbers are given here, once, so that
 * whatever is sent again is the same fix.
 */

import type { Fix } from "./contract.ts";

/** Where the buffer survives a reload; may be asynchronous (IndexedDB, a file), may fail (a full disk). */
export interface BufferStorage {
  load(): StoredTrack | null | Promise<StoredTrack | null>;
  save(track: StoredTrack | null): void | Promise<void>;
}

export interface StoredTrack {
  trackId: string;
  startedAt: number;
  nextSeq: number;
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

export class FixBuffer {
  readonly trackId: string;
  readonly startedAt: number;
  readonly #storage: BufferStorage;
  readonly #onStorageFault: (fault: unknown) => void;
  #fixes: Fix[];
  #nextSeq: number;
  #stopped: boolean;
  #saving: Promise<void> | null = null;
  #dirty = false;

  private constructor(track: StoredTrack, storage: BufferStorage, onStorageFault: (fault: unknown) => void) {
    this.trackId = track.trackId;
    this.startedAt = track.startedAt;
    this.#fixes = track.fixes;
    this.#nextSeq = track.nextSeq;
    this.#stopped = track.stopped;
    this.#storage = storage;
    this.#onStorageFault = onStorageFault;
  }

  /** A buffer for a new track. */
  static begin(
    trackId: string,
    startedAt: number,
    storage: BufferStorage,
    onStorageFault: (fault: unknown) => void = () => undefined,
  ): FixBuffer {
    const track: StoredTrack = { trackId, startedAt, nextSeq: 0, stopped: false, fixes: [] };
    const buffer = new FixBuffer(track, storage, onStorageFault);
    buffer.#changed();
    return buffer;
  }

  /** What an earlier page left unsent, or null. */
  static async resume(storage: BufferStorage, onStorageFault?: (fault: unknown) => void): Promise<FixBuffer | null> {
    const track = await storage.load();
    return track && new FixBuffer(track, storage, onStorageFault ?? (() => undefined));
  }

  get unsent(): number {
    return this.#fixes.length;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The number of the last fix, or -1. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** Add a fix; it gets the next number of its track. */
  add(fix: Omit<Fix, "seq">): Fix {
    const numbered: Fix = { seq: this.#nextSeq++, ...fix };
    this.#fixes.push(numbered);
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

  /** Everything is with the server: leave nothing behind. Resolves once the storage is empty. */
  async clear(): Promise<void> {
    this.#dirty = false;
    await this.#saving;
    await this.#try(() => this.#storage.save(null));
  }

  /** Resolves when everything so far is stored. */
  async saved(): Promise<void> {
    while (this.#saving) await this.#saving;
  }

  #changed(): void {
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
      stopped: this.#stopped,
      fixes: [...this.#fixes],
    };
  }
}

/**
 * Records one track after another: numbers fixes, keeps them until the server has them, sends what is due.
 *
 * The newest fix goes out live every `send_interval_ms`; what gathered meanwhile, or while there was no connection,
 * goes before it in batches. A track that was stopped without a network is finished when there is one.
 */

import { FixBuffer, type BufferStorage } from "./buffer.ts";
import type { Connection } from "./connection.ts";
import type { Fix } from "./contract.ts";
import { Refused } from "./errors.ts";
import { uuid7 } from "./ids.ts";

/** Fixes in one batch, when the server has not said. */
const MOST_BATCH_FIXES = 1000;

export type RecorderEvent = { unsent: number; recording: boolean; fault: string | null };

/** What the recorder needs of a connection. */
export type Line = Pick<Connection, "ask" | "on" | "clock" | "ready" | "state">;

export class Recorder {
  readonly #line: Line;
  readonly #storage: BufferStorage;
  readonly #onChange: (event: RecorderEvent) => void;
  #buffer: FixBuffer | null = null;
  #clockOffset = 0;
  #newestTime = 0;
  #intervalMs = 1000;
  #known = false;
  #fault: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending = false;

  constructor(line: Line, storage: BufferStorage, onChange: (event: RecorderEvent) => void) {
    this.#line = line;
    this.#storage = storage;
    this.#onChange = onChange;
    line.on("rate:set", (rate) => {
      this.#intervalMs = rate.send_interval_ms;
      this.#schedule();
    });
    line.on("session:ready", (ready) => {
      this.#intervalMs = ready.send_interval_ms;
      this.#known = false; // another node may never have heard of the track
      void this.flush();
    });
  }

  get recording(): boolean {
    return this.#buffer !== null && !this.#buffer.stopped;
  }

  get unsent(): number {
    return this.#buffer?.unsent ?? 0;
  }

  get trackId(): string | null {
    return this.#buffer?.trackId ?? null;
  }

  /** When the track began, on the server's clock (ms). */
  get startedAt(): number | null {
    return this.#buffer?.startedAt ?? null;
  }

  /** Take up what an earlier page left behind; says whether that ride goes on. */
  async resume(): Promise<boolean> {
    if (this.#buffer) return this.recording;
    this.#buffer = await FixBuffer.resume(this.#storage, this.#storageFailed);
    this.#tell();
    void this.flush();
    return this.recording;
  }

  /** Begin a track. What an earlier one left is sent first; throws while that cannot be done. */
  async start(): Promise<void> {
    if (this.recording) return;
    await this.flush();
    if (this.#buffer) throw new Refused({ code: "conflict", message: "the last ride is still being sent" });
    this.#clockOffset = this.#line.clock.offsetMs;
    this.#newestTime = 0;
    this.#fault = null;
    this.#known = false;
    const startedAt = Math.round(this.#line.clock.now());
    this.#buffer = FixBuffer.begin(uuid7(startedAt), startedAt, this.#storage, this.#storageFailed);
    this.#tell();
    void this.flush();
  }

  /** Add a fix with the phone's own time; null when it is no newer than the last one. */
  add(fix: Omit<Fix, "seq">): Fix | null {
    if (!this.#buffer || this.#buffer.stopped) return null;
    const timestamp = Math.round(fix.timestamp + this.#clockOffset);
    if (timestamp <= this.#newestTime) return null;
    this.#newestTime = timestamp;
    const added = this.#buffer.add({ ...fix, timestamp });
    this.#tell();
    this.#schedule();
    return added;
  }

  /** End the track; what is unsent goes out now, or as soon as that can be done. */
  async stop(): Promise<void> {
    this.#buffer?.stop();
    this.#tell();
    await this.flush();
  }

  /** Send what there is. Does nothing without a connection; never throws. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending || !this.#buffer || this.#line.state.kind !== "live") return;
    this.#sending = true;
    try {
      await this.#send(this.#buffer);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#sending = false;
      this.#tell();
    }
    if (this.#buffer && (this.#buffer.unsent > 0 || this.#buffer.stopped)) this.#schedule();
  }

  async #send(buffer: FixBuffer): Promise<void> {
    if (!this.#known) {
      const started = await this.#line.ask("track:start", { track_id: buffer.trackId, started_at: buffer.startedAt });
      this.#intervalMs = started.send_interval_ms;
      this.#known = true;
    }
    const most = Math.min(this.#line.ready?.limits.batch_fixes ?? MOST_BATCH_FIXES, MOST_BATCH_FIXES);
    while (buffer.unsent > 1 || (buffer.stopped && buffer.unsent > 0)) {
      const fixes = buffer.oldest(Math.min(most, buffer.stopped ? buffer.unsent : buffer.unsent - 1));
      const ack = await this.#line.ask("location:batch", { track_id: buffer.trackId, fixes });
      if (ack.rejected.length > 0) this.#fault = ack.rejected[0]!.message;
      buffer.settle(fixes.map((fix) => fix.seq));
      this.#tell();
    }
    const newest = buffer.newest();
    if (newest) await this.#sendLive(buffer, newest);
    if (buffer.stopped && buffer.unsent === 0) await this.#finish(buffer);
  }

  async #sendLive(buffer: FixBuffer, fix: Fix): Promise<void> {
    try {
      await this.#line.ask("location:update", { track_id: buffer.trackId, fix });
    } catch (error) {
      if (!(error instanceof Refused) || error.passing) throw error;
      this.#fault = error.message; // refused for good: sending it again changes nothing
    }
    buffer.settle([fix.seq]);
  }

  async #finish(buffer: FixBuffer): Promise<void> {
    await this.#line.ask("track:stop", { track_id: buffer.trackId, last_seq: buffer.lastSeq });
    await buffer.clear();
    this.#buffer = null;
  }

  /** A track the server will never take is given up; everything else is tried again. */
  #failed(error: unknown): void {
    if (!(error instanceof Refused)) throw error;
    this.#fault = error.passing ? null : error.message;
    if (["forbidden", "conflict", "gone"].includes(error.code)) {
      void this.#buffer?.clear();
      this.#buffer = null;
    }
  }

  #schedule(): void {
    const due = Math.max(250, this.#intervalMs);
    this.#timer ??= setTimeout(() => void this.flush(), due);
  }

  readonly #storageFailed = (): void => {
    this.#fault = "this device has no room to keep the ride; it is sent, but would not survive a reload";
  };

  #tell(): void {
    this.#onChange({ unsent: this.unsent, recording: this.recording, fault: this.#fault });
  }
}

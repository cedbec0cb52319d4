/**
 * Records one track after another: numbers fixes, keeps them until the server has them, sends what is due.
 *
 * The newest fix goes out live every `send_interval_ms`; what gathered meanwhile, or while there was no connection,
 * goes before it in batches. A track that was stopped without a network is finished when there is one. One that the
 * server refuses as it is, is tried ever less often, until the rider gives it up. Where pages share a storage, one
 * records at a time. The server hears of a track with its first fix: one that never gets any leaves nothing there.
 */

import { FixBuffer, type BufferStorage } from "./buffer.ts";
import type { Connection } from "./connection.ts";
import type { Fix } from "./contract.ts";
import { Refused } from "./errors.ts";
import { uuid7 } from "./ids.ts";

/** Fixes in one batch, when the server has not said. */
const MOST_BATCH_FIXES = 1000;

/** What of an event is not fixes: its name, the track, brackets. */
const ENVELOPE_BYTES = 128;

/** Shortest time between two attempts to send, in milliseconds. */
const LEAST_WAIT_MS = 250;

/** A fix this much older than its track is of it still: clocks and receivers are not exact. */
const EARLY_MS = 1_000;

/** Waits after refusals that time alone does not mend, doubling. */
const FIRST_REFUSED_WAIT_MS = 2_000;
const LONGEST_REFUSED_WAIT_MS = 300_000;

/** After these the server will never take the track, whatever is sent of it. */
const NEVER: ReadonlySet<string> = new Set(["forbidden", "conflict", "gone"]);

export interface RecorderEvent {
  unsent: number;
  recording: boolean;
  /** Another page has this rider's ride: nothing can be recorded here. */
  elsewhere: boolean;
  /** The server refuses the ride as it is, `fault` says why: it stays here until it is taken or given up. */
  refused: boolean;
  fault: string | null;
}

/** What the recorder needs of a connection. */
export type Line = Pick<Connection, "ask" | "on" | "clock" | "ready" | "state">;

export class Recorder {
  readonly #line: Line;
  readonly #storage: BufferStorage;
  readonly #onChange: (event: RecorderEvent) => void;
  readonly #unlisten: (() => void)[];
  #buffer: FixBuffer | null = null;
  #letGo: (() => void) | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #elsewhere = false;
  #closed = false;
  #intervalMs = 1000;
  #known = false;
  #most = MOST_BATCH_FIXES;
  #refusals = 0;
  #waitMs = 0;
  #fault: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending = false;

  constructor(line: Line, storage: BufferStorage, onChange: (event: RecorderEvent) => void) {
    this.#line = line;
    this.#storage = storage;
    this.#onChange = onChange;
    const rate = line.on("rate:set", ({ send_interval_ms }) => {
      this.#intervalMs = send_interval_ms;
      this.#schedule();
    });
    const ready = line.on("session:ready", ({ send_interval_ms }) => {
      this.#intervalMs = send_interval_ms;
      this.#known = false; // another node may never have heard of the track,
      this.#most = MOST_BATCH_FIXES; // and has limits of its own
      void this.flush();
    });
    this.#unlisten = [rate, ready];
  }

  get recording(): boolean {
    return this.#buffer !== null && !this.#buffer.stopped;
  }

  get unsent(): number {
    return this.#buffer?.unsent ?? 0;
  }

  /** How many fixes the track has, sent or not. */
  get fixes(): number {
    return (this.#buffer?.lastSeq ?? -1) + 1;
  }

  get trackId(): string | null {
    return this.#buffer?.trackId ?? null;
  }

  /** When the track began, on the server's clock (ms). */
  get startedAt(): number | null {
    return this.#buffer?.startedAt ?? null;
  }

  /** Milliseconds from the phone's clock to the server's, as they were when the track began. */
  get clockOffset(): number {
    return this.#buffer?.clockOffset ?? 0;
  }

  /** Take up what an earlier page left behind; says whether that ride goes on. */
  resume(): Promise<boolean> {
    return this.#inTurn(async () => {
      await this.#takeUp();
      void this.flush();
      return this.recording;
    });
  }

  /**
   * Begin a track, or go on with one that a page which is gone was recording. What an earlier one left is sent first;
   * throws Refused (`conflict`) while that cannot be done, or while another page records.
   */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#takeUp();
      if (this.recording) return;
      await this.flush();
      if (this.#buffer) throw new Refused({ code: "conflict", message: "the last ride is still being sent" });
      if (this.#elsewhere || !(await this.#own())) throw new Refused({ code: "conflict", message: "a ride is being recorded in another tab" });
      this.#begin();
    });
  }

  /** Add a fix with the phone's own time; null when it is no newer than the last one, or was taken before the track began. */
  add(fix: Omit<Fix, "seq">): Fix | null {
    const buffer = this.#buffer;
    if (!buffer || buffer.stopped) return null;
    const timestamp = Math.round(fix.timestamp + buffer.clockOffset);
    if (timestamp <= buffer.newestTime || timestamp < buffer.startedAt - EARLY_MS) return null;
    const added = buffer.add({ ...fix, timestamp });
    this.#tell();
    this.#schedule();
    return added;
  }

  /** End the track; what is unsent goes out now, or as soon as that can be done. One without a fix is forgotten. */
  async stop(): Promise<void> {
    const buffer = this.#buffer;
    if (buffer && buffer.lastSeq < 0) await this.#drop(buffer);
    else buffer?.stop();
    this.#tell();
    await this.flush();
  }

  /** Forget the ride that is kept here: what the server has of it stays there, the rest is lost. */
  async giveUp(): Promise<void> {
    if (this.#buffer) await this.#drop(this.#buffer);
    this.#fault = null;
    this.#tell();
  }

  /** Leave: what is unsent stays in the storage, for whoever resumes it. */
  async close(): Promise<void> {
    const buffer = this.#buffer;
    this.#closed = true;
    this.#buffer = null;
    clearTimeout(this.#timer);
    for (const unlisten of this.#unlisten) unlisten();
    await buffer?.close();
    this.#release();
  }

  /** Send what there is. Does nothing without a connection; never throws. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const buffer = this.#buffer;
    if (this.#sending || !buffer || this.#line.state.kind !== "live") return;
    this.#sending = true;
    try {
      await this.#send(buffer);
      this.#taken();
    } catch (error) {
      if (this.#buffer === buffer) await this.#failed(error, buffer);
    } finally {
      this.#sending = false;
      this.#tell();
    }
    if (this.#buffer && (this.#buffer.unsent > 0 || this.#buffer.stopped)) this.#schedule();
  }

  /** One after another: taking up, beginning. Nothing is owned afterwards unless there is a ride. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work).finally(() => {
      if (!this.#buffer) this.#release();
      this.#tell();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #takeUp(): Promise<void> {
    if (this.#buffer || !(await this.#own())) return;
    const left = await FixBuffer.resume(this.#storage, this.#storageFailed);
    if (!this.#closed) this.#buffer = left;
  }

  /** Own the storage, so that nobody else gives out the same numbers; says whether that could be. */
  async #own(): Promise<boolean> {
    this.#letGo ??= this.#storage.lock ? await this.#storage.lock() : () => undefined;
    this.#elsewhere = this.#letGo === null;
    return !this.#elsewhere && !this.#closed;
  }

  #release(): void {
    this.#letGo?.();
    this.#letGo = null;
  }

  #begin(): void {
    this.#fault = null;
    this.#known = false;
    this.#refusals = this.#waitMs = 0;
    const { clock } = this.#line;
    const startedAt = Math.round(clock.now());
    const track = { trackId: uuid7(startedAt), startedAt, clockOffset: clock.offsetMs };
    this.#buffer = FixBuffer.begin(track, this.#storage, this.#storageFailed);
    this.#tell();
    void this.flush();
  }

  async #send(buffer: FixBuffer): Promise<void> {
    if (buffer.lastSeq < 0) return buffer.stopped ? this.#drop(buffer) : undefined;
    if (!this.#known) {
      const started = await this.#line.ask("track:start", { track_id: buffer.trackId, started_at: buffer.startedAt });
      this.#intervalMs = started.send_interval_ms;
      this.#known = true;
    }
    while (buffer.unsent > 1 || (buffer.stopped && buffer.unsent > 0)) {
      await this.#sendBatch(buffer, this.#nextBatch(buffer));
      this.#tell();
    }
    const newest = buffer.newest();
    if (newest) await this.#sendLive(buffer, newest);
    if (buffer === this.#buffer && buffer.stopped && buffer.unsent === 0) await this.#finish(buffer);
  }

  /** The oldest fixes, as many as the server takes at once; while the ride goes on, the newest is kept to go live. */
  #nextBatch(buffer: FixBuffer): Fix[] {
    const { batch_fixes = MOST_BATCH_FIXES, event_bytes = Infinity } = this.#line.ready?.limits ?? {};
    const due = buffer.stopped ? buffer.unsent : buffer.unsent - 1;
    return fitting(buffer.oldest(Math.min(this.#most, batch_fixes, due)), event_bytes);
  }

  /** Half as many next time, when these were too many. */
  async #sendBatch(buffer: FixBuffer, fixes: Fix[]): Promise<void> {
    try {
      const ack = await this.#line.ask("location:batch", { track_id: buffer.trackId, fixes });
      if (ack.rejected.length > 0) this.#fault = ack.rejected[0]!.message;
      buffer.settle(fixes.map((fix) => fix.seq));
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "too_large" || fixes.length === 1) throw error;
      this.#most = Math.floor(fixes.length / 2);
    }
  }

  async #sendLive(buffer: FixBuffer, fix: Fix): Promise<void> {
    try {
      await this.#line.ask("location:update", { track_id: buffer.trackId, fix });
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "invalid") throw error;
      this.#fault = error.message; // this fix will never be good: sending it again changes nothing
    }
    buffer.settle([fix.seq]);
  }

  async #finish(buffer: FixBuffer): Promise<void> {
    await this.#line.ask("track:stop", { track_id: buffer.trackId, last_seq: buffer.lastSeq });
    await this.#drop(buffer);
  }

  /** Nothing of this ride has to be kept here any more. */
  async #drop(buffer: FixBuffer): Promise<void> {
    await buffer.clear();
    if (this.#buffer !== buffer) return;
    this.#buffer = null;
    this.#refusals = this.#waitMs = 0;
    this.#release();
  }

  #taken(): void {
    if (this.#refusals > 0) this.#fault = null;
    this.#refusals = this.#waitMs = 0;
  }

  /** A track the server will never take is given up; everything else is tried again, what is refused less and less often. */
  async #failed(error: unknown, buffer: FixBuffer): Promise<void> {
    if (!(error instanceof Refused)) throw error;
    clearTimeout(this.#timer); // a fix that came meanwhile has set it, too early
    this.#timer = undefined;
    this.#waitMs = error.retryAfterMs ?? 0;
    if (error.passing) return;
    this.#fault = error.message;
    if (NEVER.has(error.code)) return this.#drop(buffer);
    this.#known = false; // "no such track" may mean that it has to be begun again
    this.#waitMs = Math.max(this.#waitMs, Math.min(LONGEST_REFUSED_WAIT_MS, FIRST_REFUSED_WAIT_MS * 2 ** this.#refusals++));
  }

  #schedule(): void {
    if (this.#closed) return;
    const due = Math.max(LEAST_WAIT_MS, this.#intervalMs, this.#waitMs);
    this.#timer ??= setTimeout(() => void this.flush(), due);
  }

  readonly #storageFailed = (): void => {
    this.#fault = "this device has no room to keep the ride; it is sent, but would not survive a reload";
  };

  #tell(): void {
    const refused = this.#buffer !== null && this.#refusals > 0;
    this.#onChange({ unsent: this.unsent, recording: this.recording, elsewhere: this.#elsewhere, refused, fault: this.#fault });
  }
}

/** As many of the fixes, from the first, as an event of so many bytes holds; one at least. */
function fitting(fixes: Fix[], bytes: number): Fix[] {
  let left = bytes - ENVELOPE_BYTES;
  const end = fixes.findIndex((fix) => (left -= JSON.stringify(fix).length + 1) < 0);
  return end < 0 ? fixes : fixes.slice(0, Math.max(1, end));
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { MemoryStorage, type BufferStorage } from "../src/client/buffer.ts";
import { ServerClock } from "../src/client/clock.ts";
import { Refused } from "../src/client/errors.ts";
import { Recorder, type Line, type RecorderEvent } from "../src/client/recorder.ts";

type Sent = { name: string; seqs: number[] };

/** A connection of which the test says what it answers. */
class Wire {
  state: { kind: "live" } | { kind: "connecting" } = { kind: "connecting" };
  ready = { limits: { batch_fixes: 3, event_bytes: 10_000 } } as never;
  clock = new ServerClock(() => 0);
  sent: Sent[] = [];
  answer: (name: string, seqs: number[]) => unknown = () => ({});
  #ready: (value: never) => void = () => undefined;

  on(name: string, listener: (value: never) => void): () => void {
    if (name === "session:ready") this.#ready = listener;
    return () => undefined;
  }

  up(): void {
    this.state = { kind: "live" };
    this.#ready({ send_interval_ms: 60_000 } as never);
  }

  async ask(name: string, payload: { fix?: { seq: number }; fixes?: { seq: number }[]; last_seq?: number }): Promise<unknown> {
    const seqs = payload.fixes?.map((fix) => fix.seq) ?? (payload.fix ? [payload.fix.seq] : []);
    this.sent.push({ name, seqs });
    const answer = this.answer(name, seqs);
    if (answer instanceof Refused) throw answer;
    return { send_interval_ms: 60_000, accepted: seqs.length, rejected: [], ...(answer as object) };
  }
}

function recorderOn(wire: Wire, storage: BufferStorage = new MemoryStorage(), onChange?: (event: RecorderEvent) => void): Recorder {
  return new Recorder(wire as unknown as Line, storage, onChange ?? (() => undefined));
}

/** A storage that one recorder at a time may own. */
class SharedStorage extends MemoryStorage {
  #owned = false;

  async lock(): Promise<(() => void) | null> {
    if (this.#owned) return null;
    this.#owned = true;
    return () => (this.#owned = false);
  }
}

function ride(recorder: Recorder, from: number, to: number): void {
  for (let second = from; second < to; second++) recorder.add({ timestamp: second * 1000, latitude: 46.5, longitude: 10.4 });
}

const names = (wire: Wire): string[] => wire.sent.map((each) => each.name);
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what was ridden offline goes out in order, in batches the server allows, the newest one live", async () => {
  const wire = new Wire();
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 1, 9);
  assert.equal(recorder.unsent, 8);
  wire.up();
  await settled();
  assert.deepEqual(names(wire), ["track:start", "location:batch", "location:batch", "location:batch", "location:update"]);
  assert.deepEqual(wire.sent.flatMap((each) => each.seqs), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(recorder.unsent, 0);
  await recorder.stop();
});

test("an answer of unavailable keeps the fixes; they go again with the same numbers", async () => {
  const wire = new Wire();
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 1, 3);
  wire.answer = (name) => (name === "location:batch" ? new Refused({ code: "unavailable", message: "wait" }) : {});
  wire.up();
  await settled();
  assert.equal(recorder.unsent, 2);
  wire.answer = () => ({});
  await recorder.flush();
  assert.equal(recorder.unsent, 0);
  assert.deepEqual(wire.sent.filter((each) => each.seqs.includes(0)).length, 2);
  await recorder.stop();
});

test("a ride that ended without a network is finished by the next page", async () => {
  const storage = new MemoryStorage();
  const first = recorderOn(new Wire(), storage);
  await first.start();
  ride(first, 1, 4);
  await first.stop();
  await settled();
  const wire = new Wire();
  const second = recorderOn(wire, storage);
  assert.equal(await second.resume(), false);
  wire.up();
  await settled();
  assert.deepEqual(names(wire), ["track:start", "location:batch", "track:stop"]);
  await settled();
  assert.equal(storage.load(), null);
});

test("a fix that is no newer than the one before is left out", async () => {
  const recorder = recorderOn(new Wire());
  await recorder.start();
  ride(recorder, 5, 6);
  ride(recorder, 5, 6);
  assert.equal(recorder.unsent, 1);
  await recorder.stop();
});

test("a track the server will never take is given up", async () => {
  const wire = new Wire();
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 1, 3);
  wire.answer = () => new Refused({ code: "forbidden", message: "another rider's" });
  wire.up();
  await settled();
  assert.equal(recorder.recording, false);
});

test("what the server refuses for good while riding is given up as well, and not thrown away fix by fix", async () => {
  const wire = new Wire();
  const recorder = recorderOn(wire);
  wire.up();
  await recorder.start();
  wire.answer = (name) => (name === "location:update" ? new Refused({ code: "gone", message: "deleted" }) : {});
  ride(recorder, 1, 2);
  await recorder.flush();
  assert.equal(recorder.recording, false);
});

test("one recorder at a time owns a ride; the next one goes on with its numbers", async () => {
  const storage = new SharedStorage();
  const first = recorderOn(new Wire(), storage);
  const events: RecorderEvent[] = [];
  const second = recorderOn(new Wire(), storage, (event) => events.push(event));
  await first.start();
  ride(first, 1, 4);
  assert.equal(await second.resume(), false);
  assert.equal(events.at(-1)?.elsewhere, true);
  await assert.rejects(second.start(), { code: "conflict", message: "a ride is being recorded in another tab" });
  await first.close();
  assert.equal(first.add({ timestamp: 9000, latitude: 46.5, longitude: 10.4 }), null);
  await second.start();
  assert.deepEqual([events.at(-1)?.elsewhere, second.recording, second.unsent], [false, true, 3]);
  assert.equal(second.add({ timestamp: 9000, latitude: 46.5, longitude: 10.4 })?.seq, 3);
  await second.close();
});

test("who has no ride keeps nobody from beginning one", async () => {
  const storage = new SharedStorage();
  const wire = new Wire();
  const [first, second] = [recorderOn(wire, storage), recorderOn(new Wire(), storage)];
  await first.resume();
  await first.start();
  wire.up();
  await first.stop();
  await settled();
  await second.start();
  assert.equal(second.recording, true);
  await second.close();
});

test("after a reload fixes keep the clock of their track, and old ones stay left out", async () => {
  const storage = new MemoryStorage();
  const wire = new Wire();
  wire.clock.sample(5_000, 0);
  const first = recorderOn(wire, storage);
  await first.start();
  ride(first, 1, 4);
  await first.close();
  const second = recorderOn(new Wire(), storage);
  await second.resume();
  assert.equal(second.clockOffset, 5_000);
  ride(second, 3, 4);
  assert.equal(second.unsent, 3);
  assert.equal(second.add({ timestamp: 4_000, latitude: 46.5, longitude: 10.4 })?.timestamp, 9_000);
  await second.close();
});

test("batches are halved until the server takes them", async () => {
  const wire = new Wire();
  wire.ready = null as never;
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 0, 9);
  wire.answer = (_, seqs) => (seqs.length > 2 ? new Refused({ code: "too_large", message: "smaller" }) : {});
  wire.up();
  await settled();
  const batches = wire.sent.filter((each) => each.name === "location:batch").map((each) => each.seqs.length);
  assert.deepEqual(batches, [7, 3, 1, 1, 1, 1, 1, 1, 1]);
  assert.equal(recorder.unsent, 0);
  await recorder.close();
});

test("a batch is no larger than an event may be", async () => {
  const wire = new Wire();
  wire.ready = { limits: { batch_fixes: 1000, event_bytes: 300 } } as never;
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 1, 6);
  wire.up();
  await settled();
  assert.deepEqual(wire.sent.map((each) => each.seqs.length), [0, 2, 2, 1]);
  await recorder.close();
});

test("a ride that the server refuses is tried ever less often, and can be given up", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const storage = new SharedStorage();
  const events: RecorderEvent[] = [];
  const wire = new Wire();
  const recorder = recorderOn(wire, storage, (event) => events.push(event));
  await recorder.start();
  ride(recorder, 1, 3);
  wire.answer = (name) => (name === "location:batch" ? new Refused({ code: "not_found", message: "no such track" }) : { send_interval_ms: 1000 });
  wire.up();
  const attempts: number[] = [];
  for (let second = 0; second <= 30; second++) {
    await settled();
    if (wire.sent.length > 0) attempts.push(second);
    wire.sent = [];
    ride(recorder, 10 + second, 11 + second);
    t.mock.timers.tick(1000);
  }
  assert.deepEqual(attempts, [0, 2, 6, 14, 30]);
  assert.deepEqual([events.at(-1)?.refused, events.at(-1)?.fault, recorder.recording], [true, "no such track", true]);
  await recorder.giveUp();
  assert.deepEqual(events.at(-1), { unsent: 0, recording: false, elsewhere: false, refused: false, fault: null });
  assert.equal(storage.load(), null);
  wire.answer = () => ({});
  await recorder.start();
  assert.equal(recorder.recording, true);
  await recorder.close();
});

test("a refused ride that the server takes after all is no fault any more", async () => {
  const events: RecorderEvent[] = [];
  const wire = new Wire();
  const recorder = recorderOn(wire, new MemoryStorage(), (event) => events.push(event));
  await recorder.start();
  ride(recorder, 1, 3);
  wire.answer = (name) => (name === "track:start" ? new Refused({ code: "invalid", message: "a day ahead" }) : {});
  wire.up();
  await settled();
  assert.equal(events.at(-1)?.refused, true);
  wire.answer = () => ({});
  await recorder.flush();
  assert.deepEqual([events.at(-1)?.refused, events.at(-1)?.fault, recorder.unsent], [false, null, 0]);
  await recorder.close();
});

test("a position from before the ride is left out, but for a second", async () => {
  const wire = new Wire();
  wire.clock = new ServerClock(() => 300_000);
  const recorder = recorderOn(wire);
  await recorder.start();
  ride(recorder, 11, 12);
  assert.equal(recorder.fixes, 0);
  ride(recorder, 299, 300);
  assert.equal(recorder.fixes, 1);
  await recorder.close();
});

test("a ride without a position leaves nothing on the server, whether there is a connection or not", async () => {
  for (const live of [true, false]) {
    const [storage, wire] = [new MemoryStorage(), new Wire()];
    const recorder = recorderOn(wire, storage);
    if (live) wire.up();
    await recorder.start();
    await settled();
    await recorder.stop();
    wire.up();
    await settled();
    assert.deepEqual([wire.sent, storage.load(), recorder.recording], [[], null, false]);
    await recorder.close();
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { MemoryStorage } from "../src/client/buffer.ts";
import { ServerClock } from "../src/client/clock.ts";
import { Refused } from "../src/client/errors.ts";
import { Recorder, type Line } from "../src/client/recorder.ts";

type Sent = { name: string; seqs: number[] };

/** A connection of which the test says what it answers. */
class Wire {
  state: { kind: "live" } | { kind: "connecting" } = { kind: "connecting" };
  ready = { limits: { batch_fixes: 3 } } as never;
  clock = new ServerClock(() => 0);
  sent: Sent[] = [];
  answer: (name: string) => unknown = () => ({});
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
    const answer = this.answer(name);
    if (answer instanceof Refused) throw answer;
    return { send_interval_ms: 60_000, accepted: seqs.length, rejected: [], ...(answer as object) };
  }
}

function recorderOn(wire: Wire, storage = new MemoryStorage()): Recorder {
  return new Recorder(wire as unknown as Line, storage, () => undefined);
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

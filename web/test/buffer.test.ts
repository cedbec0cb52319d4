import assert from "node:assert/strict";
import { test } from "node:test";

import { FixBuffer, MemoryStorage, type BufferStorage, type StoredTrack } from "../src/client/buffer.ts";

const TRACK = { trackId: "a", startedAt: 0, clockOffset: 0 };
const POSITION = { timestamp: 1, latitude: 46.5, longitude: 10.4 };

test("fixes are numbered once, and leave only when they are answered for", () => {
  const buffer = FixBuffer.begin(TRACK, new MemoryStorage());
  for (let count = 0; count < 5; count++) buffer.add(POSITION);
  assert.deepEqual(buffer.oldest(3).map((fix) => fix.seq), [0, 1, 2]);
  buffer.settle([0, 2]);
  assert.deepEqual(buffer.oldest(9).map((fix) => fix.seq), [1, 3, 4]);
  assert.equal(buffer.newest()?.seq, 4);
  assert.equal(buffer.lastSeq, 4);
});

test("a reload goes on with the same numbers and the same unsent fixes", async () => {
  const storage = new MemoryStorage();
  const before = FixBuffer.begin({ ...TRACK, startedAt: 7 }, storage);
  before.add(POSITION);
  before.add(POSITION);
  before.settle([0]);
  before.stop();
  await before.saved();
  const after = await FixBuffer.resume(storage);
  assert.deepEqual([after?.trackId, after?.startedAt, after?.unsent, after?.stopped], ["a", 7, 1, true]);
  assert.equal(after?.add(POSITION).seq, 2);
});

test("a buffer that is closed or cleared writes no more: the storage may be somebody else's", async () => {
  const storage = new MemoryStorage();
  const closed = FixBuffer.begin(TRACK, storage);
  closed.add(POSITION);
  await closed.close();
  closed.settle([0]);
  await closed.saved();
  assert.equal(storage.load()?.fixes.length, 1);
  const cleared = FixBuffer.begin(TRACK, storage);
  await cleared.clear();
  storage.save({ ...TRACK, newestTime: 0, nextSeq: 3, stopped: false, fixes: [] });
  cleared.settle([0]);
  await cleared.clear();
  assert.equal(storage.load()?.nextSeq, 3);
});

test("what an earlier version stored goes on as well", async () => {
  const fixes = [{ seq: 4, ...POSITION, timestamp: 70 }];
  const old = { trackId: "a", startedAt: 0, nextSeq: 5, stopped: false, fixes } as unknown as StoredTrack;
  const buffer = await FixBuffer.resume({ load: () => old, save: () => undefined });
  assert.deepEqual([buffer?.clockOffset, buffer?.newestTime], [0, 70]);
});

test("an empty storage is nothing to resume, and so is a cleared one", async () => {
  const storage = new MemoryStorage();
  assert.equal(await FixBuffer.resume(storage), null);
  const buffer = FixBuffer.begin(TRACK, storage);
  buffer.add(POSITION);
  await buffer.clear();
  assert.equal(await FixBuffer.resume(storage), null);
});

test("changes while a write is under way are written after it, together", async () => {
  const written: number[] = [];
  let release: () => void = () => undefined;
  const storage: BufferStorage = {
    load: () => null,
    save: (track: StoredTrack | null) => {
      written.push(track?.fixes.length ?? -1);
      return new Promise<void>((resolve) => (release = resolve));
    },
  };
  const buffer = FixBuffer.begin(TRACK, storage);
  await Promise.resolve();
  await Promise.resolve();
  buffer.add(POSITION);
  buffer.add(POSITION);
  release();
  await new Promise(setImmediate);
  release();
  await buffer.saved();
  assert.deepEqual(written, [0, 2]);
});

test("a full disk is told, and the fixes stay to be sent", async () => {
  const faults: unknown[] = [];
  const full = { load: () => null, save: () => { throw new Error("full"); } };
  const buffer = FixBuffer.begin(TRACK, full, (fault) => faults.push(fault));
  buffer.add(POSITION);
  await buffer.saved();
  assert.equal(faults.length, 1);
  assert.equal(buffer.unsent, 1);
});

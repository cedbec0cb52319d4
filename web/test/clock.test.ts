import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerClock } from "../src/client/clock.ts";
import { backoffMs, Refused, refusalIn } from "../src/client/errors.ts";
import { uuid7 } from "../src/client/ids.ts";

test("half of the delay is taken to be the way here", () => {
  const clock = new ServerClock(() => 1_000_000);
  clock.sample(1_004_900, 200);
  assert.equal(clock.offsetMs, 5000);
  assert.equal(clock.now(), 1_005_000);
});

test("a sample that came faster is believed, a slower one that agrees is not", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(1000, 400);
  clock.sample(1100, 40);
  assert.equal(clock.offsetMs, 1120);
  clock.sample(900, 400);
  assert.equal(clock.offsetMs, 1120);
});

test("a clock that was set is noticed", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(1000, 20);
  clock.sample(3_600_000, 400);
  assert.equal(clock.offsetMs, 3_600_200);
});

test("waits double up to a limit, and no two clients wait alike", () => {
  assert.equal(backoffMs(0, () => 1), 500);
  assert.equal(backoffMs(1, () => 0), 500);
  assert.equal(backoffMs(50, () => 1), 15_000);
});

test("a refusal is told from an ack, and whether it passes", () => {
  assert.equal(refusalIn({ accepted: 1 }), null);
  assert.equal(refusalIn(null), null);
  const body = refusalIn({ error: { code: "unavailable", message: "wait", retry_after_ms: 5 } });
  const refused = new Refused(body!);
  assert.deepEqual([refused.passing, refused.retryAfterMs, refused.field], [true, 5, null]);
  assert.equal(new Refused({ code: "forbidden", message: "no" }).passing, false);
});

test("ids are UUIDv7: they sort by time", () => {
  const id = uuid7(0x0123456789ab);
  assert.match(id, /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(uuid7(1000) < uuid7(2000));
});

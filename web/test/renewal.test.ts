import assert from "node:assert/strict";
import { test } from "node:test";
import { merged, nextLookMs, pauseMs } from "../src/tracks/renewal.ts";
import type { Track, TrackState } from "../src/tracks/types.ts";

const ride = (id: string, started_at: number, state: TrackState = "computed"): Track => ({ id, state, started_at, points: 2, figures: null });
const ids = (tracks: Track[]): string => tracks.map(({ id }) => id).join(" ");

test("a page that is read again replaces itself and keeps the older ones below", () => {
  const shown = [ride("d", 40), ride("c", 30), ride("b", 20), ride("a", 10)];
  assert.equal(ids(merged(shown, { items: [ride("e", 50), ride("d", 40)], next_cursor: "more" })), "e d c b a");
});

test("what has been deleted meanwhile goes, from the first page and from a list that is one page", () => {
  const shown = [ride("d", 40), ride("c", 30), ride("b", 20), ride("a", 10)];
  assert.equal(ids(merged(shown, { items: [ride("d", 40), ride("b", 20)], next_cursor: "more" })), "d b a");
  assert.equal(ids(merged(shown, { items: [ride("b", 20)], next_cursor: null })), "b");
  assert.equal(ids(merged(shown, { items: [], next_cursor: null })), "");
});

test("a ride that is being computed is looked at again, one that is being recorded only in the beginning", () => {
  assert.equal(nextLookMs([ride("a", 10)], 0), null);
  assert.equal(nextLookMs([ride("a", 10), ride("b", 20, "finished")], 40), 30_000);
  assert.deepEqual([0, 2, 3].map((looks) => nextLookMs([ride("a", 10, "recording")], looks)), [2_000, 4_500, null]);
});

test("looks in a quarter of an hour are few", () => {
  let [looks, passed] = [0, 0];
  while (passed < 15 * 60_000) passed += pauseMs(looks++);
  assert.ok(looks < 40, `${looks} looks`);
});

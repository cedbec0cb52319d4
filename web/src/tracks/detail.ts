/** One ride: its line on the map, figures, profile, exports and deletion. Each part comes as soon as it is there. */

import type { Api } from "../api.ts";
import { profileChart } from "./chart.ts";
import { confirmed } from "./confirm.ts";
import { button, element } from "./dom.ts";
import { exportsOf, wholeExport } from "./exports.ts";
import * as format from "./format.ts";
import type { Library } from "./library.ts";
import { pauseMs } from "./renewal.ts";
import { profileTable } from "./table.ts";
import type { Profile, Track, Statistics } from "./types.ts";

export interface DetailEvents {
  back(): void;
  deleted(): void;
}

/** The view of one ride. The line is on the map until `api.showTrack(null)`. */
export function trackDetail(track: Track, library: Library, api: Api, events: DetailEvents): HTMLElement {
  const title = format.day(track.started_at);
  const heading = element("h3", { tabindex: "-1" }, title);
  const figures = element("dl", { class: "tracks-statistics", "aria-label": "Figures" });
  const profile = element("div", { class: "tracks-profile" });
  const deletion = button("Delete…", () => void remove(track, title, library, api, events), "is-danger");
  const root = element(
    "article",
    { class: "tracks-detail", "aria-label": `Ride of ${title}` },
    element("div", { class: "tracks-bar" }, button("‹ All my rides", events.back, "is-link"), heading),
    figures,
    profile,
    exportsOf(track, library, api),
    element("div", { class: "tracks-actions" }, deletion),
  );
  const measured = library.profile(track.id);
  void fill(profile, () => measured, profileParts);
  void showFigures(figures, track, library, measured.then(hasAltitude, () => true));
  void draw(track, title, library, api, root);
  return root;
}

/** Fill a place with what a request brings, or with the reason why it did not. */
async function fill<T>(place: HTMLElement, load: () => Promise<T>, show: (loaded: T) => Node[]): Promise<void> {
  place.setAttribute("aria-busy", "true");
  try {
    place.replaceChildren(...show(await load()));
  } catch (error) {
    place.replaceChildren(element("p", { class: "tracks-words", role: "status" }, reason(error)));
  }
  place.removeAttribute("aria-busy");
}

/** The figures, asked for again until they are computed or the view is closed. */
async function showFigures(place: HTMLElement, track: Track, library: Library, climbs: Promise<boolean>, looks = 0): Promise<void> {
  let known = true;
  await fill(place, () => Promise.all([library.statistics(track.id), climbs]), ([loaded, withHeights]) => {
    known = loaded.figures !== null || loaded.state === "recording";
    return statistics(loaded, withHeights);
  });
  if (!known) setTimeout(() => place.isConnected && void showFigures(place, track, library, climbs, looks + 1), pauseMs(looks));
}

/** Without a single altitude nobody knows how far up and down it went: the server's sums of nothing are 0. */
export function hasAltitude({ altitude }: Pick<Profile, "altitude">): boolean {
  return altitude.some((metres) => metres !== null);
}

function statistics({ figures: of, state, stops }: Statistics, withHeights: boolean): Node[] {
  if (of === null) return [row("State", state === "recording" ? "being recorded" : "being computed…")];
  return [
    row("Distance", format.distance(of.distance_metres)),
    row("Time", format.duration(of.duration_seconds)),
    row("Under way", format.duration(of.moving_seconds)),
    row("Average", format.speed(of.average_speed)),
    row("Fastest", format.speed(of.max_speed)),
    row("Climb", withHeights ? format.height(of.ascent_metres) : "–"),
    row("Descent", withHeights ? format.height(of.descent_metres) : "–"),
    row("Stops", String(stops.length)),
  ];
}

function row(name: string, value: string): HTMLElement {
  return element("div", {}, element("dt", {}, name), element("dd", {}, value));
}

function profileParts(profile: Profile): Node[] {
  const chart = profileChart(profile);
  if (chart === null) return [element("p", { class: "tracks-words" }, "Too short for a profile.")];
  return [chart, profileTable(profile)];
}

async function draw(track: Track, title: string, library: Library, api: Api, root: HTMLElement): Promise<void> {
  try {
    const parts = (await library.line(track.id)).geometry.coordinates;
    if (root.isConnected && parts.length > 0) api.showTrack({ id: track.id, title, parts });
  } catch {
    // the figures say what is wrong; a ride without a line has nothing to draw
  }
}

async function remove(track: Track, title: string, library: Library, api: Api, events: DetailEvents): Promise<void> {
  const consequence = "It cannot be brought back. Export it first, if you are not sure; only the whole ride is all that was recorded.";
  if (!(await confirmed(`Delete the ride of ${title}?`, consequence, "Delete", wholeExport(track, library, api)))) return;
  try {
    await library.delete(track.id);
    api.notify("The ride is deleted.");
    events.deleted();
  } catch (error) {
    api.notify(reason(error), "error");
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : "This could not be loaded.";
}

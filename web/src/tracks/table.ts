/** The profile as a table, for those whom a chart tells nothing. */

import { element } from "./dom.ts";
import * as format from "./format.ts";
import { nearest } from "./scale.ts";
import type { Profile } from "./types.ts";

const ROWS = 20;

/** About twenty places, evenly spread over the way, behind a summary that opens them. */
export function profileTable(profile: Profile): HTMLElement {
  const length = profile.distance.at(-1) ?? 0;
  const places = Array.from({ length: ROWS + 1 }, (_, row) => nearest(profile.distance, (length * row) / ROWS));
  const rows = [...new Set(places)].map((index) => row(profile, index));
  const head = ["Distance", "Elevation", "Speed"].map((title) => element("th", { scope: "col" }, title));
  return element(
    "details",
    { class: "tracks-table" },
    element("summary", {}, "Profile as a table"),
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
  );
}

function row(profile: Profile, index: number): HTMLElement {
  const elevation = profile.altitude[index] ?? null;
  const speed = profile.speed[index] ?? null;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, format.distance(profile.distance[index] ?? 0)),
    element("td", {}, elevation === null ? "–" : format.height(elevation)),
    element("td", {}, speed === null ? "–" : format.speed(speed)),
  );
}

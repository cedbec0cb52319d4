/** What the page says about what is in sight, and about how a session ended. */

import type { Refused, State } from "./client/index.ts";
import type { ListView } from "./ui/rider-list.ts";
import type { Sight } from "./viewport.ts";

const SEEKING = "Finding riders…";

export function endWords(reason: Refused): string {
  if (reason.code === "unsupported" || reason.code === "invalid") return "This page is older than the server. Reload it, then sign in.";
  return "Your session has ended. Please sign in again.";
}

/** Over the map; empty when there is nothing to say. */
export function chipWords(sight: Sight, cellsShown: boolean, seeking: boolean): string {
  if (seeking) return SEEKING;
  switch (sight.kind) {
    case "none":
      return "";
    case "blank":
      return "Zoom in to see riders";
    case "density":
      return "Riders per area · zoom in to see each of them";
    case "riders":
      return cellsShown ? `${sight.cells.length} cells of resolution ${sight.resolution} are watched` : "";
  }
}

/** In the list, when nobody is in it. */
export function emptyWords(sight: Sight, connection: State["kind"], seeking: boolean): ListView["empty"] {
  if (seeking) return { title: SEEKING, hint: "The map moves to where riders are.", find: false };
  if (connection !== "live") return { title: "Not connected", hint: "Riders appear as soon as there is a connection.", find: false };
  if (sight.kind === "riders") return { title: "Nobody in sight", hint: "No rider shares a position in this part of the map.", find: true };
  const counts = sight.kind === "density" ? (sight.cells ?? []) : [];
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return { title: "Zoom in to see riders", hint: "From far away the map shows how many there are.", find: true };
  return {
    title: `${total.toLocaleString()} riders from here`,
    hint: "Zoom in to see each of them. Areas with fewer than three show no number.",
    find: true,
  };
}

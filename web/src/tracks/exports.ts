/** Exports of one ride: as it may be shared, and whole, for the rider alone. */

import type { Api } from "../api.ts";
import { button, element } from "./dom.ts";
import type { Library } from "./library.ts";
import { save } from "./save.ts";
import type { ExportFormat, Track } from "./types.ts";

const NAMES: Record<ExportFormat, string> = { gpx: "GPX", geojson: "GeoJSON" };

/** Both kinds of export, each with what is in it. */
export function exportsOf(track: Track, library: Library, api: Api): HTMLElement {
  const shared = element("p", { class: "tracks-hint", id: "exports-shared" }, "To share: without what lies in your privacy zones.");
  const whole = element("p", { class: "tracks-hint", id: "exports-whole" }, "For yourself: the recording as it is, also where you live.");
  return element(
    "section",
    { class: "tracks-exports", "aria-label": "Exports" },
    shared,
    element("div", { class: "tracks-actions" }, sharing(track, "gpx", library, api), sharing(track, "geojson", library, api)),
    whole,
    element("div", { class: "tracks-actions" }, wholeExport(track, library, api, { "aria-describedby": whole.id })),
  );
}

/** The button for everything that was recorded; its file can be imported again. */
export function wholeExport(track: Track, library: Library, api: Api, attributes: Record<string, string> = {}): HTMLButtonElement {
  const load = (): Promise<Blob> => library.export(track.id, "gpx", "show");
  return saving("Whole ride, with private places", load, `ride-${fileDate(track)}-private.gpx`, api, attributes);
}

function sharing(track: Track, kind: ExportFormat, library: Library, api: Api): HTMLButtonElement {
  const load = (): Promise<Blob> => library.export(track.id, kind, "hide");
  return saving(`Export ${NAMES[kind]}`, load, `ride-${fileDate(track)}.${kind}`, api, { "aria-describedby": "exports-shared" });
}

function saving(label: string, load: () => Promise<Blob>, name: string, api: Api, attributes: Record<string, string>): HTMLButtonElement {
  const made = button(label, () => void run(), "", attributes);
  const run = async (): Promise<void> => {
    made.disabled = true;
    try {
      save(await load(), name);
      made.textContent = label;
    } catch (error) {
      made.textContent = `${label}: failed, try again`; // messages lie below a dialog
      api.notify(error instanceof Error ? error.message : "This could not be exported.", "error");
    }
    made.disabled = false;
  };
  return made;
}

function fileDate(track: Track): string {
  return new Date(track.started_at).toISOString().slice(0, 16).replace(":", "");
}

/** GPX files in: chosen or dropped, one after another, each with what came of it. */

import { button, element } from "./dom.ts";
import * as format from "./format.ts";
import type { Library } from "./library.ts";
import type { ImportedTrack } from "./types.ts";

/** The server's own limit (64 MiB): what it would refuse is not sent. */
const MOST_BYTES = 64 * 2 ** 20;

/** So many results stay; older ones make room. */
const MOST_RESULTS = 4;

export class Importer {
  readonly root: HTMLElement;
  readonly #library: Library;
  readonly #imported: () => void;
  readonly #results = element("ul", { class: "tracks-results", "aria-live": "polite" });
  readonly #choose: HTMLButtonElement;
  #queue: Promise<void> = Promise.resolve();

  constructor(library: Library, imported: () => void) {
    this.#library = library;
    this.#imported = imported;
    const picker = element("input", { type: "file", accept: ".gpx,application/gpx+xml", multiple: true, hidden: true, "aria-label": "GPX files" });
    picker.addEventListener("change", () => {
      this.take(picker.files);
      picker.value = "";
    });
    this.#choose = button("Import GPX…", () => picker.click());
    this.root = element(
      "div",
      { class: "tracks-import" },
      this.#choose,
      element("span", { class: "tracks-hint" }, `or drop files here, up to ${format.mebibytes(MOST_BYTES)} each`),
      picker,
      this.#results,
    );
  }

  /** Files dropped anywhere on this element are taken. */
  listenOn(target: HTMLElement): void {
    const hover = (event: DragEvent, inside: boolean): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      target.classList.toggle("is-dropping", inside);
    };
    target.addEventListener("dragover", (event) => hover(event, true));
    target.addEventListener("dragleave", (event) => {
      if (!target.contains(event.relatedTarget as Node | null)) hover(event, false);
    });
    target.addEventListener("drop", (event) => {
      hover(event, false);
      this.take(event.dataTransfer?.files ?? null);
    });
  }

  /** Import files after those that are under way. */
  take(files: FileList | null): void {
    for (const file of files ?? []) {
      const words = element("span", {}, `${file.name}: waiting`);
      const progress = element("progress", { "aria-label": `Import of ${file.name}` });
      const result = element("li", {}, words, progress);
      this.#results.append(result);
      this.#queue = this.#queue.then(() => this.#import(file, words, progress)).then(() => this.#finish(result, file.name));
    }
  }

  /** What came of a file can be closed, and makes room for what came of later ones. */
  #finish(result: HTMLElement, name: string): void {
    const close = button("×", () => {
      result.remove();
      this.#choose.focus();
    }, "is-link", { "aria-label": `Close the message about ${name}` });
    result.append(close);
    result.classList.add("is-over");
    const over = [...this.#results.querySelectorAll(".is-over")];
    for (const oldest of over.slice(0, Math.max(0, over.length - MOST_RESULTS))) oldest.remove();
  }

  async #import(file: File, words: HTMLElement, progress: HTMLElement): Promise<void> {
    try {
      if (file.size > MOST_BYTES) throw new Error(`has ${format.mebibytes(file.size)}; ${format.mebibytes(MOST_BYTES)} is the most`);
      words.textContent = `${file.name} (${format.bytes(file.size)}): importing…`;
      const { tracks } = await this.#library.import(file);
      for (const track of tracks) if (track.track_id !== null) await this.#library.arrival(track.track_id);
      words.textContent = `${file.name}: ${outcome(tracks)}`;
      this.#imported();
    } catch (error) {
      words.textContent = `${file.name}: ${error instanceof Error ? error.message : "could not be imported"}`;
      words.classList.add("is-error");
    }
    progress.remove();
  }
}

function outcome(tracks: readonly ImportedTrack[]): string {
  const sum = (of: (track: ImportedTrack) => number): number => tracks.reduce((total, track) => total + of(track), 0);
  const recorded = tracks.filter((track) => track.track_id !== null).length;
  const left = sum((track) => track.points - track.fixes);
  const rides = recorded === 1 ? "one ride" : `${recorded} rides`;
  const skipped = left === 0 ? "" : `; ${left.toLocaleString()} points without a usable time or place were left out`;
  return `${rides} with ${sum((track) => track.fixes).toLocaleString()} points${skipped}`;
}

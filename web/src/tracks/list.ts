/** The list of own rides: newest first, one page after another, renewed while a ride is still being computed. */

import type { Api } from "../api.ts";
import { button, element } from "./dom.ts";
import * as format from "./format.ts";
import type { Library } from "./library.ts";
import { Pictures } from "./picture.ts";
import type { Track } from "./types.ts";

const RENEW_MS = 2_000;

export class TrackList {
  readonly root = element("div", { class: "tracks-list" });
  readonly #library: Library;
  readonly #api: Api;
  readonly #open: (track: Track) => void;
  readonly #pictures: Pictures;
  readonly #items = element("ul", { class: "tracks-items", "aria-label": "My rides" });
  readonly #words = element("p", { class: "tracks-words", role: "status" });
  readonly #more = button("Show more", () => void this.#load(this.#cursor));
  #cursor: string | null = null;
  #timer = 0;
  /** Answers of requests older than the newest are not shown. */
  #request = 0;

  constructor(library: Library, api: Api, open: (track: Track) => void) {
    this.#library = library;
    this.#api = api;
    this.#open = open;
    this.#pictures = new Pictures(library);
    this.#more.hidden = true;
    this.root.append(this.#items, this.#words, this.#more);
  }

  /** Load the first page again. */
  renew(): void {
    void this.#load(null);
  }

  /** Stop asking; `renew` begins again. */
  rest(): void {
    this.#request += 1;
    clearTimeout(this.#timer);
  }

  async #load(cursor: string | null): Promise<void> {
    const request = ++this.#request;
    clearTimeout(this.#timer);
    this.#more.disabled = true;
    if (this.#items.childElementCount === 0) this.#words.textContent = "Loading your rides…";
    try {
      const page = await this.#library.page(cursor);
      if (request !== this.#request) return;
      if (cursor === null) this.#empty();
      this.#add(page.items);
      this.#cursor = page.next_cursor;
      this.#more.hidden = page.next_cursor === null;
      this.#words.textContent = this.#items.childElementCount > 0 ? "" : "No rides yet. Record one, or import a GPX file.";
      if (cursor === null && page.items.some((track) => track.state !== "computed")) {
        this.#timer = window.setTimeout(() => this.renew(), RENEW_MS);
      }
    } catch (error) {
      if (request === this.#request) this.#fail(error);
    } finally {
      this.#more.disabled = false;
    }
  }

  #empty(): void {
    this.#pictures.clear();
    this.#items.replaceChildren();
  }

  #add(tracks: Track[]): void {
    this.#items.append(...tracks.map((track) => this.#item(track)));
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : "Your rides could not be loaded.";
    this.#words.replaceChildren(message, " ", button("Try again", () => this.renew(), "is-link"));
    this.#api.notify(message, "error");
  }

  #item(track: Track): HTMLLIElement {
    const row = button("", () => this.#open(track), "tracks-item", { "data-track": track.id });
    row.append(
      this.#pictures.of(track.id),
      element("span", { class: "tracks-when" }, format.day(track.started_at)),
      element("span", { class: "tracks-figures" }, figures(track)),
    );
    return element("li", {}, row);
  }
}

function figures(track: Track): string {
  if (track.state === "recording") return "being recorded";
  if (track.figures === null) return "being computed…";
  return `${format.distance(track.figures.distance_metres)} · ${format.duration(track.figures.duration_seconds)}`;
}

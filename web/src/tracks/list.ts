/**
 * The list of own rides: newest first, one page after another, looked at again while a ride is being computed.
 *
 * Rows stay the elements they are, with their picture and the focus, and only change what they say.
 */

import type { Api } from "../api.ts";
import { Refused } from "../client/index.ts";
import { button, element } from "./dom.ts";
import * as format from "./format.ts";
import { PAGE_TRACKS, type Library } from "./library.ts";
import { Pictures } from "./picture.ts";
import { merged, nextLookMs, pauseMs } from "./renewal.ts";
import type { Track, TrackPage } from "./types.ts";

export class TrackList {
  readonly root = element("div", { class: "tracks-list" });
  readonly #library: Library;
  readonly #api: Api;
  readonly #open: (track: Track) => void;
  readonly #pictures: Pictures;
  readonly #items = element("ul", { class: "tracks-items", "aria-label": "My rides" });
  readonly #words = element("p", { class: "tracks-words", role: "status" });
  readonly #more = button("Show more", () => void this.#load(this.#cursor));
  readonly #rows = new Map<string, Row>();
  #shown: Track[] = [];
  #cursor: string | null = null;
  #timer = 0;
  /** Looks since somebody wanted the list. */
  #looks = 0;
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
    this.#looks = 0;
    void this.#load(null);
  }

  /** Stop asking; `renew` begins again. */
  rest(): void {
    this.#request += 1;
    clearTimeout(this.#timer);
  }

  /** A ride is gone. */
  remove(id: string): void {
    this.#arrange(this.#shown.filter((track) => track.id !== id));
  }

  /** Stop asking, and let go of the pictures. */
  close(): void {
    this.rest();
    this.#arrange([]);
  }

  async #load(cursor: string | null): Promise<void> {
    const request = ++this.#request;
    clearTimeout(this.#timer);
    this.#more.disabled = true;
    if (this.#shown.length === 0) this.#words.textContent = "Loading your rides…";
    try {
      const page = await this.#library.page(cursor);
      if (request === this.#request) this.#take(page, cursor);
    } catch (error) {
      if (request === this.#request) this.#fail(error);
    } finally {
      this.#more.disabled = false;
    }
  }

  #take(page: TrackPage, cursor: string | null): void {
    const tracks = cursor === null ? merged(this.#shown, page) : [...this.#shown, ...page.items];
    const beyond = cursor === null && tracks.length > page.items.length; // further pages stay, and so does where they end
    if (!beyond) this.#cursor = page.next_cursor;
    this.#more.hidden = this.#cursor === null;
    this.#arrange(tracks);
    this.#words.textContent = tracks.length > 0 ? "" : "No rides yet. Record one, or import a GPX file.";
    const wait = nextLookMs(tracks.slice(0, PAGE_TRACKS), this.#looks);
    if (wait !== null) this.#lookAgain(wait);
  }

  #lookAgain(milliseconds: number): void {
    this.#looks += 1;
    this.#timer = window.setTimeout(() => void this.#load(null), milliseconds);
  }

  /** Show exactly these, moving only rows that are elsewhere. */
  #arrange(tracks: Track[]): void {
    this.#shown = tracks;
    const wanted = new Set(tracks.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#drop(id, row);
    tracks.forEach((track, index) => {
      const { root } = this.#row(track);
      const there = this.#items.children[index] ?? null;
      if (there !== root) this.#items.insertBefore(root, there);
    });
  }

  #row(track: Track): Row {
    let row = this.#rows.get(track.id);
    if (!row) this.#rows.set(track.id, (row = new Row(track, this.#pictures, this.#open)));
    row.show(track);
    return row;
  }

  #drop(id: string, row: Row): void {
    row.close();
    this.#rows.delete(id);
  }

  #fail(error: unknown): void {
    if (this.#looks > 0 && error instanceof Refused && error.passing) {
      return this.#lookAgain(Math.max(pauseMs(this.#looks), error.retryAfterMs ?? 0)); // nobody asked for this look
    }
    const message = error instanceof Error ? error.message : "Your rides could not be loaded.";
    this.#words.replaceChildren(message, " ", button("Try again", () => this.renew(), "is-link"));
    this.#api.notify(message, "error");
  }
}

class Row {
  readonly root: HTMLLIElement;
  readonly #pictures: Pictures;
  readonly #picture: HTMLImageElement;
  readonly #when = element("span", { class: "tracks-when" });
  readonly #figures = element("span", { class: "tracks-figures" });
  #track: Track;

  constructor(track: Track, pictures: Pictures, open: (track: Track) => void) {
    this.#track = track;
    this.#pictures = pictures;
    this.#picture = pictures.of(track.id);
    const row = button("", () => open(this.#track), "tracks-item", { "data-track": track.id });
    row.append(this.#picture, this.#when, this.#figures);
    this.root = element("li", {}, row);
  }

  show(track: Track): void {
    this.#track = track;
    this.#pictures.show(this.#picture, track.state === "computed" ? "whole" : "so far");
    set(this.#when, format.day(track.started_at));
    set(this.#figures, figures(track));
  }

  close(): void {
    this.#pictures.drop(this.#picture);
    this.root.remove();
  }
}

function figures(track: Track): string {
  if (track.state === "recording") return "being recorded";
  if (track.figures === null) return "being computed…";
  return `${format.distance(track.figures.distance_metres)} · ${format.duration(track.figures.duration_seconds)}`;
}

function set(node: HTMLElement, words: string): void {
  if (node.textContent !== words) node.textContent = words;
}

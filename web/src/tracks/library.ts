/** The requests behind "My rides", typed. All of them throw `Refused` with a sentence that can be shown. */

import { read, type Api } from "../api.ts";
import type { ExportFormat, Geometry, Imported, Profile, Statistics, Track, TrackPage } from "./types.ts";

/** Tracks on one page of the list. */
export const PAGE_TRACKS = 20;
/** The line is simplified for this zoom: a track fills a window at about 12, and may be looked at closer. */
const LINE_ZOOM = 15;
/** Half as large again as shown; under 120 high there is no elevation in it. */
const PICTURE = { width: 168, height: 112 };
const ARRIVAL_LOOKS = 20;
const ARRIVAL_PAUSE_MS = 500;
/** So many looks are at the newest rides only; by then one that is older than these can be asked for by itself. */
const LOOKS_AT_NEWEST = 4;

export class Library {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** A page of own tracks, newest first. */
  page(cursor: string | null): Promise<TrackPage> {
    const query = new URLSearchParams({ limit: String(PAGE_TRACKS), ...(cursor === null ? {} : { cursor }) });
    return this.#api.json(`/v1/tracks?${query}`);
  }

  track(id: string): Promise<Track> {
    return this.#api.json(`/v1/tracks/${id}`);
  }

  statistics(id: string): Promise<Statistics> {
    return this.#api.json(`/v1/tracks/${id}/statistics`);
  }

  profile(id: string): Promise<Profile> {
    return this.#api.json(`/v1/tracks/${id}/profile`);
  }

  line(id: string): Promise<Geometry> {
    return this.#api.json(`/v1/tracks/${id}/geometry?zoom=${LINE_ZOOM}`);
  }

  async delete(id: string): Promise<void> {
    await this.#api.json<void>(`/v1/tracks/${id}`, { method: "DELETE" });
  }

  picture(id: string, theme: "light" | "dark"): Promise<Blob> {
    return this.#blob(`/v1/tracks/${id}/picture.svg?width=${PICTURE.width}&height=${PICTURE.height}&theme=${theme}`);
  }

  /** `hide` leaves out what lies in privacy zones; `show` gives the recording as it is. */
  export(id: string, format: ExportFormat, zones: "hide" | "show"): Promise<Blob> {
    return this.#blob(`/v1/tracks/${id}/export?format=${format}&zones=${zones}`);
  }

  import(file: File): Promise<Imported> {
    const headers = { "content-type": "application/gpx+xml" };
    return this.#api.json("/v1/tracks/import", { method: "POST", headers, body: file });
  }

  /** Wait until an imported track is stored; it is kept already, but a moment passes until it can be read. */
  async arrival(id: string): Promise<void> {
    for (let look = 0; look < ARRIVAL_LOOKS; look++) {
      if ((await this.page(null)).items.some((track) => track.id === id)) return;
      if (look >= LOOKS_AT_NEWEST && (await this.#api.fetch(`/v1/tracks/${id}`)).ok) return;
      await new Promise((passed) => setTimeout(passed, ARRIVAL_PAUSE_MS));
    }
  }

  async #blob(path: string): Promise<Blob> {
    const answer = await this.#api.fetch(path);
    return answer.ok ? answer.blob() : read<never>(answer);
  }
}

/**
 * "My rides": the list of own tracks, one of them in full, imports and exports.
 *
 * Lives in one element and speaks through `Api`; loads when the element comes into sight, and again each time it does.
 */

import type { Api } from "../api.ts";
import { trackDetail } from "./detail.ts";
import { element } from "./dom.ts";
import { Importer } from "./importer.ts";
import { Library } from "./library.ts";
import { TrackList } from "./list.ts";
import "./tracks.css";
import type { Track } from "./types.ts";

/** Show the rides of whoever is signed in; returns how to let go of them. */
export function mountTracks(root: HTMLElement, api: Api): () => void {
  const library = new Library(api);
  const list = new TrackList(library, api, (track) => open(track));
  const importer = new Importer(library, () => list.renew());
  const overview = element("div", { class: "tracks-overview" }, importer.root, list.root);
  const content = element("div", { class: "tracks-content" }, overview);
  const heading = element("h2", { class: "visually-hidden", tabindex: "-1" }, "My rides");
  root.replaceChildren(heading, content);
  importer.listenOn(content);

  const back = (renew: boolean): void => {
    api.showTrack(null);
    content.replaceChildren(overview);
    if (renew) list.renew();
  };
  const open = (track: Track): void => {
    list.rest();
    const focusAgain = `[data-track="${track.id}"]`;
    const detail = trackDetail(track, library, api, {
      back: () => {
        back(true);
        overview.querySelector<HTMLElement>(focusAgain)?.focus();
      },
      deleted: () => {
        list.remove(track.id);
        back(true);
        heading.focus();
      },
    });
    content.replaceChildren(detail);
    detail.querySelector("h3")?.focus();
  };

  const watching = new IntersectionObserver((entries) => {
    if (!overview.isConnected) return;
    if (entries.at(-1)?.isIntersecting) list.renew();
    else list.rest();
  });
  watching.observe(content);
  return () => {
    watching.disconnect();
    list.close();
  };
}

/** The list of one's own tracks. */

import type { Api } from "../api.ts";

/** Show the list in `root`. */
export function mountTracks(root: HTMLElement, _api: Api): void {
  const heading = document.createElement("h2");
  heading.textContent = "My tracks";
  root.replaceChildren(heading);
}

/**
 * The small picture of a track. Pictures need the rider's token, so they cannot be plain `src` addresses: each is
 * fetched when it comes into sight, once for what it shows, and kept in memory until it is dropped.
 */

import { element } from "./dom.ts";
import type { Library } from "./library.ts";

/** What an image is to show: a track, in a version of it and a theme; and what it shows. */
interface Wanted {
  trackId: string;
  version: string;
  fetched: string | null;
  url: string | null;
}

export class Pictures {
  readonly #library: Library;
  readonly #wanted = new WeakMap<Element, Wanted>();
  readonly #observer: IntersectionObserver;

  constructor(library: Library) {
    this.#library = library;
    this.#observer = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) void this.#fetch(entry.target as HTMLImageElement);
    });
  }

  /** An image of a track, empty until `show`; decoration, since the words beside it say the same. */
  of(trackId: string): HTMLImageElement {
    const image = element("img", { class: "tracks-picture", alt: "", width: "84", height: "56" });
    this.#wanted.set(image, { trackId, version: "", fetched: null, url: null });
    return image;
  }

  /** Have it show a version of its track; nothing is fetched again while version and theme stay. */
  show(image: HTMLImageElement, version: string): void {
    const wanted = this.#wanted.get(image);
    if (!wanted) return;
    wanted.version = version;
    if (wanted.fetched !== look(version)) this.#observer.observe(image);
  }

  /** Let go of an image that leaves the page. */
  drop(image: HTMLImageElement): void {
    this.#observer.unobserve(image);
    const url = this.#wanted.get(image)?.url;
    this.#wanted.delete(image);
    if (url) URL.revokeObjectURL(url);
  }

  async #fetch(image: HTMLImageElement): Promise<void> {
    this.#observer.unobserve(image);
    const wanted = this.#wanted.get(image);
    if (!wanted || wanted.fetched === look(wanted.version)) return;
    const asked = (wanted.fetched = look(wanted.version));
    try {
      const picture = await this.#library.picture(wanted.trackId, theme());
      if (!this.#wanted.has(image) || wanted.fetched !== asked) return; // dropped, or a newer one is on its way
      if (wanted.url) URL.revokeObjectURL(wanted.url);
      image.src = wanted.url = URL.createObjectURL(picture);
    } catch {
      wanted.fetched = null; // tried again with the next look; the words beside it say what matters
    }
  }
}

function look(version: string): string {
  return `${version}, ${theme()}`;
}

/** What the page wears: its own choice, or the system's. */
function theme(): "light" | "dark" {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

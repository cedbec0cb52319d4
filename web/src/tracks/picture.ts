/**
 * The small picture of a track. Pictures need the rider's token, so they cannot be plain `src` addresses: each is
 * fetched when it comes into sight, shown from memory, and let go of when it is taken off the page.
 */

import { element } from "./dom.ts";
import type { Library } from "./library.ts";

export class Pictures {
  readonly #library: Library;
  readonly #urls = new Map<string, string>();
  readonly #wanted = new WeakMap<Element, string>();
  readonly #observer: IntersectionObserver;

  constructor(library: Library) {
    this.#library = library;
    this.#observer = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) void this.#show(entry.target as HTMLImageElement);
    });
  }

  /** An image of a track; decoration, since the words beside it say the same. */
  of(trackId: string): HTMLImageElement {
    const image = element("img", { class: "tracks-picture", alt: "", width: "96", height: "64" });
    this.#wanted.set(image, trackId);
    this.#observer.observe(image);
    return image;
  }

  /** Let go of all pictures: those that are on the page stay visible. */
  clear(): void {
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
    this.#urls.clear();
  }

  async #show(image: HTMLImageElement): Promise<void> {
    this.#observer.unobserve(image);
    const id = this.#wanted.get(image);
    if (id === undefined) return;
    try {
      let url = this.#urls.get(id);
      if (url === undefined) {
        url = URL.createObjectURL(await this.#library.picture(id));
        this.#urls.set(id, url);
      }
      image.src = url;
    } catch {
      image.classList.add("is-missing"); // a track whose line is not computed yet has none
    }
  }
}

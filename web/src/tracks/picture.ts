/**
 * The small picture of a track. Pictures need the rider's token, so they cannot be plain `src` addresses: each is
 * fetched when it comes into sight, shown from memory, and let go of when it is taken off the page.
 */

import { element } from "./dom.ts";
import type { Library } from "./library.ts";

export class Pictures {
  readonly #library: Library;
  #urls: string[] = [];
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
    const image = element("img", { class: "tracks-picture", alt: "", width: "84", height: "56" });
    this.#wanted.set(image, trackId);
    this.#observer.observe(image);
    return image;
  }

  /** Let go of all pictures: those that are on the page stay visible. */
  clear(): void {
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = [];
  }

  async #show(image: HTMLImageElement): Promise<void> {
    this.#observer.unobserve(image);
    const id = this.#wanted.get(image);
    if (id === undefined) return;
    try {
      const picture = await this.#library.picture(id, theme());
      if (!image.isConnected) return;
      image.src = URL.createObjectURL(picture);
      this.#urls.push(image.src);
    } catch {
      // the words beside it say what matters
    }
  }
}

/** What the page wears: its own choice, or the system's. */
function theme(): "light" | "dark" {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

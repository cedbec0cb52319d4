/** Light or dark: as the system says, until the rider chooses. */

import type { Theme } from "../map/palette.ts";
import { recall, remember } from "../remembered.ts";

export class ThemeChoice {
  readonly #system = window.matchMedia("(prefers-color-scheme: dark)");
  readonly #onChange: (theme: Theme) => void;
  #chosen = recall<Theme>("theme");

  constructor(onChange: (theme: Theme) => void) {
    this.#onChange = onChange;
    this.#system.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  get theme(): Theme {
    return this.#chosen ?? (this.#system.matches ? "dark" : "light");
  }

  toggle(): void {
    this.#chosen = this.theme === "dark" ? "light" : "dark";
    remember("theme", this.#chosen);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset["theme"] = this.theme;
    this.#onChange(this.theme);
  }
}

/** Whether the rider's system asks for as little motion as can be. */
export function prefersStillness(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

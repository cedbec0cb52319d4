/** The buttons at the right edge of the map. */

import { element } from "../tracks/dom.ts";
import { icon, type IconName } from "./icons.ts";

export interface ControlActions {
  zoomIn(): void;
  zoomOut(): void;
  locate(): void;
  fit(): void;
  cells(): void;
  theme(): void;
}

export class Controls {
  readonly root: HTMLElement;
  readonly #cells: HTMLButtonElement;
  readonly #theme: HTMLButtonElement;

  constructor(actions: ControlActions) {
    this.#cells = control("cells", "Show the H3 cells that are watched", () => actions.cells());
    this.#cells.setAttribute("aria-pressed", "false");
    this.#theme = control("moon", "Dark map", () => actions.theme());
    const zoom = element(
      "div",
      { class: "control-group" },
      control("plus", "Zoom in", () => actions.zoomIn()),
      control("minus", "Zoom out", () => actions.zoomOut()),
    );
    const places = element(
      "div",
      { class: "control-group" },
      control("fit", "Show all riders", () => actions.fit()),
      control("locate", "Show where I am", () => actions.locate()),
    );
    const looks = element("div", { class: "control-group" }, this.#cells, this.#theme);
    this.root = element("div", { class: "controls", role: "toolbar", "aria-label": "Map", "aria-orientation": "vertical" }, zoom, places, looks);
  }

  showCells(shown: boolean): void {
    this.#cells.setAttribute("aria-pressed", String(shown));
  }

  showTheme(theme: "light" | "dark"): void {
    const words = theme === "dark" ? "Light map" : "Dark map";
    this.#theme.replaceChildren(icon(theme === "dark" ? "sun" : "moon"));
    this.#theme.setAttribute("aria-label", words);
    this.#theme.title = words;
  }
}

function control(name: IconName, words: string, onClick: () => void): HTMLButtonElement {
  const made = element("button", { type: "button", class: "control", "aria-label": words, title: words }, icon(name));
  made.addEventListener("click", onClick);
  return made;
}

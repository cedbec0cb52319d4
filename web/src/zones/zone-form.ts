/** The form for a new zone: a name and a radius; its middle is the middle of the map. */

import { element } from "../tracks/dom.ts";
import { distanceWords } from "../words.ts";
import { LARGEST_RADIUS_METRES, LONGEST_NAME, SMALLEST_RADIUS_METRES } from "./requests.ts";

const USUAL_RADIUS_METRES = 300;
const STEP_METRES = 50;

export interface ZoneFormActions {
  /** The radius is another one. */
  resize(): void;
  /** Bring the map to where the rider is. */
  goToMe(): void;
  save(name: string, radiusMetres: number): Promise<void>;
  cancel(): void;
}

export class ZoneForm {
  readonly root: HTMLFormElement;
  readonly #goToMe: HTMLButtonElement;
  readonly #name = element("input", { type: "text", maxlength: String(LONGEST_NAME), autocomplete: "off", placeholder: "Home" });
  readonly #radius = element("input", {
    type: "range",
    min: String(SMALLEST_RADIUS_METRES),
    max: String(LARGEST_RADIUS_METRES),
    step: String(STEP_METRES),
    "aria-label": "Radius",
  });
  readonly #metres = element("output", {});
  readonly #problem = element("p", { class: "form-problem", role: "alert", hidden: true });
  readonly #save = element("button", { type: "submit", class: "button is-primary" }, "Save zone");

  constructor(actions: ZoneFormActions) {
    const cancel = element("button", { type: "button", class: "button", onclick: () => actions.cancel() }, "Cancel");
    this.#goToMe = element("button", { type: "button", class: "button is-small", onclick: () => actions.goToMe() }, "Go to where I am");
    this.root = element(
      "form",
      { class: "zone-form", novalidate: true, hidden: true, "aria-label": "New privacy zone" },
      element("p", { class: "hint" }, "Move the map until the dashed circle covers the place."),
      this.#goToMe,
      element("label", { class: "field" }, element("span", {}, "Name"), this.#name),
      element("div", { class: "field" }, element("span", { class: "zone-radius", "aria-hidden": "true" }, "Radius", this.#metres), this.#radius),
      this.#problem,
      element("div", { class: "zone-buttons" }, cancel, this.#save),
    );
    this.#radius.addEventListener("input", () => {
      this.#sayRadius();
      actions.resize();
    });
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit(actions);
    });
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      actions.cancel();
    });
  }

  get radiusMetres(): number {
    return Number(this.#radius.value);
  }

  open(): void {
    this.#name.value = "";
    this.#radius.value = String(USUAL_RADIUS_METRES);
    this.#sayRadius();
    this.say(null);
    this.root.hidden = false;
    this.root.scrollIntoView({ block: "nearest" });
    this.#goToMe.focus({ preventScroll: true }); // not the name: on a phone its keyboard would hide the map
  }

  close(): void {
    this.root.hidden = true;
  }

  /** What is wrong; null is nothing. */
  say(problem: string | null): void {
    this.#problem.textContent = problem ?? "";
    this.#problem.hidden = problem === null;
  }

  async #submit(actions: ZoneFormActions): Promise<void> {
    const name = this.#name.value.trim();
    if (name === "") {
      this.say("Please give the zone a name.");
      return this.#name.focus();
    }
    this.#save.disabled = true;
    await actions.save(name, this.radiusMetres);
    this.#save.disabled = false;
  }

  #sayRadius(): void {
    const words = distanceWords(this.radiusMetres);
    this.#metres.textContent = words;
    this.#radius.setAttribute("aria-valuetext", words);
  }
}

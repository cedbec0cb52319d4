/** Who is followed: name, speed, direction, age and how far the page has seen them ride. */

import type { Rider } from "../riders/fleet.ts";
import { element } from "../tracks/dom.ts";
import { ageWords, compassWords, distanceWords, speedWords } from "../words.ts";
import { icon } from "./icons.ts";

export class FollowCard {
  readonly root: HTMLElement;
  readonly #dot = element("span", { class: "follow-dot", "aria-hidden": "true" });
  readonly #name = element("strong", {});
  readonly #speed = element("span", { class: "follow-speed" });
  readonly #detail = element("span", {});
  readonly #seen = element("span", { class: "follow-seen" });

  constructor(stop: () => void) {
    const end = element("button", { type: "button", class: "icon-button", "aria-label": "Stop following", title: "Stop following (Esc)" });
    end.append(icon("close", 18));
    end.addEventListener("click", stop);
    const detail = element("span", { class: "follow-detail" }, this.#detail, this.#seen);
    const words = element("div", { class: "follow-words" }, this.#name, detail);
    this.root = element("section", { class: "follow-card", "aria-label": "Followed rider", hidden: true }, this.#dot, words, this.#speed, end);
  }

  show(rider: Rider | null, now: number): void {
    this.root.hidden = rider === null;
    if (!rider) return;
    const { heading, speed, heardAt } = rider.sighting;
    this.#dot.style.backgroundColor = rider.colour;
    this.#name.textContent = rider.label;
    this.#speed.textContent = speedWords(speed);
    const direction = heading === null ? "" : `${compassWords(heading)} · `;
    this.#detail.textContent = direction + ageWords(now - heardAt);
    this.#seen.textContent = rider.trail.metres > 50 ? ` · ${distanceWords(rider.trail.metres)} seen` : "";
  }
}

/** Everybody in sight: search, distance, speed, age; one press follows. Works by arrow keys as well. */

import { distance, type Place } from "../geo.ts";
import type { Rider } from "../riders/fleet.ts";
import { element } from "../tracks/dom.ts";
import { ageWords, distanceWords, speedWords } from "../words.ts";
import { icon } from "./icons.ts";

const MOST_ROWS = 200;

export interface ListView {
  riders: readonly Rider[];
  /** From where distances count. */
  from: Place;
  followed: number | null;
  own: number | null;
  now: number;
  /** What to say when there is nobody. */
  empty: { title: string; hint: string; find: boolean };
}

export class RiderList {
  readonly root: HTMLElement;
  readonly #search = element("input", {
    type: "search",
    placeholder: "Find a rider",
    "aria-label": "Find a rider by name",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #count = element("p", { class: "list-count", "aria-live": "polite" });
  readonly #rows = element("ul", { class: "rider-rows", "aria-label": "Riders in sight" });
  readonly #empty = element("div", { class: "empty" });
  readonly #known = new Map<number, Row>();
  readonly #follow: (rider: number) => void;
  #order: number[] = [];
  #view: ListView | null = null;
  #said = "";

  constructor(follow: (rider: number) => void, find: () => void) {
    this.#follow = follow;
    const search = element("label", { class: "search" }, this.#search);
    search.prepend(icon("search", 18));
    const button = element("button", { type: "button", class: "button" }, "Find riders");
    button.addEventListener("click", find);
    this.#empty.append(element("p", { class: "empty-title" }), element("p", { class: "empty-hint" }), button);
    this.root = element("div", { class: "rider-list" }, search, this.#count, this.#rows, this.#empty);
    this.#search.addEventListener("input", () => this.#view && this.show(this.#view));
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.#step(event, -1, 1);
    });
    this.#rows.addEventListener("keydown", (event) => this.#keys(event));
  }

  show(view: ListView): void {
    this.#view = view;
    const wanted = this.#search.value.trim().toLocaleLowerCase();
    const found = view.riders.filter((rider) => rider.label.toLocaleLowerCase().includes(wanted));
    const ordered = this.#ordered(found, view).slice(0, MOST_ROWS);
    this.#order = ordered.map((rider) => rider.number);
    for (const rider of ordered) this.#row(rider, view);
    this.#arrange();
    this.#say(view, found.length, wanted !== "");
  }

  /** Nearest first; but nobody changes places while the list is being used. */
  #ordered(found: readonly Rider[], view: ListView): Rider[] {
    const away = new Map(found.map((rider) => [rider.number, distance(view.from, rider.sighting)]));
    const held = this.#rows.matches(":hover, :focus-within") ? new Map(this.#order.map((number, index) => [number, index])) : null;
    const place = (rider: Rider): number => held?.get(rider.number) ?? (held ? 1e9 : 0);
    return [...found].sort((one, other) => place(one) - place(other) || away.get(one.number)! - away.get(other.number)!);
  }

  #row(rider: Rider, view: ListView): void {
    let row = this.#known.get(rider.number);
    if (!row) {
      row = new Row(rider, () => this.#follow(rider.number));
      this.#known.set(rider.number, row);
    }
    row.show(rider, view);
  }

  #arrange(): void {
    const wanted = new Set(this.#order);
    for (const [number, row] of this.#known) {
      if (wanted.has(number)) continue;
      row.root.remove();
      this.#known.delete(number);
    }
    this.#order.forEach((number, index) => {
      const { root } = this.#known.get(number)!;
      if (this.#rows.children[index] !== root) this.#rows.insertBefore(root, this.#rows.children[index] ?? null);
    });
  }

  #say(view: ListView, count: number, searching: boolean): void {
    const words = count === 0 ? "" : `${count} ${count === 1 ? "rider" : "riders"} ${searching ? "found" : "in sight"}`;
    if (words !== this.#said) this.#count.textContent = this.#said = words;
    this.#count.hidden = count === 0;
    this.#empty.hidden = count > 0;
    const [title, hint, find] = this.#empty.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
    title.textContent = searching ? "Nobody by that name" : view.empty.title;
    hint.textContent = searching ? "Only riders on the visible part of the map are listed." : view.empty.hint;
    find.hidden = searching || !view.empty.find;
  }

  #keys(event: KeyboardEvent): void {
    const buttons = [...this.#rows.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "ArrowDown") this.#step(event, at, 1);
    else if (event.key === "ArrowUp") this.#step(event, at, -1);
    else if (event.key === "Home") this.#step(event, -1, 1);
    else if (event.key === "End") this.#step(event, buttons.length, -1);
  }

  #step(event: KeyboardEvent, at: number, by: number): void {
    event.preventDefault();
    const buttons = this.#rows.querySelectorAll("button");
    if (at + by < 0) this.#search.focus();
    else buttons[at + by]?.focus();
  }
}

class Row {
  readonly root: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #arrow = icon("arrow", 16);
  readonly #name = element("span", { class: "row-name" });
  readonly #detail = element("span", { class: "row-detail" });
  readonly #speed = element("span", { class: "row-speed" });

  constructor(rider: Rider, follow: () => void) {
    const badge = element("span", { class: "row-badge" });
    badge.style.backgroundColor = rider.colour;
    badge.append(this.#arrow);
    const words = element("span", { class: "row-words" }, this.#name, this.#detail);
    this.#button = element("button", { type: "button", class: "row" }, badge, words, this.#speed);
    this.#button.addEventListener("click", follow);
    this.root = element("li", {}, this.#button);
  }

  show(rider: Rider, view: ListView): void {
    const own = rider.number === view.own;
    const away = distanceWords(distance(view.from, rider.sighting));
    this.#arrow.style.transform = `rotate(${Math.round(rider.sighting.heading ?? 0)}deg)`;
    set(this.#name, own ? `${rider.label} (you)` : rider.label);
    set(this.#detail, `${away} · ${ageWords(view.now - rider.sighting.heardAt)}`);
    set(this.#speed, speedWords(rider.sighting.speed));
    this.#button.setAttribute("aria-pressed", String(rider.number === view.followed));
  }
}

function set(node: HTMLElement, words: string): void {
  if (node.textContent !== words) node.textContent = words;
}

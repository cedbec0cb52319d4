/** One's own privacy zones: listed, drawn on one's own map, added and deleted. */

import type { Api } from "../api.ts";
import type { Place } from "../geo.ts";
import { confirmed } from "../tracks/confirm.ts";
import { element } from "../tracks/dom.ts";
import { distanceWords } from "../words.ts";
import { drawZone, removeZone, zonesOf, type PrivacyZone } from "./requests.ts";
import { ZoneForm } from "./zone-form.ts";
import type { ZoneMap } from "./zone-map.ts";
import "./zones.css";

const HINT = "Within a zone you are on nobody's live map, and exports to share leave it out. Only you see your zones.";

export class ZonesPane {
  readonly root: HTMLElement;
  readonly #api: Api;
  readonly #map: ZoneMap;
  readonly #locate: () => Promise<Place>;
  readonly #rows = element("ul", { class: "zone-rows", "aria-label": "Privacy zones" });
  readonly #words = element("p", { class: "hint", role: "status" });
  readonly #add = element("button", { type: "button", class: "button", onclick: () => this.#begin() }, "Add a zone…");
  readonly #form: ZoneForm;
  #zones: PrivacyZone[] = [];
  /** The zones in the list, as they were read. */
  #listed = "";
  #closed = false;
  #stopFollowing: (() => void) | null = null;

  constructor(api: Api, map: ZoneMap, locate: () => Promise<Place>) {
    this.#api = api;
    this.#map = map;
    this.#locate = locate;
    this.#form = new ZoneForm({
      resize: () => this.#draw(),
      goToMe: () => void this.#goToMe(),
      save: (name, radius) => this.#save(name, radius),
      cancel: () => this.#end(),
    });
    this.root = element(
      "section",
      { class: "zones", "aria-labelledby": "zones-title" },
      element("h2", { id: "zones-title" }, "Privacy zones"),
      element("p", { class: "hint" }, HINT),
      this.#rows,
      this.#words,
      this.#add,
      this.#form.root,
    );
  }

  /** Ask the server for all of them. */
  async load(): Promise<void> {
    try {
      this.#hold(await zonesOf(this.#api));
    } catch (error) {
      const again = element("button", { type: "button", class: "button is-small", onclick: () => void this.load() }, "Try again");
      this.#words.replaceChildren(reason(error), " ", again);
      this.#listed = "";
    }
  }

  /** Leave the map to the next one; what is still answered is not shown to them. */
  close(): void {
    this.#closed = true;
    this.#letMapBe();
  }

  #letMapBe(): void {
    this.#stopFollowing?.();
    this.#stopFollowing = null;
  }

  /** These hold. Rows that say the same stay, and with them the focus. */
  #hold(zones: PrivacyZone[]): void {
    this.#zones = zones;
    this.#draw();
    const listed = JSON.stringify(zones);
    if (listed === this.#listed) return;
    this.#listed = listed;
    this.#rows.replaceChildren(...zones.map((zone) => this.#row(zone)));
    this.#words.textContent = zones.length === 0 ? "You have no zone yet." : "";
  }

  #row(zone: PrivacyZone): HTMLLIElement {
    const show = element("button", { type: "button", class: "zone-show", title: "Show on the map", onclick: () => this.#map.show(zone) });
    show.append(element("span", { class: "zone-name" }, zone.name), element("span", { class: "zone-size" }, distanceWords(zone.radius_metres)));
    const label = `Delete the zone ${zone.name}`;
    const remove = element("button", { type: "button", class: "button is-small", "aria-label": label, onclick: () => void this.#remove(zone) }, "Delete…");
    return element("li", { class: "zone-row" }, show, remove);
  }

  #begin(): void {
    this.#map.hold();
    this.#add.hidden = true;
    this.#form.open();
    this.#stopFollowing ??= this.#map.onMove(() => this.#draw());
    this.#draw();
  }

  #end(): void {
    this.#letMapBe();
    this.#form.close();
    this.#add.hidden = false;
    this.#add.focus();
    this.#draw();
  }

  async #goToMe(): Promise<void> {
    try {
      this.#map.show(await this.#locate());
    } catch (error) {
      this.#form.say(reason(error));
    }
  }

  async #save(name: string, radius_metres: number): Promise<void> {
    if (!this.#map.shows(radius_metres)) return this.#form.say("Zoom in first: the zone is too small to be placed from here.");
    try {
      const zone = await drawZone(this.#api, { name, ...this.#map.middle, radius_metres });
      this.#end();
      this.#hold([...this.#zones, zone]);
    } catch (error) {
      this.#form.say(reason(error));
    }
  }

  async #remove(zone: PrivacyZone): Promise<void> {
    const consequence = "Whoever may see you live then sees you there too, and exports to share no longer leave it out.";
    if (!(await confirmed(`Delete the zone “${zone.name}”?`, consequence, "Delete"))) return;
    try {
      await removeZone(this.#api, zone.id);
      this.#hold(this.#zones.filter(({ id }) => id !== zone.id));
      this.#add.focus();
    } catch (error) {
      this.#api.notify(reason(error), "error");
    }
  }

  #draw(): void {
    if (this.#closed) return;
    this.#map.draw(this.#zones, this.#stopFollowing === null ? null : this.#form.radiusMetres);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong. Please try again.";
}

/** The side panel with its tabs; on a phone a sheet at the bottom that is drawn up by hand or by its handle. */

import { element } from "../tracks/dom.ts";
import { icon, mark } from "./icons.ts";

export interface PanelTab {
  id: string;
  title: string;
  content: HTMLElement;
}

const HEIGHTS = ["peek", "half", "full"] as const;
type Height = (typeof HEIGHTS)[number];

/** As in styles/panel.css: below this, the panel is a sheet. */
const SHEET = "(max-width: 720px)";

/** Drawn further than this, a handle means the next height. */
const DRAW_PIXELS = 40;

export class Panel {
  readonly root: HTMLElement;
  readonly #handle = element("button", { type: "button", class: "sheet-handle", "aria-label": "Show more or less", "aria-expanded": "false" });
  readonly #tabs: HTMLButtonElement[] = [];
  readonly #panes: HTMLElement[] = [];
  readonly #content = element("div", { class: "panes" });
  readonly #sheet = window.matchMedia(SHEET);
  #height: Height = "peek";

  constructor(username: string, status: HTMLElement, tabs: readonly PanelTab[], signOut: () => void) {
    const leave = element("button", { type: "button", class: "icon-button", "aria-label": `Sign out ${username}`, title: `Sign out ${username}` });
    leave.append(icon("leave", 20));
    leave.addEventListener("click", signOut);
    const brand = element("div", { class: "brand" }, element("h1", { class: "brand-name" }, "ThrottleCove"));
    brand.prepend(mark());
    const head = element("header", { class: "panel-head" }, brand, status, leave);
    const list = element("div", { class: "tabs", role: "tablist", "aria-label": "Panel" });
    for (const tab of tabs) {
      list.append(this.#tab(tab));
      this.#content.append(this.#pane(tab));
    }
    list.addEventListener("keydown", (event) => this.#keys(event));
    this.root = element("aside", { class: "panel", tabindex: "-1", "aria-label": "Riders, your ride and your tracks" }, this.#handle, head, list, this.#content);
    this.#listenToHandle();
    this.#sheet.addEventListener("change", this.#reach);
    this.#select(0);
    this.#become("peek");
  }

  /** Where keys go on from, when what had the focus is gone. */
  focus(): void {
    this.root.focus({ preventScroll: true });
  }

  /** Show a tab, and on a phone enough of the sheet to see it. */
  open(id: string): void {
    this.#select(this.#panes.findIndex((pane) => pane.dataset["tab"] === id));
    if (this.#height === "peek") this.#become("half");
  }

  /** Stop listening to the window. */
  close(): void {
    this.#sheet.removeEventListener("change", this.#reach);
  }

  /** On a phone, out of the way of the map. */
  lower(): void {
    this.#become("peek");
  }

  #tab(tab: PanelTab): HTMLButtonElement {
    const index = this.#tabs.length;
    const made = element("button", { type: "button", role: "tab", id: `tab-${tab.id}`, "aria-controls": `pane-${tab.id}`, class: "tab" }, tab.title);
    made.addEventListener("click", () => {
      this.#select(index);
      if (this.#height === "peek") this.#become("half");
    });
    this.#tabs.push(made);
    return made;
  }

  #pane(tab: PanelTab): HTMLElement {
    const made = element("div", { role: "tabpanel", id: `pane-${tab.id}`, "aria-labelledby": `tab-${tab.id}`, class: "pane", "data-tab": tab.id }, tab.content);
    this.#panes.push(made);
    return made;
  }

  #select(index: number): void {
    if (index < 0) return;
    this.#tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === index));
      tab.tabIndex = at === index ? 0 : -1;
    });
    this.#panes.forEach((pane, at) => (pane.hidden = at !== index));
  }

  #keys(event: KeyboardEvent): void {
    const at = this.#tabs.indexOf(document.activeElement as HTMLButtonElement);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined || at < 0) return;
    const next = (at + by + this.#tabs.length) % this.#tabs.length;
    this.#select(next);
    this.#tabs[next]!.focus();
  }

  #become(height: Height): void {
    this.#height = height;
    this.root.dataset["height"] = height;
    this.#handle.setAttribute("aria-expanded", String(height !== "peek"));
    this.#reach();
  }

  /** What a lowered sheet hides can be reached by nobody, keyboards and screen readers included. */
  readonly #reach = (): void => {
    const hidden = this.#sheet.matches && this.#height === "peek";
    if (hidden && this.#content.contains(document.activeElement)) this.#handle.focus({ preventScroll: true });
    this.#content.inert = hidden;
  };

  #listenToHandle(): void {
    let from: number | null = null;
    let drawn = false;
    this.#handle.addEventListener("pointerdown", (event) => {
      from = event.clientY;
      drawn = false;
      this.#handle.setPointerCapture(event.pointerId);
    });
    this.#handle.addEventListener("pointermove", (event) => {
      if (from === null || Math.abs(event.clientY - from) < DRAW_PIXELS) return;
      this.#draw(event.clientY < from ? 1 : -1);
      from = event.clientY;
      drawn = true;
    });
    this.#handle.addEventListener("pointerup", () => (from = null));
    this.#handle.addEventListener("pointercancel", () => (from = null));
    this.#handle.addEventListener("click", () => {
      if (!drawn) this.#become(this.#height === "peek" ? "half" : this.#height === "half" ? "full" : "peek");
      drawn = false;
    });
  }

  #draw(by: 1 | -1): void {
    const at = HEIGHTS.indexOf(this.#height) + by;
    this.#become(HEIGHTS[Math.min(Math.max(at, 0), HEIGHTS.length - 1)]!);
  }
}

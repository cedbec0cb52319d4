/** Recording one's own ride: start and stop, who may see it, how far and how fast, what is not with the server yet. */

import type { Audience } from "../client/index.ts";
import { element } from "../tracks/dom.ts";
import { distanceWords, durationWords, speedWords } from "../words.ts";

export interface RideFigures {
  recording: boolean;
  /** The ride has no position yet. */
  waiting: boolean;
  startedAt: number | null;
  metres: number;
  speed: number | null;
  unsent: number;
  live: boolean;
  /** The server does not take the ride as it is: it may be given up. */
  refused: boolean;
  fault: string | null;
}

const PUBLIC_OFFLINE = "Nobody sees you move until there is a connection. Your privacy zones stay hidden.";

const AUDIENCES: { value: Audience; title: string; hint: string }[] = [
  { value: "public", title: "Everyone", hint: "Riders near you see you move. Your privacy zones stay hidden." },
  { value: "followers", title: "Followers", hint: "Riders cannot follow one another yet, so nobody sees you." },
  { value: "nobody", title: "Nobody", hint: "Your ride is recorded, and nobody sees you." },
];

const NO_RIDE = { recording: false, waiting: true, startedAt: null, metres: 0, speed: null, unsent: 0, refused: false, fault: null };

export class RidePane {
  readonly root: HTMLElement;
  readonly #toggle = element("button", { type: "button", class: "button is-primary is-large" }, "Start ride");
  readonly #distance = figure("Distance");
  readonly #time = figure("Time");
  readonly #speed = figure("Speed");
  readonly #unsent = element("p", { class: "ride-unsent", role: "status" });
  readonly #fault = element("p", { class: "form-problem", role: "alert", hidden: true });
  readonly #giveUp = element("button", { type: "button", class: "button is-small", hidden: true }, "Give this ride up…");
  readonly #hint = element("p", { class: "hint", id: "audience-hint" });
  readonly #options: HTMLInputElement[] = [];
  #audience: Audience | null = null;
  #live = false;

  constructor(actions: { start(): void; stop(): void; giveUp(): void; share(audience: Audience): void }) {
    this.#toggle.addEventListener("click", () => (this.#toggle.classList.contains("is-stop") ? actions.stop() : actions.start()));
    this.#giveUp.addEventListener("click", () => actions.giveUp());
    const choices = AUDIENCES.map(({ value, title }) => {
      const option = element("input", { type: "radio", name: "audience", value });
      option.addEventListener("change", () => actions.share(value));
      this.#options.push(option);
      return element("label", { class: "segment" }, option, element("span", {}, title));
    });
    const sharing = element(
      "fieldset",
      { class: "sharing", "aria-describedby": "audience-hint" },
      element("legend", {}, "Who sees me live"),
      element("div", { class: "segments" }, ...choices),
      this.#hint,
    );
    const figures = element("dl", { class: "figures" }, this.#distance.root, this.#time.root, this.#speed.root);
    this.root = element("div", { class: "ride" }, figures, this.#toggle, this.#unsent, this.#fault, this.#giveUp, sharing);
    this.show({ ...NO_RIDE, live: false }, Date.now());
    this.showAudience(null);
  }

  show(ride: RideFigures, now: number): void {
    this.#toggle.textContent = ride.recording ? "Stop ride" : "Start ride";
    this.#toggle.classList.toggle("is-stop", ride.recording);
    this.#distance.set(distanceWords(ride.metres));
    this.#time.set(durationWords(ride.startedAt === null ? 0 : now - ride.startedAt));
    this.#speed.set(speedWords(ride.recording ? ride.speed : null));
    setText(this.#unsent, keptWords(ride));
    this.#unsent.classList.toggle("is-waiting", ride.unsent > 3);
    setText(this.#fault, ride.fault ?? "");
    this.#fault.hidden = ride.fault === null;
    this.#giveUp.hidden = !ride.refused;
    this.#live = ride.live;
    this.#sayWhoSees();
  }

  /** The audience that holds; null when it is not known yet. */
  showAudience(audience: Audience | null): void {
    for (const option of this.#options) {
      option.checked = option.value === audience;
      option.disabled = audience === null;
    }
    this.#audience = audience;
    this.#sayWhoSees();
  }

  #sayWhoSees(): void {
    const offline = this.#audience === "public" && !this.#live;
    setText(this.#hint, offline ? PUBLIC_OFFLINE : (AUDIENCES.find(({ value }) => value === this.#audience)?.hint ?? ""));
  }
}

/** Where the positions of a ride are by now. */
export function keptWords(ride: Pick<RideFigures, "recording" | "waiting" | "unsent" | "live">): string {
  if (ride.recording && ride.waiting) return "Waiting for the first position.";
  const few = ride.live ? 3 : 0; // with a connection these are on their way
  if (ride.unsent > few) {
    const words = `${ride.unsent.toLocaleString()} ${ride.unsent === 1 ? "position" : "positions"} kept on this device`;
    return ride.live ? `${words}, sending…` : `${words} until there is a connection.`;
  }
  return ride.recording ? "Every position is safe with the server." : "Positions come from this device and are recorded until you stop.";
}

function figure(title: string): { root: HTMLElement; set(words: string): void } {
  const value = element("dd", {}, "–");
  return { root: element("div", { class: "figure" }, element("dt", {}, title), value), set: (words) => setText(value, words) };
}

function setText(node: HTMLElement, words: string): void {
  if (node.textContent !== words) node.textContent = words;
}

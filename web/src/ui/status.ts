/** The state of the connection, in words, and how long a message takes; a bar over the map when something is wrong. */

import type { Connection, State } from "../client/index.ts";
import { element } from "../tracks/dom.ts";

export class Status {
  /** The small sign in the panel's head. */
  readonly root: HTMLElement;
  /** The bar over the map. */
  readonly bar: HTMLElement;
  readonly #connection: Connection;
  readonly #words = element("span", { class: "status-words" }, "Connecting");
  readonly #latency = element("span", { class: "status-latency", title: "Round trip to the server" });
  readonly #barWords = element("p", {});
  readonly #spoken = element("span", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  readonly #abort = new AbortController();
  #clock: ReturnType<typeof setInterval> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    const dot = element("span", { class: "status-dot", "aria-hidden": "true" });
    this.root = element("div", { class: "status" }, dot, this.#words, this.#latency, this.#spoken);
    const retry = element("button", { type: "button", class: "button is-small" }, "Try now");
    retry.addEventListener("click", () => connection.connect());
    this.bar = element("div", { class: "bar", hidden: true }, this.#barWords, retry);
    connection.on("state", (state) => this.#show(state));
    connection.on("latency", (milliseconds) => {
      this.#latency.textContent = `${Math.max(1, Math.round(milliseconds))} ms`;
    });
    window.addEventListener("online", () => connection.connect(), { signal: this.#abort.signal });
    window.addEventListener("offline", () => this.#show(connection.state), { signal: this.#abort.signal });
    this.#show(connection.state);
  }

  close(): void {
    this.#abort.abort();
    clearInterval(this.#clock);
  }

  #show(state: State): void {
    clearInterval(this.#clock);
    this.root.dataset["state"] = state.kind;
    const words = { connecting: "Connecting", live: "Live", waiting: "Reconnecting", ended: "Signed out" }[state.kind];
    this.#words.textContent = words;
    this.#spoken.textContent = state.kind === "live" ? "Connected" : words;
    this.#latency.hidden = state.kind !== "live";
    this.bar.hidden = state.kind !== "waiting";
    if (state.kind !== "waiting") return;
    const count = (): void => {
      const seconds = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
      this.#barWords.textContent = `${this.#reason(state)} ${seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…"}`;
    };
    count();
    this.#clock = setInterval(count, 500);
  }

  #reason(state: Extract<State, { kind: "waiting" }>): string {
    if (!navigator.onLine) return "You are offline. Riders are shown where they were last seen.";
    switch (state.reason.code) {
      case "stopping":
        return "This server is being updated; moving to another one.";
      case "rate_limited":
        return "The server asks for a pause.";
      case "token_expired":
      case "unauthenticated":
        return "Renewing your session.";
      default:
        return this.#connection.latencyMs === null ? "The server does not answer." : "The connection was lost.";
    }
  }
}

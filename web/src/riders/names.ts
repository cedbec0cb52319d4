/** Asks the server who the numbers are: in few requests, and never again for those it knows. */

import { Refused, type Connection } from "../client/index.ts";
import type { Fleet } from "./fleet.ts";

const MOST_AT_ONCE = 200;
const ASK_AGAIN_MS = 10_000;

export class Names {
  readonly #connection: Connection;
  readonly #fleet: Fleet;
  #asking = false;

  constructor(connection: Connection, fleet: Fleet) {
    this.#connection = connection;
    this.#fleet = fleet;
  }

  /** Ask for the riders that have no name yet; call it now and then. */
  async refresh(now: number): Promise<void> {
    if (this.#asking || this.#connection.state.kind !== "live") return;
    const due = this.#fleet.present(now).filter((rider) => rider.name === null && now - rider.nameAskedAt > ASK_AGAIN_MS);
    const asked = due.slice(0, MOST_AT_ONCE);
    if (asked.length === 0) return;
    for (const rider of asked) rider.nameAskedAt = now;
    this.#asking = true;
    try {
      const { riders } = await this.#connection.ask("riders:info", { riders: asked.map((rider) => rider.number) });
      for (const known of riders) {
        const rider = this.#fleet.get(known.rider);
        if (rider) rider.name = known.name;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // asked again when due
    } finally {
      this.#asking = false;
    }
  }
}

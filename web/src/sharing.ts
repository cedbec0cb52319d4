/** Who may see one live: what holds now, and changing it. */

import type { Api } from "./api.ts";
import { Refused, type Audience, type Connection } from "./client/index.ts";

export class Sharing {
  readonly #api: Api;
  readonly #connection: Connection;
  readonly #show: (audience: Audience | null) => void;
  #audience: Audience | null = null;

  constructor(api: Api, connection: Connection, show: (audience: Audience | null) => void) {
    this.#api = api;
    this.#connection = connection;
    this.#show = show;
  }

  /** Ask the server what holds. */
  async load(): Promise<void> {
    try {
      this.#is((await this.#api.json<{ audience: Audience }>("/v1/users/sharing")).audience);
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // asked again after the next connection
    }
  }

  /** Choose; what was chosen before comes back when the server does not agree. */
  async choose(audience: Audience): Promise<void> {
    try {
      this.#is((await this.#connection.ask("sharing:set", { audience })).audience);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#show(this.#audience);
      this.#api.notify(error.passing ? "That could not be changed just now. Please try again." : error.message, "error");
    }
  }

  #is(audience: Audience): void {
    this.#audience = audience;
    this.#show(audience);
  }
}

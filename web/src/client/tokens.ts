/**
 * The tokens of one session: kept, refreshed in time and by one request at a time.
 *
 * A refresh token is used up by its first use; if the answer is lost the same one may be sent again within a minute. So
 * a network fault keeps the token, and only a refusal by the server ends the session.
 */

import { Refused, unanswered } from "./errors.ts";

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  /** When the access token ends, in milliseconds on the local clock. */
  expiresAt: number;
  deviceId: string;
  userId: string;
  username: string;
}

/** `POST /v1/auth/refresh`. Throws Refused: `unavailable` when no answer came. */
export type Refresher = (refreshToken: string, deviceId: string) => Promise<Tokens>;

/** Refresh this long before the end. */
const MARGIN_MS = 30_000;

export class TokenKeeper {
  readonly #refresh: Refresher;
  readonly #onChange: (tokens: Tokens | null) => void;
  readonly #now: () => number;
  #tokens: Tokens | null;
  #refreshing: Promise<Tokens> | null = null;

  constructor(
    tokens: Tokens,
    refresh: Refresher,
    onChange: (tokens: Tokens | null) => void = () => undefined,
    now: () => number = Date.now,
  ) {
    this.#tokens = tokens;
    this.#refresh = refresh;
    this.#onChange = onChange;
    this.#now = now;
  }

  /** The tokens held, or null once the session has ended. */
  get current(): Tokens | null {
    return this.#tokens;
  }

  /** An access token that holds for a while. Throws Refused; `unauthenticated` means that the session has ended. */
  async access(): Promise<string> {
    const tokens = this.#held();
    if (tokens.expiresAt - this.#now() > MARGIN_MS) return tokens.accessToken;
    return this.renew();
  }

  /** A new access token, whatever the old one says. Callers at the same time share one request. */
  async renew(): Promise<string> {
    this.#refreshing ??= this.#renew().finally(() => {
      this.#refreshing = null;
    });
    return (await this.#refreshing).accessToken;
  }

  /** The session has ended: forget the tokens. */
  end(): void {
    this.#tokens = null;
    this.#onChange(null);
  }

  async #renew(): Promise<Tokens> {
    const held = this.#held();
    try {
      const tokens = await this.#refresh(held.refreshToken, held.deviceId);
      if (this.#tokens === null) throw ended(); // signed out meanwhile
      this.#tokens = tokens;
      this.#onChange(tokens);
      return tokens;
    } catch (error) {
      if (error instanceof Refused && !error.passing) {
        this.end();
        throw ended();
      }
      throw error instanceof Refused ? error : unanswered("no answer to the refresh of the session");
    }
  }

  #held(): Tokens {
    if (this.#tokens === null) throw ended();
    return this.#tokens;
  }
}

function ended(): Refused {
  return new Refused({ code: "unauthenticated", message: "this session has ended; sign in again" });
}

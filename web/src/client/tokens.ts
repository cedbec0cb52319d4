/**
 * The tokens of one session: kept, refreshed in time and by one request at a time.
 *
 * A refresh token is used up by its first use; if the answer is lost the same one may be sent again within a minute. So
 * a network fault keeps the token, and so does what a proxy or a hotel's network answers; only a refusal by the server
 * itself ends the session.
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

/** `POST /v1/auth/refresh`. Throws Refused: `unavailable` when no answer of the server came. */
export type Refresher = (refreshToken: string, deviceId: string) => Promise<Tokens>;

/** Hears of new tokens, and of the end: no tokens, and why. */
export type TokensListener = (tokens: Tokens | null, reason: Refused | null) => void;

/** Refresh this long before the end. */
const MARGIN_MS = 30_000;

/** What the server says when the session is over. Any other refusal of a refresh is a fault that may pass. */
const ENDING: ReadonlySet<string> = new Set(["unauthenticated", "forbidden", "gone"]);

export class TokenKeeper {
  readonly #refresh: Refresher;
  readonly #onChange: TokensListener;
  readonly #now: () => number;
  #tokens: Tokens | null;
  #refreshing: Promise<Tokens> | null = null;

  constructor(
    tokens: Tokens,
    refresh: Refresher,
    onChange: TokensListener = () => undefined,
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

  /** The session has ended: forget the tokens. Once is enough. */
  end(reason: Refused = ended()): void {
    if (this.#tokens === null) return;
    this.#tokens = null;
    this.#onChange(null, reason);
  }

  async #renew(): Promise<Tokens> {
    const held = this.#held();
    try {
      const tokens = await this.#refresh(held.refreshToken, held.deviceId);
      if (this.#tokens === null) throw ended(); // signed out meanwhile
      this.#tokens = tokens;
      this.#onChange(tokens, null);
      return tokens;
    } catch (error) {
      if (!(error instanceof Refused)) throw unanswered("no answer to the refresh of the session");
      if (ENDING.has(error.code)) {
        this.end(error);
        throw ended();
      }
      throw error.passing ? error : unanswered(error.message);
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

/**
 * One live connection that keeps itself alive: signs in, comes back after a loss, refreshes its token, measures delay.
 *
 * Promises typed events and acks, that every request ends (with its ack or a Refused), and that a socket the server
 * closed for good is not opened again. Who is where, and what is recorded, is left to those who listen.
 */

import { io, type Socket } from "socket.io-client";

import { ServerClock } from "./clock.ts";
import type { EmissionName, Emissions, ErrorEvent, RequestName, Requests, SessionReady } from "./contract.ts";
import { backoffMs, Refused, refusalIn, unanswered } from "./errors.ts";
import type { TokenKeeper } from "./tokens.ts";

const ACK_TIMEOUT_MS = 8_000;
const READY_TIMEOUT_MS = 15_000;
const PROBE_EVERY_MS = 5_000;

/**
 * `connecting`: the first attempt. `live`: the server has said `session:ready`. `waiting`: lost; tries again by itself.
 * `ended`: will not come back by itself; `reason` says why.
 */
export type State =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "waiting"; reason: Refused; retryAt: number }
  | { kind: "ended"; reason: Refused | null };

export interface LocalEvents {
  state: State;
  latency: number;
}

type Everything = Emissions & LocalEvents;
type Listener<T> = (value: T) => void;

export interface ConnectionOptions {
  /** Where the server is; the page's own origin when left out. */
  url?: string;
  tokens: TokenKeeper;
  /** Name and version of the app, for people who look into faults. */
  app?: string;
  random?: () => number;
}

const EMISSIONS: EmissionName[] = [
  "session:ready",
  "auth:expiring",
  "location:frame",
  "location:density",
  "rate:set",
  "error",
];

export class Connection {
  readonly clock = new ServerClock();
  readonly #tokens: TokenKeeper;
  readonly #random: () => number;
  readonly #socket: Socket;
  readonly #listeners = new Map<string, Set<Listener<never>>>();
  #state: State = { kind: "connecting" };
  #ready: SessionReady | null = null;
  #latency: number | null = null;
  #attempt = 0;
  #openedAt = 0;
  #opening = false;
  #closing: ErrorEvent | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #probe: ReturnType<typeof setInterval> | undefined;

  constructor(options: ConnectionOptions) {
    this.#tokens = options.tokens;
    this.#random = options.random ?? Math.random;
    const settings = {
      autoConnect: false,
      reconnection: false, // the server says whether to come back; see #lost
      forceNew: true,
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      auth: (give: (auth: object) => void) => void this.#credentials(options.app).then(give),
    };
    this.#socket = options.url === undefined ? io(settings) : io(options.url, settings);
    this.#listen();
  }

  get state(): State {
    return this.#state;
  }

  /** What the server said at the start of this connection; null while there is none. */
  get ready(): SessionReady | null {
    return this.#ready;
  }

  /** Round trip in milliseconds, smoothed; null until measured. */
  get latencyMs(): number | null {
    return this.#latency;
  }

  /** Hear of an event; the answer ends that. */
  on<Name extends keyof Everything>(name: Name, listener: Listener<Everything[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener as Listener<never>));
    return () => listeners.delete(listener as Listener<never>);
  }

  /** Connect, now. Also ends a wait for the next attempt (the network is back, the rider asks for it). */
  connect(): void {
    if (this.#state.kind === "live" || this.#opening) return;
    clearTimeout(this.#retry);
    if (this.#state.kind === "ended") this.#become({ kind: "connecting" });
    void this.#open();
  }

  /** Leave, for good. */
  close(): void {
    this.#end(null);
    this.#socket.disconnect();
  }

  /** Send a request and wait for its ack. Throws Refused; when that is `passing`, send the same again, ids unchanged. */
  async ask<Name extends RequestName>(
    name: Name,
    payload: Requests[Name]["payload"],
    timeoutMs = ACK_TIMEOUT_MS,
  ): Promise<Requests[Name]["ack"]> {
    if (this.#state.kind !== "live") throw unanswered("there is no connection");
    let ack: unknown;
    try {
      ack = await this.#socket.timeout(timeoutMs).emitWithAck(name, payload);
    } catch {
      throw unanswered(`no answer to ${name}`);
    }
    const refusal = refusalIn(ack);
    if (refusal) throw new Refused(refusal);
    return ack as Requests[Name]["ack"];
  }

  #listen(): void {
    for (const name of EMISSIONS) {
      this.#socket.on(name as string, (value: Emissions[typeof name]) => {
        this.#take(name, value);
        this.#tell(name, value as never);
      });
    }
    this.#socket.on("connect_error", (error: Error & { data?: { code?: string; message?: string; retry_after_ms?: number } }) => {
      const code = error.data?.code;
      this.#lost(
        code === undefined
          ? unanswered("the server cannot be reached")
          : new Refused({ code, message: error.data?.message ?? error.message, retry_after_ms: error.data?.retry_after_ms ?? null }),
      );
    });
    this.#socket.on("disconnect", () => this.#lost(unanswered("the connection was lost")));
  }

  #take(name: EmissionName, value: Emissions[EmissionName]): void {
    if (name === "session:ready") this.#welcome(value as SessionReady);
    else if (name === "auth:expiring") void this.#refreshToken();
    else if (name === "error" && (value as ErrorEvent).reconnect) this.#closing = value as ErrorEvent;
  }

  /** Open the socket with a token that holds; `renewed` when the one before was refused. */
  async #open(renewed = false): Promise<void> {
    this.#opening = true;
    try {
      await (renewed ? this.#tokens.renew() : this.#tokens.access());
    } catch (error) {
      this.#lost(error as Refused);
      return;
    }
    if (this.#state.kind === "ended") return;
    this.#openedAt = performance.now();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#socket.disconnect();
      this.#lost(unanswered("the server does not answer"));
    }, READY_TIMEOUT_MS);
    this.#socket.connect();
  }

  async #credentials(app: string | undefined): Promise<object> {
    const tokens = this.#tokens.current;
    return { token: tokens?.accessToken ?? "-", device_id: tokens?.deviceId ?? "-", protocol: 1, ...(app ? { app } : {}) };
  }

  #welcome(ready: SessionReady): void {
    clearTimeout(this.#deadline);
    this.#opening = false;
    this.clock.sample(ready.server_time, performance.now() - this.#openedAt);
    this.#ready = ready;
    this.#attempt = 0;
    this.#closing = null;
    this.#become({ kind: "live" });
    clearInterval(this.#probe);
    this.#probe = setInterval(() => void this.#measure(), PROBE_EVERY_MS);
    void this.#measure();
  }

  /** The socket is gone: come back at once, later or never, as the server said and the reason allows. */
  #lost(found: Refused): void {
    clearTimeout(this.#deadline);
    clearInterval(this.#probe);
    this.#opening = false;
    this.#ready = null;
    if (this.#state.kind === "ended") return;
    const said = this.#closing;
    this.#closing = null;
    const reason = said ? new Refused(said) : found;
    if (said?.reconnect === "never" || (reason.code === "unauthenticated" && !this.#tokens.current)) {
      this.#tokens.end();
      this.#end(reason);
    } else if (reason.code === "forbidden" || reason.code === "unsupported" || reason.code === "invalid") {
      this.#end(reason);
    } else {
      this.#comeBack(reason, said?.reconnect === "at_once" ? 0 : this.#attempt);
    }
  }

  #comeBack(reason: Refused, attempt: number): void {
    const tokenAtFault = reason.code === "token_expired" || reason.code === "unauthenticated" || reason.code === "session_revoked";
    const wait = Math.max(reason.retryAfterMs ?? 0, backoffMs(attempt, this.#random));
    this.#attempt++;
    clearTimeout(this.#retry);
    this.#become({ kind: "waiting", reason, retryAt: Date.now() + wait });
    this.#retry = setTimeout(() => void this.#open(tokenAtFault), wait);
  }

  async #refreshToken(): Promise<void> {
    try {
      const token = await this.#tokens.renew();
      await this.ask("auth:refresh", { token });
    } catch {
      // The server closes the socket when the token ends; coming back tries again.
    }
  }

  async #measure(): Promise<void> {
    const began = performance.now();
    try {
      await this.ask("riders:info", { riders: [] }, PROBE_EVERY_MS * 2);
    } catch (error) {
      if (error instanceof Refused && error.message.startsWith("no answer") && this.#state.kind === "live") {
        this.#socket.disconnect(); // half-open: the transport does not know yet
      }
      return;
    }
    const took = performance.now() - began;
    this.#latency = this.#latency === null ? took : this.#latency * 0.6 + took * 0.4;
    this.#tell("latency", this.#latency);
  }

  #end(reason: Refused | null): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#deadline);
    clearInterval(this.#probe);
    this.#become({ kind: "ended", reason });
  }

  #become(state: State): void {
    this.#state = state;
    this.#tell("state", state);
  }

  #tell<Name extends keyof Everything>(name: Name, value: Everything[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) (listener as Listener<Everything[Name]>)(value);
  }
}

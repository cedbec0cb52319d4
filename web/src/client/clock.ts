/** The server's clock, as seen from here: the offset between the two, from what the server says its time is. */

export class ServerClock {
  readonly #now: () => number;
  #offset = 0;
  #uncertainty = Infinity;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Take in that the server's clock showed `serverTime` (ms) when it sent something that took up to `delayMs` to come.
   * A sample is kept when it is more certain than the one held, or when the two cannot both be true (a clock was set).
   */
  sample(serverTime: number, delayMs: number): void {
    const offset = serverTime + delayMs / 2 - this.#now();
    const uncertainty = delayMs / 2;
    const contradicts = Math.abs(offset - this.#offset) > uncertainty + this.#uncertainty;
    if (uncertainty <= this.#uncertainty || contradicts) {
      this.#offset = offset;
      this.#uncertainty = uncertainty;
    }
  }

  /** Milliseconds to add to the local clock to get the server's. */
  get offsetMs(): number {
    return this.#offset;
  }

  /** The server's time now, in milliseconds since the epoch. */
  now(): number {
    return this.#now() + this.#offset;
  }
}

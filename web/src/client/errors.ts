/** Refusals of the server as one error type, and what may be sent again. */

import type { ErrorBody, ErrorCode } from "./contract.ts";

/** Codes after which the same request, with the same ids, is worth sending again. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["unavailable", "rate_limited", "internal"]);

/** What the server refused; `unavailable` also stands for "no answer came", which means the same: send it again. */
export class Refused extends Error {
  readonly code: ErrorCode;
  readonly field: string | null;
  readonly retryAfterMs: number | null;

  constructor(body: ErrorBody) {
    super(body.message);
    this.name = "Refused";
    this.code = body.code;
    this.field = body.field ?? null;
    this.retryAfterMs = body.retry_after_ms ?? null;
  }

  /** Whether it passes by itself. */
  get passing(): boolean {
    return PASSING.has(this.code);
  }
}

/** A request that nobody answered, or that could not be sent. */
export function unanswered(message: string): Refused {
  return new Refused({ code: "unavailable", message });
}

/** The error body of an ack, when it is a refusal. */
export function refusalIn(ack: unknown): ErrorBody | null {
  if (typeof ack !== "object" || ack === null || !("error" in ack)) return null;
  return (ack as { error: ErrorBody }).error;
}

/** Waits between attempts: doubling up to a limit, with jitter so that a thousand phones do not come back together. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return ceiling * (0.5 + random() / 2);
}

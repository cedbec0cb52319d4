/** What the page needs of a browser, for Node: a memory that tabs share, locks, and a server of which the test says what it answers. */

export type Answer = (path: string, init: RequestInit) => Response | Promise<Response>;

/** What was asked, and with which token. */
export interface Asked {
  path: string;
  token: string | null;
  body: unknown;
}

const PREFIX = "throttlecove.";

/** One browser, empty; a new one takes the place of the one before. */
export class Browser {
  readonly asked: Asked[] = [];
  answer: Answer = () => problem(401, "unauthenticated");
  readonly #memory = new Map<string, string>();
  readonly #locks = new Map<string, Promise<unknown>>();

  constructor() {
    const memory = this.#memory;
    const localStorage = {
      getItem: (key: string) => memory.get(key) ?? null,
      setItem: (key: string, value: string) => void memory.set(key, value),
      removeItem: (key: string) => void memory.delete(key),
    };
    const locks = { request: this.#request };
    for (const [name, value] of Object.entries({ localStorage, navigator: { locks }, fetch: this.#fetch })) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
  }

  stored<T>(name: string): T | null {
    return JSON.parse(this.#memory.get(PREFIX + name) ?? "null") as T | null;
  }

  store(name: string, value: unknown): void {
    this.#memory.set(PREFIX + name, JSON.stringify(value));
  }

  /** As `navigator.locks.request`: one holder after another, and whoever waits may be told to stop. */
  readonly #request = async (name: string, ...more: unknown[]): Promise<unknown> => {
    const work = more.at(-1) as () => unknown;
    const { signal } = (more.length > 1 ? more[0] : {}) as { signal?: AbortSignal };
    const before = this.#locks.get(name) ?? Promise.resolve();
    let letGo: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (letGo = resolve));
    this.#locks.set(name, before.then(() => over));
    const awake = setInterval(() => undefined, 1000); // the timer of a signal does not keep Node running
    try {
      await Promise.race([before, aborted(signal)]).finally(() => clearInterval(awake));
      return await work();
    } finally {
      letGo();
    }
  };

  readonly #fetch = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const token = new Headers(init.headers).get("authorization")?.replace("Bearer ", "") ?? null;
    this.asked.push({ path, token, body: typeof init.body === "string" ? JSON.parse(init.body) : null });
    return this.answer(path, init);
  };
}

/** An answer in JSON. */
export function json(body: object, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

/** A refusal as the server's REST says it. */
export function problem(status: number, code: string): Response {
  const body = JSON.stringify({ code, detail: code, status });
  return new Response(body, { status, headers: { "content-type": "application/problem+json" } });
}

/** What a proxy or a captive portal shows. */
export function page(status: number): Response {
  return new Response("<h1>Welcome to our Wi-Fi</h1>", { status, headers: { "content-type": "text/html" } });
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
}

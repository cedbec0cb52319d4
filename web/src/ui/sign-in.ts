/** The way in: signing in with name and password, or making an account. */

import { Refused, type Tokens } from "../client/index.ts";
import type { Config } from "../config.ts";
import { login, register } from "../session.ts";
import { element } from "../tracks/dom.ts";
import { mark } from "./icons.ts";

/** Shortest password that the server takes. */
const SHORTEST_PASSWORD = 8;

/** What the server's sentences about a field are about. */
const SUBJECTS: Readonly<Record<string, string>> = { username: "The username", email: "The e-mail address", password: "The password" };

/** A form that resolves when somebody has signed in, and is gone then. */
export function signIn(host: HTMLElement, config: Config, message: string | null): Promise<Tokens> {
  return new Promise((resolve) => {
    const form = new SignInForm(config, message, (tokens) => {
      form.root.remove();
      resolve(tokens);
    });
    host.append(form.root);
    form.focus();
  });
}

class SignInForm {
  readonly root: HTMLElement;
  readonly #config: Config;
  readonly #done: (tokens: Tokens) => void;
  readonly #problem = element("p", { class: "form-problem", role: "alert" });
  readonly #fields = element("div", { class: "fields" });
  readonly #submit = element("button", { type: "submit", class: "button is-primary" }, "Sign in");
  readonly #switch = element("button", { type: "button", class: "button is-link" }, "");
  readonly #title = element("h1", { id: "sign-in-title" }, "");
  readonly #hint = element("p", { class: "hint" }, "");
  #registering = false;

  constructor(config: Config, message: string | null, done: (tokens: Tokens) => void) {
    this.#config = config;
    this.#done = done;
    const form = element("form", { class: "sign-in-form", novalidate: true }, this.#fields, this.#problem, this.#submit);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send(new FormData(form));
    });
    form.addEventListener("input", ({ target }) => (target as HTMLElement).removeAttribute("aria-invalid"));
    this.#switch.addEventListener("click", () => {
      this.#registering = !this.#registering;
      this.#render();
      this.focus();
    });
    const brand = element("div", { class: "brand" }, element("span", { class: "brand-name" }, "ThrottleCove"));
    brand.prepend(mark(36));
    const card = element("div", { class: "sign-in-card" }, brand, this.#title, this.#hint, form, this.#switch);
    this.root = element("section", { class: "sign-in", "aria-labelledby": "sign-in-title" }, card);
    this.#render();
    this.#say(message);
  }

  focus(): void {
    const inputs = [...this.#fields.querySelectorAll("input")];
    const empty = inputs.find((input) => input.value === "");
    (empty ?? this.#submit).focus();
  }

  #render(): void {
    const demo = this.#config.demo_login;
    this.#say(null);
    this.#title.textContent = this.#registering ? "Create your account" : "Ride with friends";
    this.#hint.textContent = this.#registering
      ? "Nobody sees where you are until you share it."
      : demo
        ? "The demo account is filled in. Sign in to watch the riders."
        : "Sign in to see who is on the road.";
    this.#submit.textContent = this.#registering ? "Create account" : "Sign in";
    this.#switch.textContent = this.#registering ? "I have an account" : "Create an account";
    const fields = this.#registering
      ? [
          field("Username", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false" }),
          field("E-mail", { name: "email", type: "email", autocomplete: "email" }),
          field("Password", { name: "password", type: "password", autocomplete: "new-password", minlength: String(SHORTEST_PASSWORD) }),
        ]
      : [
          field("Username or e-mail", {
            name: "identifier",
            autocomplete: "username",
            autocapitalize: "none",
            spellcheck: "false",
            value: demo?.identifier ?? "",
          }),
          field("Password", {
            name: "password",
            type: "password",
            autocomplete: "current-password",
            value: demo?.password ?? "",
          }),
        ];
    this.#fields.replaceChildren(...fields);
  }

  async #send(data: FormData): Promise<void> {
    const value = (name: string): string => String(data.get(name) ?? "").trim();
    const password = String(data.get("password") ?? "");
    const missing = [...this.#fields.querySelectorAll("input")].find((input) => input.value.trim() === "");
    if (missing) {
      this.#say("Please fill in every field.");
      return missing.focus();
    }
    for (const input of this.#fields.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    this.#busy(true);
    try {
      const tokens = this.#registering
        ? await register({ username: value("username"), email: value("email"), password })
        : await login(value("identifier"), password);
      this.#done(tokens);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#say(this.#wordsFor(error));
      const at = error.field ? this.#fields.querySelector<HTMLInputElement>(`[name="${CSS.escape(error.field)}"]`) : null;
      at?.setAttribute("aria-invalid", "true");
      (at ?? this.#fields.querySelector("input"))?.focus();
    } finally {
      this.#busy(false);
    }
  }

  #wordsFor(refused: Refused): string {
    switch (refused.code) {
      case "unauthenticated":
        return "That name and password do not match.";
      case "conflict":
        return "This username or e-mail address is taken.";
      case "rate_limited":
        return `Too many attempts. Try again in ${Math.ceil((refused.retryAfterMs ?? 60_000) / 1000)} seconds.`;
      case "unavailable":
        return navigator.onLine
          ? "The server does not answer right now. Please try again in a moment."
          : "There is no network. Check your connection and try again.";
      default:
        return refused.field ? `${SUBJECTS[refused.field] ?? capital(refused.field)} ${refused.message}.` : capital(refused.message);
    }
  }

  #say(message: string | null): void {
    this.#problem.textContent = message ?? "";
    this.#problem.hidden = !message;
  }

  #busy(busy: boolean): void {
    this.#submit.disabled = busy;
    this.#submit.toggleAttribute("aria-busy", busy);
  }
}

function field(label: string, attributes: Record<string, string>): HTMLElement {
  return element("label", { class: "field" }, element("span", {}, label), element("input", { type: "text", required: true, ...attributes }));
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1).replaceAll("_", " ");
}

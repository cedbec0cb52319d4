/** Signing in, registering, refreshing and signing out over REST. */

import { posted, read, request, signedIn } from "./api.ts";
import { Refused, TokenKeeper, type Tokens } from "./client/index.ts";
import { deviceId, recallSession, rememberSession } from "./remembered.ts";

interface TokensAnswer {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  device_id: string;
  user: { id: string; rider: number; username: string };
}

/** A token from another tab is good enough when it holds for this long. */
const FRESH_MS = 60_000;

export interface Registration {
  username: string;
  email: string;
  password: string;
}

/** Throws Refused: `unauthenticated` for a wrong name or password. */
export async function login(identifier: string, password: string): Promise<Tokens> {
  return kept(await ask("login", { identifier, password, device_id: deviceId() }));
}

/** Throws Refused with the field at fault. */
export async function register(account: Registration): Promise<Tokens> {
  return kept(await ask("register", { ...account, device_id: deviceId() }));
}

/**
 * Keeps the tokens fresh, and this browser's memory of them with it. `onEnd` hears, for the rider, why it is over; what
 * another account has left in that memory meanwhile stays there.
 */
export function keeper(tokens: Tokens, onEnd: (message: string) => void): TokenKeeper {
  const { userId } = tokens;
  let over = false;
  const refreshed = async (refreshToken: string, device: string): Promise<Tokens> => {
    const fresh = await refresh(userId, refreshToken, device);
    if (!over) rememberSession(fresh);
    return fresh;
  };
  return new TokenKeeper(tokens, (refreshToken, device) => alone(() => refreshed(refreshToken, device)), (held, reason) => {
    if (held) return;
    over = true;
    if (recallSession()?.userId === userId) rememberSession(null);
    onEnd(reason instanceof AnotherAccount ? reason.message : "Your session has ended. Please sign in again.");
  });
}

/** End the session here at once and, when it can be reached, on the server, which takes a token that still holds. */
export async function logout(tokens: TokenKeeper): Promise<void> {
  const held = tokens.current;
  if (!held) return;
  const stored = recallSession();
  const newest = stored !== null && isSame(stored, held.userId, held.deviceId) ? stored : held;
  tokens.end();
  const last = new TokenKeeper(newest, exchange);
  await signedIn(last).fetch("/v1/auth/logout", { method: "POST" }).catch(() => undefined);
}

/** Another account has signed in to this browser: what is stored, and the next request's token, would be its own. */
class AnotherAccount extends Refused {
  constructor() {
    super({ code: "gone", message: "Another account has signed in to this browser, in another tab. Sign in again to go on here." });
  }
}

/**
 * Another tab of this browser may have refreshed already: one token used twice would end the session. Or it may have
 * signed in as somebody else, whose tokens are not for this tab. Throws AnotherAccount then, before and after asking.
 */
async function refresh(userId: string, refreshToken: string, device: string): Promise<Tokens> {
  const stored = storedFor(userId);
  const newer = stored !== null && isSame(stored, userId, device) && stored.refreshToken !== refreshToken ? stored : null;
  if (newer && newer.expiresAt - Date.now() > FRESH_MS) return newer;
  const fresh = await exchange(newer?.refreshToken ?? refreshToken, device);
  storedFor(userId);
  return fresh;
}

function storedFor(userId: string): Tokens | null {
  const stored = recallSession();
  if (stored !== null && stored.userId !== userId) throw new AnotherAccount();
  return stored;
}

function isSame(stored: Tokens, userId: string, device: string): boolean {
  return stored.userId === userId && stored.deviceId === device;
}

/** One tab at a time, where the browser can say so. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  return "locks" in navigator ? navigator.locks.request("throttlecove.session", work) : work();
}

function kept(tokens: Tokens): Tokens {
  rememberSession(tokens);
  return tokens;
}

function exchange(refreshToken: string, device: string): Promise<Tokens> {
  return ask("refresh", { refresh_token: refreshToken, device_id: device });
}

async function ask(what: "login" | "register" | "refresh", body: object): Promise<Tokens> {
  const answer = await read<TokensAnswer>(await request(`/v1/auth/${what}`, posted(body)));
  return {
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token,
    expiresAt: Date.now() + answer.expires_in * 1000,
    deviceId: answer.device_id,
    userId: answer.user.id,
    username: answer.user.username,
  };
}

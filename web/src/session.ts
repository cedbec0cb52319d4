/** Signing in, registering, refreshing and signing out over REST. */

import { posted, read, request } from "./api.ts";
import { TokenKeeper, type Tokens } from "./client/index.ts";
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

/** Keeps the tokens fresh, and this browser's memory of them with it. */
export function keeper(tokens: Tokens, onEnd: () => void): TokenKeeper {
  return new TokenKeeper(tokens, (refreshToken, device) => alone(() => refresh(refreshToken, device)), (held) => {
    rememberSession(held);
    if (!held) onEnd();
  });
}

/** End the session here and, when it can be reached, on the server. */
export async function logout(tokens: TokenKeeper): Promise<void> {
  const access = tokens.current?.accessToken;
  tokens.end();
  if (!access) return;
  await request("/v1/auth/logout", { method: "POST", headers: { authorization: `Bearer ${access}` } }).catch(() => undefined);
}

/** Another tab of this browser may have refreshed already: one token used twice would end the session. */
async function refresh(refreshToken: string, device: string): Promise<Tokens> {
  const stored = recallSession();
  const newer = stored !== null && stored.deviceId === device && stored.refreshToken !== refreshToken ? stored : null;
  if (newer && newer.expiresAt - Date.now() > FRESH_MS) return newer;
  return kept(await ask("refresh", { refresh_token: newer?.refreshToken ?? refreshToken, device_id: device }));
}

/** One tab at a time, where the browser can say so. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  return "locks" in navigator ? navigator.locks.request("throttlecove.session", work) : work();
}

function kept(tokens: Tokens): Tokens {
  rememberSession(tokens);
  return tokens;
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

import assert from "node:assert/strict";
import { test } from "node:test";

import { keeper, logout } from "../../src/session.ts";
import type { Tokens } from "../../src/client/index.ts";
import { Browser, json, page, problem } from "./browser.ts";

const SOON = 1_000;
const LATER = 900_000;

function tokensOf(userId: string, number: number, lastsMs = SOON): Tokens {
  const expiresAt = Date.now() + lastsMs;
  return { accessToken: `access-${userId}${number}`, refreshToken: `refresh-${userId}${number}`, expiresAt, deviceId: "web-1", userId, username: userId };
}

function refreshed(userId: string, number: number): Response {
  const { accessToken, refreshToken } = tokensOf(userId, number);
  const user = { id: userId, rider: 1, username: userId };
  return json({ access_token: accessToken, refresh_token: refreshToken, expires_in: 900, device_id: "web-1", user });
}

/** A tab of somebody who is signed in, and what it said when that was over. */
function tab(browser: Browser, tokens: Tokens): { tokens: ReturnType<typeof keeper>; said: string[] } {
  const said: string[] = [];
  if (browser.stored("session") === null) browser.store("session", tokens);
  return { tokens: keeper(tokens, (message) => said.push(message)), said };
}

test("a tab never takes the tokens of another account that has signed in next to it: it ends, and says so", async () => {
  const browser = new Browser();
  const second = tab(browser, tokensOf("anna", 1));
  const others = tokensOf("zoe", 1, LATER);
  browser.store("session", others);
  await assert.rejects(second.tokens.access(), { code: "unauthenticated" });
  assert.equal(second.tokens.current, null);
  assert.match(second.said.join(), /^Another account has signed in/);
  assert.deepEqual(browser.stored("session"), others);
  assert.deepEqual(browser.asked, []);
});

test("an account that signs in while this tab refreshes stays signed in", async () => {
  const browser = new Browser();
  const second = tab(browser, tokensOf("anna", 1));
  const others = tokensOf("zoe", 1, LATER);
  browser.answer = () => {
    browser.store("session", others);
    return refreshed("anna", 2);
  };
  await assert.rejects(second.tokens.access());
  assert.deepEqual(browser.stored("session"), others);
});

test("what another tab of the same account has refreshed is taken, without asking again", async () => {
  const browser = new Browser();
  browser.answer = () => refreshed("anna", 2);
  const tabs = [tab(browser, tokensOf("anna", 1)), tab(browser, tokensOf("anna", 1))];
  const tokens = await Promise.all(tabs.map((each) => each.tokens.access()));
  assert.deepEqual(tokens, ["access-anna2", "access-anna2"]);
  assert.equal(browser.asked.length, 1);
});

test("signing out forgets one's own session, and leaves that of another account", async () => {
  const browser = new Browser();
  browser.answer = () => new Response(null, { status: 204 });
  const first = tab(browser, tokensOf("anna", 1, LATER));
  await logout(first.tokens);
  assert.equal(browser.stored("session"), null);
  const second = tab(browser, tokensOf("anna", 1, LATER));
  browser.store("session", tokensOf("zoe", 1));
  await logout(second.tokens);
  assert.equal(browser.stored<Tokens>("session")?.userId, "zoe");
  assert.deepEqual(browser.asked.map((each) => each.token), ["access-anna1", "access-anna1"]);
});

test("signing out with a token that has ended takes a fresh one first, so that the server ends the session as well", async () => {
  const browser = new Browser();
  browser.answer = (path) => (path.endsWith("/refresh") ? refreshed("anna", 2) : new Response(null, { status: 204 }));
  const only = tab(browser, tokensOf("anna", 1, -LATER));
  await logout(only.tokens);
  assert.deepEqual(browser.asked.map(({ path, token }) => [path, token]), [
    ["/v1/auth/refresh", null],
    ["/v1/auth/logout", "access-anna2"],
  ]);
  assert.equal(browser.stored("session"), null);
});

test("a token that the server finds too old although this clock does not is renewed for signing out", async () => {
  const browser = new Browser();
  browser.answer = (path, init) => {
    if (path.endsWith("/refresh")) return refreshed("anna", 2);
    const known = new Headers(init.headers).get("authorization") === "Bearer access-anna2";
    return known ? new Response(null, { status: 204 }) : problem(401, "token_expired");
  };
  await logout(tab(browser, tokensOf("anna", 1, LATER)).tokens);
  assert.equal(browser.asked.at(-1)?.token, "access-anna2");
});

test("tokens that come after signing out are not remembered", async () => {
  const browser = new Browser();
  const only = tab(browser, tokensOf("anna", 1));
  browser.answer = () => {
    only.tokens.end();
    return refreshed("anna", 2);
  };
  await assert.rejects(only.tokens.access());
  assert.equal(browser.stored("session"), null);
});

test("what a proxy or a captive portal answers ends no session", async () => {
  for (const answer of [page(401), page(403), page(404), page(200), json({ code: "forbidden" }, 403), problem(400, "unsupported")]) {
    const browser = new Browser();
    const only = tab(browser, tokensOf("anna", 1));
    browser.answer = () => answer;
    await assert.rejects(only.tokens.access(), { code: "unavailable" });
    assert.deepEqual(only.said, []);
    assert.equal(browser.stored<Tokens>("session")?.refreshToken, "refresh-anna1");
  }
});

test("the server's own refusal ends the session", async () => {
  for (const [status, code] of [[401, "unauthenticated"], [403, "forbidden"], [410, "gone"]] as const) {
    const browser = new Browser();
    const only = tab(browser, tokensOf("anna", 1));
    browser.answer = () => problem(status, code);
    await assert.rejects(only.tokens.access(), { code: "unauthenticated" });
    assert.deepEqual(only.said, ["Your session has ended. Please sign in again."]);
    assert.equal(browser.stored("session"), null);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { read, signedIn } from "../../src/api.ts";
import { TokenKeeper, type Tokens } from "../../src/client/index.ts";
import { Browser, json, page, problem } from "./browser.ts";

const HELD: Tokens = { accessToken: "old", refreshToken: "r", expiresAt: Infinity, deviceId: "d", userId: "u", username: "anna" };

function api(renewals: string[] = []): ReturnType<typeof signedIn> {
  const renew = (): Promise<Tokens> => {
    renewals.push("asked");
    return Promise.resolve({ ...HELD, accessToken: "new" });
  };
  return signedIn(new TokenKeeper(HELD, renew));
}

test("a token that has ended is renewed, and the request sent once more", async () => {
  const browser = new Browser();
  browser.answer = (_, init) => (new Headers(init.headers).get("authorization") === "Bearer new" ? json({ fine: true }) : problem(401, "token_expired"));
  assert.deepEqual(await api().json("/v1/tracks"), { fine: true });
  assert.deepEqual(browser.asked.map((each) => each.token), ["old", "new"]);
});

test("a proxy that wants to be signed in to uses up no refresh token", async () => {
  const renewals: string[] = [];
  new Browser().answer = () => page(401);
  await assert.rejects(api(renewals).json("/v1/tracks"), { code: "unavailable" });
  assert.deepEqual(renewals, []);
});

test("a problem is a refusal with the server's code and sentence; any other failure is nobody's answer", async () => {
  await assert.rejects(read(problem(409, "conflict")), { code: "conflict", message: "conflict" });
  for (const answer of [page(404), page(511), page(200), json({ code: "gone" }, 410)]) {
    await assert.rejects(read(answer), { code: "unavailable" });
  }
  assert.equal(await read(new Response(null, { status: 204 })), undefined);
});

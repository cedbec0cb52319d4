import assert from "node:assert/strict";
import { test } from "node:test";

import { rideStorage } from "../../src/remembered.ts";
import { Browser } from "./browser.ts";

test("one tab at a time owns the ride of a rider; another rider's is another", async () => {
  new Browser();
  const letGo = await rideStorage("anna").lock!();
  assert.ok(letGo);
  assert.ok(await rideStorage("zoe").lock!());
  assert.equal(await rideStorage("anna").lock!(), null);
  const waiting = rideStorage("anna").lock!();
  letGo();
  assert.ok(await waiting, "who is being left is waited for");
});

test("a browser without locks lets everybody record", async () => {
  new Browser();
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  assert.ok(await rideStorage("anna").lock!());
  assert.ok(await rideStorage("anna").lock!());
});

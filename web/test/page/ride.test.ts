import assert from "node:assert/strict";
import { test } from "node:test";

import type { Connection } from "../../src/client/index.ts";
import { ServerClock } from "../../src/client/clock.ts";
import { OwnRide, type OwnPosition } from "../../src/ride.ts";
import { keptWords } from "../../src/ui/ride-pane.ts";
import { Browser } from "./browser.ts";

const PERMISSION_DENIED = 1;

/** A device whose positions the test tells. */
class Device {
  tell: (position: GeolocationPosition) => void = () => undefined;
  refuse: (error: GeolocationPositionError) => void = () => undefined;

  constructor() {
    new Browser();
    const geolocation = {
      watchPosition: (tell: Device["tell"], refuse: Device["refuse"]) => {
        Object.assign(this, { tell, refuse });
        return 1;
      },
      clearWatch: () => undefined,
    };
    Object.defineProperty(navigator, "geolocation", { value: geolocation });
    Object.defineProperty(globalThis, "document", { value: { addEventListener: () => undefined }, configurable: true });
    Object.defineProperty(globalThis, "addEventListener", { value: () => undefined, configurable: true });
  }

  isAt(latitude: number, timestamp: number): void {
    this.tell({ coords: { latitude, longitude: 10.4, accuracy: 5, altitude: null, speed: null, heading: null }, timestamp } as GeolocationPosition);
  }
}

/** Nobody answers. */
function offline(): Connection {
  return { on: () => () => undefined, clock: new ServerClock(), state: { kind: "connecting" } } as unknown as Connection;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a ride begins with its first position, not with where the device was before", async () => {
  const [device, told] = [new Device(), [] as (OwnPosition | null)[]];
  const ride = new OwnRide(offline(), "anna", (position) => told.push(position));
  await ride.start();
  device.isAt(46.1, Date.now() - 289_000);
  assert.deepEqual([told, ride.figures.waiting], [[], true]);
  device.isAt(46.5, Date.now());
  assert.deepEqual([told.length, ride.figures.waiting, ride.figures.metres], [1, false, 0]);
  await ride.stop();
  assert.equal(told.at(-1), null);
});

test("a ride that may not know where it is ends at once, says why and leaves nothing", async () => {
  const device = new Device();
  const ride = new OwnRide(offline(), "anna", () => undefined);
  await ride.start();
  device.refuse({ code: PERMISSION_DENIED, PERMISSION_DENIED } as GeolocationPositionError);
  await settled();
  assert.deepEqual([ride.figures.recording, ride.figures.unsent], [false, 0]);
  assert.match(ride.figures.fault ?? "", /not allowed/);
});

test("a ride with positions goes on when the browser forbids the next ones", async () => {
  const device = new Device();
  const ride = new OwnRide(offline(), "anna", () => undefined);
  await ride.start();
  device.isAt(46.5, Date.now());
  device.refuse({ code: PERMISSION_DENIED, PERMISSION_DENIED } as GeolocationPositionError);
  await settled();
  assert.deepEqual([ride.figures.recording, ride.figures.unsent], [true, 1]);
  ride.close();
});

test("positions are said to be safe only when there are some and the server has them", () => {
  const ride = { recording: true, waiting: false, unsent: 0, live: true };
  assert.equal(keptWords({ ...ride, waiting: true }), "Waiting for the first position.");
  assert.equal(keptWords(ride), "Every position is safe with the server.");
  assert.equal(keptWords({ ...ride, live: false, unsent: 1 }), "1 position kept on this device until there is a connection.");
});

/** One's own ride: from the browser's geolocation to the recorder, with the figures to show. */

import { Recorder, type Connection, type RecorderEvent } from "./client/index.ts";
import { distance, type Place } from "./geo.ts";
import { rideStorage } from "./remembered.ts";
import type { RideFigures } from "./ui/ride-pane.ts";

const LEAST_STEP_METRES = 4;
const WORST_ACCURACY_METRES = 60;

export interface OwnPosition {
  place: Place;
  accuracyMetres: number;
}

export class OwnRide {
  readonly #connection: Connection;
  readonly #recorder: Recorder;
  readonly #onPosition: (position: OwnPosition) => void;
  #watch: number | null = null;
  #lock: WakeLockSentinel | null = null;
  #startedAt: number | null = null;
  #metres = 0;
  #counted: Place | null = null;
  #speed: number | null = null;
  #recorded: RecorderEvent = { unsent: 0, recording: false, fault: null };
  #fault: string | null = null;

  constructor(connection: Connection, userId: string, onPosition: (position: OwnPosition) => void) {
    this.#connection = connection;
    this.#onPosition = onPosition;
    this.#recorder = new Recorder(connection, rideStorage(userId), (event) => (this.#recorded = event));
  }

  get figures(): RideFigures {
    return {
      recording: this.#recorded.recording,
      startedAt: this.#recorded.recording ? this.#startedAt : null,
      metres: this.#metres,
      speed: this.#speed,
      unsent: this.#recorded.unsent,
      live: this.#connection.state.kind === "live",
      fault: this.#fault ?? this.#recorded.fault,
    };
  }

  /** Go on with what a reload interrupted. */
  async resume(): Promise<void> {
    if (await this.#recorder.resume()) {
      this.#startedAt = Date.now();
      this.#listen();
    }
  }

  /** Throws Refused when an earlier ride has to be sent first. */
  async start(): Promise<void> {
    this.#fault = null;
    if (!("geolocation" in navigator)) {
      this.#fault = "This browser cannot say where it is.";
      return;
    }
    await this.#recorder.start();
    this.#startedAt = Date.now();
    this.#metres = 0;
    this.#counted = null;
    this.#listen();
    this.#lock = await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  }

  async stop(): Promise<void> {
    this.#leave();
    await this.#recorder.stop();
  }

  /** The page is left to somebody else: stop listening, keep what is unsent. */
  close(): void {
    this.#leave();
  }

  #leave(): void {
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = null;
    void this.#lock?.release();
    this.#lock = null;
  }

  #listen(): void {
    this.#watch ??= navigator.geolocation.watchPosition(this.#take, this.#failed, { enableHighAccuracy: true, maximumAge: 0 });
  }

  readonly #take = ({ coords, timestamp }: GeolocationPosition): void => {
    this.#fault = null;
    const place = { latitude: coords.latitude, longitude: coords.longitude };
    this.#onPosition({ place, accuracyMetres: coords.accuracy });
    this.#speed = coords.speed;
    this.#measure(place, coords.accuracy);
    this.#recorder.add({
      timestamp,
      ...place,
      accuracy: coords.accuracy,
      ...optional("altitude", coords.altitude),
      ...optional("speed", coords.speed),
      ...optional("heading", coords.heading),
    });
  };

  /** Distance for showing; the server's own, over the whole track, is the one that counts. */
  #measure(place: Place, accuracy: number): void {
    if (accuracy > WORST_ACCURACY_METRES) return;
    const step = this.#counted ? distance(this.#counted, place) : 0;
    if (this.#counted && step < LEAST_STEP_METRES) return;
    this.#metres += step;
    this.#counted = place;
  }

  readonly #failed = (error: GeolocationPositionError): void => {
    this.#fault = positionFault(error);
  };
}

/** Where this device is, once. Rejects with an Error whose message can be shown. */
export function locate(): Promise<OwnPosition> {
  return new Promise((resolve, reject) => {
    if (!("geolocation" in navigator)) return reject(new Error("This browser cannot say where it is."));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ place: coords, accuracyMetres: coords.accuracy }),
      (error) => reject(new Error(positionFault(error))),
      { enableHighAccuracy: true, timeout: 15_000, maximumAge: 10_000 },
    );
  });
}

function positionFault(error: GeolocationPositionError): string {
  if (error.code === error.PERMISSION_DENIED) return "The browser was not allowed to say where you are. Allow it in the site settings.";
  return "There is no position at the moment.";
}

function optional<Name extends string>(name: Name, value: number | null): { [Key in Name]?: number } {
  return value === null || !Number.isFinite(value) ? {} : ({ [name]: value } as { [Key in Name]?: number });
}

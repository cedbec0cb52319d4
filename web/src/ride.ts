/** One's own ride: from the browser's geolocation to the recorder, with the figures to show. */

import { Recorder, type Connection, type RecorderEvent } from "./client/index.ts";
import { distance, type Place } from "./geo.ts";
import { onRideElsewhere, recall, remember, rideStorage } from "./remembered.ts";
import type { RideFigures } from "./ui/ride-pane.ts";

const LEAST_STEP_METRES = 4;
const WORST_ACCURACY_METRES = 60;
const ELSEWHERE = "Your ride is being recorded in another tab.";

/** How far the ride that is being recorded went, so that a reload goes on counting. */
const DISTANCE = "ride-distance";
type Distance = { trackId: string | null; metres: number };

export interface OwnPosition {
  place: Place;
  accuracyMetres: number;
  /** Degrees from north and metres per second; null when unknown. */
  heading: number | null;
  speed: number | null;
}

export class OwnRide {
  readonly #connection: Connection;
  readonly #recorder: Recorder;
  readonly #onPosition: (position: OwnPosition | null) => void;
  readonly #closed = new AbortController();
  #watch: number | null = null;
  #lock: WakeLockSentinel | null = null;
  #metres = 0;
  #counted: (Place & { at: number }) | null = null;
  #speed: number | null = null;
  #recorded: RecorderEvent = { unsent: 0, recording: false, elsewhere: false, refused: false, fault: null };
  #fault: string | null = null;

  /** `onPosition` hears each position of the ride, and null when the ride has ended. */
  constructor(connection: Connection, userId: string, onPosition: (position: OwnPosition | null) => void) {
    this.#connection = connection;
    this.#onPosition = onPosition;
    this.#recorder = new Recorder(connection, rideStorage(userId), (event) => this.#changed(event));
    this.#lookAtOtherTabs(userId);
  }

  get figures(): RideFigures {
    return {
      recording: this.#recorded.recording,
      waiting: this.#recorder.fixes === 0,
      startedAt: this.#startedAt,
      metres: this.#metres,
      speed: this.#speed,
      unsent: this.#recorded.unsent,
      live: this.#connection.state.kind === "live",
      refused: this.#recorded.refused,
      fault: this.#fault ?? (this.#recorded.elsewhere ? ELSEWHERE : this.#recorded.fault),
    };
  }

  /** Go on with what a reload interrupted, or a tab that is gone left. */
  async resume(): Promise<void> {
    if (await this.#recorder.resume()) this.#ride();
  }

  /** Throws Refused when an earlier ride has to be sent first. */
  async start(): Promise<void> {
    this.#fault = null;
    if (!("geolocation" in navigator)) {
      this.#fault = "This browser cannot say where it is.";
      return;
    }
    await this.#recorder.start();
    this.#ride();
    this.#lock = await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  }

  async stop(): Promise<void> {
    this.#leave();
    await this.#recorder.stop();
  }

  /** Forget a ride that the server refuses, with all that it has not taken. */
  async giveUp(): Promise<void> {
    this.#leave();
    await this.#recorder.giveUp();
  }

  /** The page is left to somebody else: stop listening, keep what is unsent. */
  close(): void {
    this.#closed.abort();
    this.#leave();
    void this.#recorder.close();
  }

  #changed(event: RecorderEvent): void {
    const ended = this.#recorded.recording && !event.recording; // by the rider, or refused for good by the server
    this.#recorded = event;
    if (!ended || this.#closed.signal.aborted) return;
    this.#leave();
    this.#onPosition(null);
  }

  /** What another tab begins is shown here; what it left is taken up by the tab that the rider looks at. */
  #lookAtOtherTabs(userId: string): void {
    const { signal } = this.#closed;
    onRideElsewhere(userId, (kept) => {
      if (kept !== this.#recorded.elsewhere) void this.resume();
    }, signal);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#recorded.elsewhere) void this.resume();
    }, { signal });
  }

  #leave(): void {
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = null;
    void this.#lock?.release();
    this.#lock = null;
  }

  /** Follow this device, and count from where this very ride has come to. */
  #ride(): void {
    const kept = recall<Distance>(DISTANCE);
    this.#metres = kept?.trackId === this.#recorder.trackId ? (kept?.metres ?? 0) : 0;
    this.#counted = null;
    this.#watch ??= navigator.geolocation.watchPosition(this.#take, this.#failed, { enableHighAccuracy: true, maximumAge: 0 });
  }

  readonly #take = ({ coords, timestamp }: GeolocationPosition): void => {
    this.#fault = null;
    const place = { latitude: coords.latitude, longitude: coords.longitude };
    const added = this.#recorder.add({
      timestamp,
      ...place,
      accuracy: coords.accuracy,
      ...optional("altitude", coords.altitude),
      ...optional("speed", coords.speed),
      ...optional("heading", coords.heading),
    });
    if (!added) return; // from before the ride, or told before
    this.#measure({ ...place, at: timestamp }, coords);
    this.#onPosition({ ...positionOf(coords), speed: this.#speed });
  };

  /** Distance for showing; the server's own, over the whole track, is the one that counts. */
  #measure(place: Place & { at: number }, { accuracy, speed }: GeolocationCoordinates): void {
    const before = this.#counted;
    const step = before ? distance(before, place) : 0;
    const seconds = before ? (place.at - before.at) / 1000 : 0;
    this.#speed = speed ?? (seconds > 0 ? step / seconds : null);
    if (accuracy > WORST_ACCURACY_METRES || (before && step < LEAST_STEP_METRES)) return;
    this.#metres += step;
    this.#counted = place;
    remember(DISTANCE, { trackId: this.#recorder.trackId, metres: this.#metres } satisfies Distance);
  }

  /** On the local clock. */
  get #startedAt(): number | null {
    const { startedAt, recording } = this.#recorder;
    return recording && startedAt !== null ? startedAt - this.#recorder.clockOffset : null;
  }

  /** A ride that is not allowed to have a position ends before it has begun. */
  readonly #failed = (error: GeolocationPositionError): void => {
    this.#fault = positionFault(error);
    if (error.code === error.PERMISSION_DENIED && this.#recorder.fixes === 0) void this.stop();
  };
}

/** Where this device is, once. Rejects with an Error whose message can be shown. */
export function locate(): Promise<OwnPosition> {
  return new Promise((resolve, reject) => {
    if (!("geolocation" in navigator)) return reject(new Error("This browser cannot say where it is."));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve(positionOf(coords)),
      (error) => reject(new Error(positionFault(error))),
      { enableHighAccuracy: true, timeout: 15_000, maximumAge: 10_000 },
    );
  });
}

function positionOf({ latitude, longitude, accuracy, heading, speed }: GeolocationCoordinates): OwnPosition {
  return { place: { latitude, longitude }, accuracyMetres: accuracy, heading: Number.isFinite(heading) ? heading : null, speed };
}

function positionFault(error: GeolocationPositionError): string {
  if (error.code === error.PERMISSION_DENIED) return "The browser was not allowed to say where you are. Allow it in the site settings.";
  return "There is no position at the moment.";
}

function optional<Name extends string>(name: Name, value: number | null): { [Key in Name]?: number } {
  return value === null || !Number.isFinite(value) ? {} : ({ [name]: value } as { [Key in Name]?: number });
}

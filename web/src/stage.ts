/**
 * The moving picture: once a frame, where everybody is now, the camera with whoever is followed, and all of it painted.
 *
 * Rests while the page is hidden. In the frames in which MapLibre draws, painting waits for it, so that both agree.
 */

import type { MapEventType } from "maplibre-gl";

import type { LiveMap } from "./map/live-map.ts";
import { Painter, TAIL_MS, type PaintedRider, type Scene } from "./map/painter.ts";
import type { Palette } from "./map/palette.ts";
import type { OwnPosition } from "./ride.ts";
import type { Fleet, Rider } from "./riders/fleet.ts";
import { speedWords } from "./words.ts";

type MoveEvent = MapEventType["movestart"];

const NEAR_ENOUGH = 13.5;
const MOVING = 0.8; // metres per second
const FRESH_MS = 10_000;
const STALE_MS = 120_000;
const FAINTEST = 0.4;
const CAMERA_SHARE = 0.18;

export class Stage {
  readonly painter: Painter;
  /** One's own number; that rider is labelled "You". */
  me: number | null = null;
  own: OwnPosition | null = null;
  covered: Scene["covered"] = { left: 0, top: 0, bottom: 0, controls: { x: 0, y: 0, width: 0, height: 0 } };
  onFollow: (rider: number | null) => void = () => undefined;
  readonly #map: LiveMap;
  readonly #fleet: Fleet;
  readonly #abort = new AbortController();
  #followed: number | null = null;
  #arrived = false;
  #frame = 0;

  constructor(map: LiveMap, fleet: Fleet) {
    this.#map = map;
    this.#fleet = fleet;
    this.painter = new Painter(map.gl, map.palette);
    map.gl.on("render", this.#paint);
    map.gl.on("dragstart", this.#leave);
    map.gl.on("movestart", this.#leaveByKeys);
    map.gl.on("click", this.#pick);
    map.gl.on("mousemove", this.#point);
    document.addEventListener("visibilitychange", () => this.#run(), { signal: this.#abort.signal });
    this.#run();
  }

  get followed(): number | null {
    return this.#followed;
  }

  set palette(palette: Palette) {
    this.painter.palette = palette;
  }

  /** Keep the camera on a rider; null lets it be. */
  follow(number: number | null): void {
    const rider = number === null ? null : this.#fleet.get(number);
    this.#followed = rider?.number ?? null;
    this.#arrived = false;
    const { gl } = this.#map;
    gl.scrollZoom.enable(rider ? { around: "center" } : undefined);
    if (rider) {
      const zoom = Math.max(gl.getZoom(), NEAR_ENOUGH);
      this.#map.fly(rider.at(Date.now()), zoom, !this.#fleet.still);
    }
    this.onFollow(this.#followed);
  }

  /** Leave the map to the next one. */
  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#abort.abort();
    const { gl } = this.#map;
    gl.off("render", this.#paint);
    gl.off("dragstart", this.#leave);
    gl.off("movestart", this.#leaveByKeys);
    gl.off("click", this.#pick);
    gl.off("mousemove", this.#point);
    this.painter.remove();
  }

  #run(): void {
    cancelAnimationFrame(this.#frame);
    if (document.hidden) return;
    this.#frame = requestAnimationFrame(() => {
      this.#moveCamera(Date.now());
      if (!this.#map.gl.isMoving()) this.#paint();
      this.#run();
    });
  }

  #moveCamera(now: number): void {
    const rider = this.#followed === null ? null : this.#fleet.get(this.#followed);
    const { gl } = this.#map;
    if (!rider || gl.isMoving()) return;
    const aim = rider.at(now);
    const center = gl.getCenter();
    const share = this.#fleet.still || this.#arrived ? 1 : CAMERA_SHARE;
    const [east, north] = [aim.longitude - center.lng, aim.latitude - center.lat];
    if (Math.abs(east) > 180) {
      gl.jumpTo({ center: [aim.longitude, aim.latitude] });
      return;
    }
    if (Math.hypot(east, north) < 1e-7) {
      this.#arrived = true;
      return;
    }
    gl.jumpTo({ center: [center.lng + east * share, center.lat + north * share] });
    this.#arrived ||= Math.hypot(east, north) < 2e-6;
  }

  readonly #paint = (): void => {
    const now = Date.now();
    const present = this.#fleet.present(now);
    const scene: Scene = {
      riders: present.map((rider) => this.#painted(rider, now)),
      own: this.own && !present.some((rider) => rider.number === this.me) ? this.own : null,
      now,
      covered: this.covered,
      graticuleStep: this.#map.graticuleStep,
    };
    this.painter.paint(scene);
  };

  #painted(rider: Rider, now: number): PaintedRider {
    rider.turn(now);
    const { speed, heardAt } = rider.sighting;
    const followed = rider.number === this.#followed;
    const stale = Math.min(1, Math.max(0, (now - heardAt - FRESH_MS) / (STALE_MS - FRESH_MS)));
    return {
      number: rider.number,
      place: rider.at(now),
      heading: rider.heading,
      moving: speed === null || speed > MOVING,
      colour: rider.colour,
      label: rider.number === this.me ? "You" : rider.label,
      detail: speed === null ? "" : speedWords(speed),
      strength: 1 - stale * (1 - FAINTEST),
      followed,
      trail: followed ? rider.trail.points : rider.trail.since(now - TAIL_MS),
    };
  }

  readonly #leave = (): void => {
    if (this.#followed !== null) this.follow(null);
  };

  readonly #leaveByKeys = ({ originalEvent }: MoveEvent): void => {
    if (originalEvent instanceof KeyboardEvent && originalEvent.key.startsWith("Arrow")) this.#leave();
  };

  readonly #pick = (event: { point: { x: number; y: number } }): void => {
    const rider = this.painter.riderAt(event.point);
    if (rider !== null) this.follow(rider === this.#followed ? null : rider);
  };

  readonly #point = (event: { point: { x: number; y: number } }): void => {
    this.#map.gl.getCanvas().style.cursor = this.painter.riderAt(event.point) === null ? "" : "pointer";
  };
}

/**
 * Paints what moves over the map: trails, riders with arrow and label, one's own position, the names of the graticule.
 *
 * A canvas above MapLibre's own: sharp at every pixel ratio, and in step with the camera because it is painted in the
 * same frame. Nothing here decides anything; it is handed a scene.
 */

import type { Map as GlMap } from "maplibre-gl";

import type { Place } from "../geo.ts";
import type { TrailPoint } from "../riders/trail.ts";
import { degreeWords, multiples } from "./graticule.ts";
import { Labels, type Box } from "./labels.ts";
import type { Palette } from "./palette.ts";

export interface PaintedRider {
  number: number;
  place: Place;
  heading: number | null;
  moving: boolean;
  colour: string;
  label: string;
  detail: string;
  /** From 1 (just heard of) down to the faintest. */
  strength: number;
  followed: boolean;
  /** All of it for the followed rider, else what is younger than `TAIL_MS`. */
  trail: readonly TrailPoint[];
}

export interface Scene {
  riders: PaintedRider[];
  own: { place: Place; accuracyMetres: number } | null;
  now: number;
  /** Pixels at the edges that something covers. */
  covered: { left: number; top: number; bottom: number; controls: Box };
  graticuleStep: number;
}

interface Point {
  x: number;
  y: number;
}

const RADIUS = 10;
const SHADES = 8;
/** How far back the tails of riders who are not followed reach. */
export const TAIL_MS = 150_000;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export class Painter {
  readonly #map: GlMap;
  readonly #canvas = document.createElement("canvas");
  readonly #pen: CanvasRenderingContext2D;
  readonly #labels = new Labels();
  #points = new Map<number, Point>();
  palette: Palette;

  constructor(map: GlMap, palette: Palette) {
    this.#map = map;
    this.palette = palette;
    this.#canvas.className = "painted";
    this.#canvas.setAttribute("aria-hidden", "true");
    map.getCanvasContainer().append(this.#canvas);
    this.#pen = this.#canvas.getContext("2d")!;
  }

  /** Where riders were painted last, in pixels of the map. */
  get points(): ReadonlyMap<number, Point> {
    return this.#points;
  }

  /** The rider painted nearest to a point, within a finger's width. */
  riderAt({ x, y }: Point): number | null {
    let nearest: { number: number; away: number } | null = null;
    for (const [number, point] of this.#points) {
      const away = Math.hypot(point.x - x, point.y - y);
      if (away < 26 && (!nearest || away < nearest.away)) nearest = { number, away };
    }
    return nearest?.number ?? null;
  }

  /** Take the canvas off the map. */
  remove(): void {
    this.#canvas.remove();
  }

  paint(scene: Scene): void {
    const { width, height } = this.#fit();
    this.#pen.clearRect(0, 0, width, height);
    this.#graticuleNames(scene, width, height);
    const inSight = (point: Point): boolean => point.x > -60 && point.y > -60 && point.x < width + 60 && point.y < height + 60;
    this.#points = new Map();
    const shown = scene.riders.filter((rider) => {
      const point = this.#project(rider.place);
      if (inSight(point)) this.#points.set(rider.number, point);
      return inSight(point) || rider.followed;
    });
    for (const rider of shown) this.#trail(rider, scene.now);
    if (scene.own) this.#ownPosition(scene.own);
    const order = [...shown].sort((one, other) => Number(one.followed) - Number(other.followed));
    for (const rider of order) this.#marker(rider);
    const { left, top, bottom } = scene.covered;
    const frame = { x: left + 4, y: top + 4, width: width - left - 8, height: height - top - bottom - 8 };
    this.#nameRiders([...order].reverse(), frame, scene.covered.controls);
  }

  #fit(): { width: number; height: number } {
    const { clientWidth: width, clientHeight: height } = this.#map.getContainer();
    const ratio = Math.min(window.devicePixelRatio, 3);
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
      this.#canvas.style.width = `${width}px`;
      this.#canvas.style.height = `${height}px`;
    }
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }

  #project(place: Place): Point {
    const center = this.#map.getCenter().lng;
    const turns = Math.round((center - place.longitude) / 360); // the copy of the world that is in sight
    return this.#map.project([place.longitude + turns * 360, place.latitude]);
  }

  #graticuleNames(scene: Scene, width: number, height: number): void {
    const pen = this.#pen;
    const { left, top, bottom } = scene.covered;
    pen.font = `500 10.5px ${FONT}`;
    pen.fillStyle = this.palette.graticuleText;
    const bounds = this.#map.getBounds();
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    for (const latitude of multiples(Math.max(bounds.getSouth(), -84), Math.min(bounds.getNorth(), 84), scene.graticuleStep)) {
      const { y } = this.#map.project([bounds.getWest(), latitude]);
      if (y > top + 24 && y < height - bottom - 24) pen.fillText(degreeWords(latitude, "N", "S"), left + 8, y - 3);
    }
    pen.textBaseline = "top";
    for (const longitude of multiples(bounds.getWest(), bounds.getEast(), scene.graticuleStep)) {
      const { x } = this.#map.project([longitude, bounds.getCenter().lat]);
      const wrapped = ((((longitude + 180) % 360) + 360) % 360) - 180;
      if (x > left + 60 && x < width - 120) pen.fillText(degreeWords(wrapped, "E", "W"), x + 5, top + 8);
    }
  }

  /** All of the followed rider's trail; of the others a tail that fades with time. */
  #trail(rider: PaintedRider, now: number): void {
    const pen = this.#pen;
    const points = rider.trail;
    const head = this.#points.get(rider.number) ?? this.#project(rider.place);
    pen.lineCap = pen.lineJoin = "round";
    if (rider.followed) {
      const path = this.#pathOf(points, head);
      this.#stroke(path, this.palette.rim, 7, 0.9);
      this.#stroke(path, rider.colour, 4, 1);
      return;
    }
    for (const [shade, path] of this.#shades(points, head, now).entries()) {
      this.#stroke(path, this.#tint(rider.colour), 3, (0.55 * rider.strength * (shade + 1)) / SHADES);
    }
  }

  /** A tail as a few paths, the faintest first: a stroke for each of its points would be too much for many riders. */
  #shades(points: readonly TrailPoint[], head: Point, now: number): Path2D[] {
    const paths = Array.from({ length: SHADES }, () => new Path2D());
    let from: Point | null = null;
    let shade = -1;
    const line = (to: Point, wanted: number): void => {
      if (from && wanted !== shade) paths[wanted]!.moveTo(from.x, from.y);
      shade = wanted;
      if (from) paths[wanted]!.lineTo(to.x, to.y);
      from = to;
    };
    for (const point of points) {
      if (point.breaks) [from, shade] = [null, -1];
      line(this.#project(point), Math.max(0, Math.floor((1 - (now - point.at) / TAIL_MS) * (SHADES - 0.01))));
    }
    if (points.length > 0) line(head, SHADES - 1);
    return paths;
  }

  /** The colour of a tail: as the rider's, brighter on a dark map. */
  #tint(colour: string): string {
    return this.palette.lift === 0 ? colour : `color-mix(in srgb, ${colour}, white ${this.palette.lift * 100}%)`;
  }

  #pathOf(points: readonly TrailPoint[], head: Point): Path2D {
    const path = new Path2D();
    for (const point of points) {
      const { x, y } = this.#project(point);
      if (point.breaks) path.moveTo(x, y);
      else path.lineTo(x, y);
    }
    if (points.length > 0) path.lineTo(head.x, head.y);
    return path;
  }

  #stroke(path: Path2D, colour: string, width: number, alpha: number): void {
    this.#pen.globalAlpha = alpha;
    this.#pen.strokeStyle = colour;
    this.#pen.lineWidth = width;
    this.#pen.stroke(path);
    this.#pen.globalAlpha = 1;
  }

  #ownPosition({ place, accuracyMetres }: { place: Place; accuracyMetres: number }): void {
    const pen = this.#pen;
    const point = this.#project(place);
    const edge = this.#project({ latitude: place.latitude + accuracyMetres / 111_195, longitude: place.longitude });
    const radius = Math.abs(edge.y - point.y);
    pen.fillStyle = "rgba(37, 99, 235, 0.14)";
    if (radius > 10 && radius < 2000) disc(pen, point, radius);
    pen.fillStyle = "#ffffff";
    disc(pen, point, 9);
    pen.fillStyle = "#2563eb";
    disc(pen, point, 6.5);
  }

  /** A disc with a white rim; who moves has a point in the direction of the heading. */
  #marker(rider: PaintedRider): void {
    const point = this.#points.get(rider.number);
    if (!point) return;
    const pen = this.#pen;
    const radius = rider.followed ? RADIUS + 2 : RADIUS;
    pen.save();
    pen.translate(point.x, point.y);
    pen.globalAlpha = rider.strength;
    if (rider.followed) {
      pen.fillStyle = rider.colour;
      pen.globalAlpha = 0.18;
      disc(pen, { x: 0, y: 0 }, radius + 13);
      pen.globalAlpha = rider.strength;
    }
    pen.fillStyle = this.palette.shadow;
    disc(pen, { x: 0, y: 1.5 }, radius + 3);
    const pointed = rider.moving && rider.heading !== null;
    if (pointed) pen.rotate((rider.heading! * Math.PI) / 180);
    const shape = pointed ? drop(radius) : circle(radius);
    pen.lineJoin = "round";
    pen.strokeStyle = this.palette.rim;
    pen.lineWidth = 5;
    pen.stroke(shape);
    pen.fillStyle = rider.colour;
    pen.fill(shape);
    pen.fillStyle = this.palette.rim;
    if (pointed) pen.fill(arrow(radius));
    else disc(pen, { x: 0, y: 0 }, radius * 0.36);
    pen.restore();
  }

  #nameRiders(riders: readonly PaintedRider[], frame: Box, controls: Box): void {
    const anchors = riders.flatMap((rider) => {
      const point = this.#points.get(rider.number);
      return point ? [{ rider, point }] : [];
    });
    this.#labels.paint(this.#pen, anchors, this.palette, { radius: RADIUS, frame, controls });
  }
}

function disc(pen: CanvasRenderingContext2D, { x, y }: Point, radius: number): void {
  pen.beginPath();
  pen.arc(x, y, radius, 0, Math.PI * 2);
  pen.fill();
}

function circle(radius: number): Path2D {
  const path = new Path2D();
  path.arc(0, 0, radius, 0, Math.PI * 2);
  return path;
}

/** A disc drawn out to a point at the top. */
function drop(radius: number): Path2D {
  const path = new Path2D();
  const half = 0.62; // radians either side of the top where the point leaves the disc
  path.arc(0, 0, radius, -Math.PI / 2 + half, -Math.PI / 2 - half + Math.PI * 2);
  path.lineTo(0, -radius * 1.62);
  path.closePath();
  return path;
}

function arrow(radius: number): Path2D {
  const path = new Path2D();
  path.moveTo(0, -radius * 0.72);
  path.lineTo(radius * 0.5, radius * 0.48);
  path.lineTo(0, radius * 0.18);
  path.lineTo(-radius * 0.5, radius * 0.48);
  path.closePath();
  return path;
}

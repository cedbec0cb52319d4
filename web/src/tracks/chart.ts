/**
 * The elevation and speed profile of a track as one SVG over distance. Pointer and arrow keys move a cursor; the chart
 * is a slider to assistive technology, which reads out where the cursor stands.
 */

import { element, svg } from "./dom.ts";
import * as format from "./format.ts";
import { nearest, pathThrough, rangeOf, roundStep, type Range } from "./scale.ts";
import type { Profile } from "./types.ts";

const WIDTH = 360;
const LEFT = 34;
const RIGHT = WIDTH - 8;
const BANDS = { elevation: { top: 12, bottom: 96 }, speed: { top: 118, bottom: 170 } } as const;
const HEIGHT = 190;
const LEAST_METRES = 30;
const LEAST_KMH = 20;
const KEY_STEPS = 100;

/** The chart with its read-out; null when the track has no way to plot over. */
export function profileChart(profile: Profile): HTMLElement | null {
  const length = profile.distance.at(-1) ?? 0;
  if (profile.distance.length < 2 || length <= 0) return null;
  const xs = profile.distance.map((metres) => LEFT + ((RIGHT - LEFT) * metres) / length);
  const starts = new Set(profile.starts);
  const cursor = svg("line", { class: "chart-cursor", y1: BANDS.elevation.top, y2: BANDS.speed.bottom, visibility: "hidden" });
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", "aria-hidden": "true" },
    ...band("elevation", "Elevation, m", xs, profile.altitude, starts, LEAST_METRES),
    ...band("speed", "Speed, km/h", xs, profile.speed.map(format.kilometresAnHour), starts, LEAST_KMH),
    ...distanceAxis(length),
    cursor,
  );
  return withCursor(drawing, cursor, profile, xs);
}

/** What is at one place of the profile, in words. */
export function readOut(profile: Profile, index: number): string {
  const elevation = profile.altitude[index] ?? null;
  const speed = profile.speed[index] ?? null;
  return [
    format.distance(profile.distance[index] ?? 0),
    elevation === null ? "no elevation" : format.height(elevation),
    speed === null ? "no speed" : format.speed(speed),
  ].join(" · ");
}

function band(
  kind: keyof typeof BANDS,
  title: string,
  xs: readonly number[],
  values: readonly (number | null)[],
  starts: ReadonlySet<number>,
  least: number,
): SVGElement[] {
  const { top, bottom } = BANDS[kind];
  const heading = svg("text", { x: LEFT, y: top - 4, class: "chart-title" }, title);
  const range = rangeOf(values, least);
  if (range === null) return [heading, svg("text", { x: LEFT, y: (top + bottom) / 2, class: "chart-label" }, "not recorded")];
  const y = (value: number): number => bottom - ((bottom - top) * (value - range.from)) / (range.to - range.from);
  const line = pathThrough(xs, values.map((value) => (value === null ? null : y(value))), starts);
  return [
    ...gridLines(range, y),
    ...(kind === "elevation" ? areas(line, bottom) : []),
    svg("path", { d: line, class: `chart-line is-${kind}` }),
    heading,
  ];
}

function gridLines(range: Range, y: (value: number) => number): SVGElement[] {
  return [range.from, range.to].flatMap((value) => [
    svg("line", { x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value), class: "chart-grid" }),
    svg("text", { x: LEFT - 4, y: y(value) + 3, class: "chart-label is-end" }, value.toLocaleString()),
  ]);
}

/** One closed area under each unbroken part of a line. */
function areas(line: string, bottom: number): SVGElement[] {
  return line.split("M").filter(Boolean).map((part) => {
    const points = part.split("L");
    const first = points[0]!.split(" ")[0]!;
    const last = points.at(-1)!.split(" ")[0]!;
    return svg("path", { d: `M${first} ${bottom}L${points.join("L")}L${last} ${bottom}Z`, class: "chart-area" });
  });
}

function distanceAxis(length: number): SVGElement[] {
  const step = roundStep(length, 5);
  const ticks = Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
  return ticks.map((metres) => {
    const x = LEFT + ((RIGHT - LEFT) * metres) / length;
    const side = x > RIGHT - 24 ? "is-end" : metres === 0 ? "" : "is-middle";
    return svg("text", { x, y: HEIGHT - 6, class: `chart-label ${side}` }, metres === 0 ? "0" : format.roundDistance(metres));
  });
}

/** The slider around the drawing: what pointer and keys do, and what is read out. */
function withCursor(drawing: SVGSVGElement, cursor: SVGLineElement, profile: Profile, xs: readonly number[]): HTMLElement {
  const words = element("output", { class: "chart-read-out" }, "Point at the profile, or use the arrow keys.");
  const last = xs.length - 1;
  const slider = element("div", {
    class: "chart-slider",
    role: "slider",
    tabindex: "0",
    "aria-label": "Place along the ride",
    "aria-valuemin": "0",
    "aria-valuemax": String(last),
  });
  slider.append(drawing);
  let at = 0;
  const move = (index: number): void => {
    at = Math.max(0, Math.min(last, index));
    const said = readOut(profile, at);
    words.textContent = said;
    slider.setAttribute("aria-valuenow", String(at));
    slider.setAttribute("aria-valuetext", said);
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, String(xs[at]));
    cursor.setAttribute("visibility", "visible");
  };
  slider.setAttribute("aria-valuenow", "0");
  slider.setAttribute("aria-valuetext", readOut(profile, 0));
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    move(nearest(xs, ((event.clientX - box.left) / box.width) * WIDTH));
  });
  slider.addEventListener("keydown", (event) => {
    const target = keyTarget(event.key, at, last);
    if (target === null) return;
    event.preventDefault();
    move(target);
  });
  return element("div", { class: "chart-box" }, slider, words);
}

function keyTarget(key: string, at: number, last: number): number | null {
  const step = Math.max(1, Math.round(last / KEY_STEPS));
  const targets: Record<string, number> = {
    ArrowLeft: at - step,
    ArrowDown: at - step,
    ArrowRight: at + step,
    ArrowUp: at + step,
    PageDown: at - 10 * step,
    PageUp: at + 10 * step,
    Home: 0,
    End: last,
  };
  return targets[key] ?? null;
}

/**
 * The map itself: MapLibre with our style and layers, the camera, and the canvas on which riders are painted.
 *
 * The map stays flat and north up, so that headings read as they are.
 */

import {
  AttributionControl,
  Map as GlMap,
  ScaleControl,
  setWorkerUrl,
  type GeoJSONSource,
  type LngLatBoundsLike,
  type PaddingOptions,
} from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import type { FeatureCollection } from "geojson";

import { wrapLongitude, type Bounds } from "../client/index.ts";
import type { Config } from "../config.ts";
import type { Place } from "../geo.ts";
import { graticule, stepAt, type Extent } from "./graticule.ts";
import type { Palette } from "./palette.ts";
import { addOverlays, baseStyle, recolour, SOURCES } from "./style.ts";
import { bringWorld } from "./world.ts";

/** Without a place to look at, the map shows the world. */
const WORLD_VIEW = { center: [10, 30] as [number, number], zoom: 1.4 };
const FLIGHT_MS = 1800;
const NEAREST_FIT = 14.5;

export interface View {
  latitude: number;
  longitude: number;
  zoom: number;
}

/** Whether this browser can draw the map at all. */
export function hasWebGl2(): boolean {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}

export class LiveMap {
  readonly gl: GlMap;
  readonly loaded: Promise<void>;
  #palette: Palette;
  #lines: { extent: Extent; step: number } | null = null;
  #ready = false;
  /** Told once when the server's style cannot be loaded; the map then draws its own. */
  onFault: (message: string) => void = () => undefined;

  constructor(container: HTMLElement, config: Config, palette: Palette, view: View | null) {
    setWorkerUrl(workerUrl);
    this.#palette = palette;
    this.gl = new GlMap({
      container,
      style: baseStyle(config, palette),
      ...(view ? { center: [view.longitude, view.latitude] as [number, number], zoom: view.zoom } : WORLD_VIEW),
      minZoom: 1,
      maxZoom: 19,
      maxPitch: 0,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      attributionControl: false,
      fadeDuration: 150,
      locale: { "Map.Title": "Live map of riders" },
    });
    this.gl.touchZoomRotate.disableRotation();
    this.gl.keyboard.disableRotation();
    this.gl.addControl(new ScaleControl({ maxWidth: 120 }), "bottom-right");
    this.gl.addControl(new AttributionControl({ compact: true }), "bottom-right");
    this.gl.on("error", () => this.#doWithout(config));
    this.loaded = new Promise((resolve) => {
      this.gl.once("style.load", () => {
        this.#ready = true;
        addOverlays(this.gl, this.#palette, this.gl.getStyle().glyphs !== undefined);
        if (this.gl.getSource(SOURCES.world)) bringWorld(this.gl, SOURCES.world);
        this.gl.on("move", () => this.#drawGraticule());
        this.#drawGraticule();
        resolve();
      });
    });
  }

  get palette(): Palette {
    return this.#palette;
  }

  set palette(palette: Palette) {
    this.#palette = palette;
    void this.loaded.then(() => recolour(this.gl, palette));
  }

  get view(): View {
    const center = this.gl.getCenter();
    return { latitude: center.lat, longitude: wrapLongitude(center.lng), zoom: this.gl.getZoom() };
  }

  /** What is in sight and a margin (a share of width and height) around it; longitudes may go beyond 180°. */
  extent(margin = 0): Extent {
    const bounds = this.gl.getBounds();
    const [wide, high] = [(bounds.getEast() - bounds.getWest()) * margin, (bounds.getNorth() - bounds.getSouth()) * margin];
    return {
      west: bounds.getWest() - wide,
      south: Math.max(-85, bounds.getSouth() - high),
      east: bounds.getEast() + wide,
      north: Math.min(85, bounds.getNorth() + high),
    };
  }

  /** The steps of the lines of latitude and longitude drawn now, in degrees. */
  get graticuleStep(): number {
    return stepAt(this.gl.getZoom());
  }

  /** Replace the contents of one of our sources. */
  async fill(source: string, data: FeatureCollection): Promise<void> {
    await this.loaded;
    this.gl.getSource<GeoJSONSource>(source)?.setData(data);
  }

  /** What covers the map (a panel, a sheet): the camera's middle is the middle of the rest. */
  cover(padding: PaddingOptions): void {
    // Changed under way, the padding would end the camera's flight.
    if (this.gl.isMoving()) void this.gl.once("moveend", () => this.cover(padding));
    else this.gl.setPadding(padding);
  }

  /** Show all the places, no nearer than makes sense. */
  fit(places: readonly Place[], animate: boolean): void {
    if (places.length === 0) return;
    const middle = places[0]!.longitude;
    const longitudes = places.map((place) => middle + wrapLongitude(place.longitude - middle));
    const latitudes = places.map((place) => place.latitude);
    const bounds: LngLatBoundsLike = [
      [Math.min(...longitudes), Math.min(...latitudes)],
      [Math.max(...longitudes), Math.max(...latitudes)],
    ];
    this.gl.fitBounds(bounds, { padding: 72, maxZoom: NEAREST_FIT, animate, duration: 1400, linear: false });
  }

  /** Move the camera to a place; a zoom that is left out stays. */
  fly(place: Place, zoom: number | null, animate: boolean, milliseconds = FLIGHT_MS): void {
    this.gl.flyTo({
      center: [place.longitude, place.latitude],
      ...(zoom === null ? {} : { zoom }),
      animate,
      duration: milliseconds,
    });
  }

  /** A style of the settings that does not load must not leave riders without a map. */
  #doWithout(config: Config): void {
    if (this.#ready || config.map_style_url === null) return;
    this.#ready = true;
    this.gl.setStyle(baseStyle({ ...config, map_style_url: null }, this.#palette));
    this.onFault("The map's background could not be loaded; a plain one is shown.");
  }

  #drawGraticule(): void {
    const step = this.graticuleStep;
    const seen = this.extent();
    const drawn = this.#lines;
    const enough = drawn && drawn.step === step && within(seen, drawn.extent);
    if (enough) return;
    const extent = this.extent(1);
    this.#lines = { extent, step };
    void this.fill(SOURCES.graticule, graticule(extent, step));
  }
}

/** An extent as the server takes it: longitudes between -180 and 180. */
export function asBounds({ west, south, east, north }: Extent): Bounds {
  if (east - west >= 360) return [-180, south, 180, north];
  return [wrapLongitude(west), south, wrapLongitude(east), north];
}

export function within(inner: Extent, outer: Extent): boolean {
  return inner.west >= outer.west && inner.east <= outer.east && inner.south >= outer.south && inner.north <= outer.north;
}

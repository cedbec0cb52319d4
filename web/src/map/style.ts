/**
 * The map's own style, which needs no tile server: land, water, borders, graticule, cells, density, a shown track.
 *
 * With a style or tiles from the server's settings, those lie below and ours (graticule upwards) above them.
 */

import type { GeoJSONSourceSpecification, LayerSpecification, Map as LiveMap, StyleSpecification } from "maplibre-gl";

import type { Config } from "../config.ts";
import type { Palette } from "./palette.ts";

/** Empty sources that others fill. */
export const SOURCES = { world: "world", graticule: "graticule", cells: "cells", density: "density", zones: "zones", track: "track" } as const;

const FONT = ["system-ui, sans-serif"]; // without a `glyphs` URL MapLibre draws letters by the browser's own fonts
const EMPTY: GeoJSONSourceSpecification = { type: "geojson", data: { type: "FeatureCollection", features: [] } };

/** The style to begin with. */
export function baseStyle(config: Config, palette: Palette): StyleSpecification | string {
  if (config.map_style_url) return config.map_style_url;
  const style: StyleSpecification = { version: 8, sources: {}, layers: [] };
  if (config.tile_url) {
    style.sources["tiles"] = {
      type: "raster",
      tiles: [config.tile_url],
      tileSize: 256,
      ...(config.tile_attribution ? { attribution: config.tile_attribution } : {}),
    };
    style.layers.push({ id: "tiles", type: "raster", source: "tiles" });
    return style;
  }
  style.sources[SOURCES.world] = EMPTY;
  style.layers.push(...groundLayers(palette));
  return style;
}

/** Put our layers on top of whatever the map shows below. */
export function addOverlays(map: LiveMap, palette: Palette, hasGlyphs: boolean): void {
  for (const source of [SOURCES.graticule, SOURCES.cells, SOURCES.density, SOURCES.zones, SOURCES.track]) map.addSource(source, EMPTY);
  for (const layer of overlayLayers(palette)) {
    // A foreign style brings glyphs of its own fonts, of which we know nothing.
    if (layer.type === "symbol" && hasGlyphs) delete layer.layout?.["text-font"];
    map.addLayer(layer);
  }
}

/** Other colours, nothing else: what is shown stays. */
export function recolour(map: LiveMap, palette: Palette): void {
  for (const layer of [...groundLayers(palette), ...overlayLayers(palette)]) {
    if (!map.getLayer(layer.id)) continue;
    for (const [name, value] of Object.entries(layer.paint ?? {})) map.setPaintProperty(layer.id, name as never, value as never);
  }
}

function groundLayers(palette: Palette): LayerSpecification[] {
  const near = [7.5, 9.5] as const; // outlines this coarse are not for riding along a coast
  return [
    {
      id: "water",
      type: "background",
      paint: {
        "background-color": ["interpolate", ["linear"], ["zoom"], near[0], palette.water, near[1], palette.land],
      },
    },
    {
      id: "land",
      type: "fill",
      source: SOURCES.world,
      paint: { "fill-color": palette.land, "fill-antialias": true },
    },
    {
      id: "borders",
      type: "line",
      source: SOURCES.world,
      paint: {
        "line-color": palette.border,
        "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.4, 6, 1.1],
        "line-opacity": ["interpolate", ["linear"], ["zoom"], near[0] - 1, 0.9, near[1] - 0.5, 0],
      },
    },
  ];
}

function overlayLayers(palette: Palette): LayerSpecification[] {
  return [
    {
      id: "graticule",
      type: "line",
      source: SOURCES.graticule,
      paint: { "line-color": palette.graticule, "line-width": 1 },
    },
    {
      id: "cells",
      type: "line",
      source: SOURCES.cells,
      paint: { "line-color": palette.cell, "line-width": 1, "line-opacity": 0.75, "line-dasharray": [3, 2] },
    },
    {
      id: "density",
      type: "fill",
      source: SOURCES.density,
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: {
        "fill-color": palette.density,
        "fill-opacity": ["interpolate", ["linear"], ["ln", ["get", "count"]], 0, 0.12, 3, 0.3, 7, 0.7],
      },
    },
    {
      id: "density-edges",
      type: "line",
      source: SOURCES.density,
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "line-color": palette.density, "line-width": 1.25, "line-opacity": 0.8 },
    },
    {
      id: "density-counts",
      type: "symbol",
      source: SOURCES.density,
      filter: ["==", ["geometry-type"], "Point"],
      layout: {
        "text-field": ["get", "label"],
        "text-font": FONT,
        "text-size": 16,
        "text-allow-overlap": false,
        "symbol-sort-key": ["-", 0, ["get", "count"]],
      },
      paint: { "text-color": palette.densityText, "text-halo-color": palette.densityHalo, "text-halo-width": 1.4 },
    },
    {
      id: "zones",
      type: "fill",
      source: SOURCES.zones,
      paint: { "fill-color": palette.zone, "fill-opacity": 0.14 },
    },
    {
      id: "zones-edges",
      type: "line",
      source: SOURCES.zones,
      filter: ["!", ["get", "draft"]],
      paint: { "line-color": palette.zone, "line-width": 1.75 },
    },
    {
      id: "zones-draft",
      type: "line",
      source: SOURCES.zones,
      filter: ["get", "draft"],
      paint: { "line-color": palette.zone, "line-width": 2, "line-dasharray": [2, 1.5] },
    },
    {
      id: "track-casing",
      type: "line",
      source: SOURCES.track,
      layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": palette.rim, "line-width": 7 },
    },
    {
      id: "track",
      type: "line",
      source: SOURCES.track,
      layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": palette.track, "line-width": 4 },
    },
  ];
}

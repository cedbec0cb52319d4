/** The colours of the map in light and dark; the page's own are in styles/base.css. */

export type Theme = "light" | "dark";

export interface Palette {
  land: string;
  water: string;
  border: string;
  graticule: string;
  graticuleText: string;
  cell: string;
  density: string;
  densityText: string;
  densityHalo: string;
  label: string;
  labelBack: string;
  labelQuiet: string;
  zone: string;
  rim: string;
  shadow: string;
  track: string;
  /** How much white brightens the colours of tails, from 0 to 1. */
  lift: number;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    land: "#f5f3ee",
    water: "#d9e4e8",
    border: "#c9c3b8",
    graticule: "#e2ddd3",
    graticuleText: "#6f685d",
    cell: "#8a7f70",
    density: "#d9480f",
    densityText: "#3b1503",
    densityHalo: "#fffaf5",
    label: "#1d1b18",
    labelBack: "rgba(255, 255, 255, 0.92)",
    labelQuiet: "#625c53",
    zone: "#5b3fa8",
    rim: "#ffffff",
    shadow: "rgba(40, 32, 20, 0.20)",
    track: "#d9480f",
    lift: 0,
  },
  dark: {
    land: "#171b20",
    water: "#0d1014",
    border: "#3a424b",
    graticule: "#242a31",
    graticuleText: "#7d8894",
    cell: "#5d6a77",
    density: "#ff8a3d",
    densityText: "#fff4ea",
    densityHalo: "#20140c",
    label: "#f2f4f6",
    labelBack: "rgba(30, 35, 41, 0.92)",
    labelQuiet: "#a8b2bd",
    zone: "#b9a3f5",
    rim: "#f7f8f9",
    shadow: "rgba(0, 0, 0, 0.5)",
    track: "#ff8a3d",
    lift: 0.35,
  },
};

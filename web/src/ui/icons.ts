/** Line icons on a 24-unit grid, drawn in the colour of the text around them. */

import { svg } from "../tracks/dom.ts";

const PATHS = {
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  locate: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3",
  fit: "M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3",
  cells: "M12 3l7.5 4.5v9L12 21l-7.5-4.5v-9zM12 3v18",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M4.6 4.6L6 6M18 18l1.4 1.4M2.5 12h2M19.5 12h2M4.6 19.4L6 18M18 6l1.4-1.4",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l4.5 4.5",
  close: "M6 6l12 12M18 6L6 18",
  leave: "M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h9",
  arrow: "M12 3l6.5 17L12 16l-6.5 4z",
} as const;

export type IconName = keyof typeof PATHS;

/** The icon, hidden from screen readers: what it stands for is said by the control. */
export function icon(name: IconName, size = 20): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", class: `icon icon-${name}` },
    svg("path", { d: PATHS[name] }),
  );
}

/** The mark: a cove, and a rider leaving it. */
export function mark(size = 28): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", width: size, height: size, "aria-hidden": "true", class: "mark" },
    svg("rect", { width: 32, height: 32, rx: 9, class: "mark-ground" }),
    svg("path", { d: "M23.2 10.2a9.2 9.2 0 1 0 0 11.6", class: "mark-cove" }),
    svg("path", { d: "M13 16l13.5-4.2-4.3 4.2 4.3 4.2z", class: "mark-rider" }),
  );
}

/** One colour for each rider, the same in every browser: picked by the rider's number, told apart on light and dark. */

const COLOURS = [
  "#2563eb", // blue
  "#c2255c", // raspberry
  "#0b7a54", // green
  "#7c3aed", // violet
  "#0e7490", // petrol
  "#b45309", // amber
  "#a21caf", // magenta
  "#4d7c0f", // olive
  "#be123c", // crimson
  "#4f46e5", // indigo
  "#15803d", // leaf
  "#9a3412", // rust
] as const;

/** The colour of a rider. */
export function colourOf(rider: number): string {
  return COLOURS[(rider * 7) % COLOURS.length]!;
}

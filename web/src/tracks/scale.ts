/** Arithmetic of charts: ranges with round ends, and lines through values with holes. */

export interface Range {
  from: number;
  to: number;
}

/** Steps that people read easily: 1, 2 or 5 times a power of ten. */
export function roundStep(span: number, steps: number): number {
  const rough = span / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough) ?? 10;
  return factor * power;
}

/** The range of the values with round ends, at least `least` wide; null when there is no value. */
export function rangeOf(values: readonly (number | null)[], least: number, steps = 3): Range | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return null;
  const step = roundStep(Math.max(high - low, least), steps);
  const from = Math.floor(low / step) * step;
  return { from, to: Math.max(Math.ceil(high / step) * step, from + step) };
}

/** An SVG path through points, broken where the second coordinate is null and before the points in `starts`. */
export function pathThrough(xs: readonly number[], ys: readonly (number | null)[], starts: ReadonlySet<number>): string {
  let path = "";
  let drawing = false;
  ys.forEach((y, index) => {
    if (y !== null) path += `${drawing && !starts.has(index) ? "L" : "M"}${xs[index]!.toFixed(1)} ${y.toFixed(1)}`;
    drawing = y !== null;
  });
  return path;
}

/** The index of the value nearest to `wanted` in ascending values. */
export function nearest(values: readonly number[], wanted: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  const before = Math.max(0, low - 1);
  return wanted - values[before]! < values[low]! - wanted ? before : low;
}

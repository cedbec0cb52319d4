/** Names and speeds beside riders: those that matter most first, none over another, none when the map is crowded. */

import type { PaintedRider } from "./painter.ts";
import type { Palette } from "./palette.ts";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const NAME_FONT = `600 12px ${FONT}`;
const DETAIL_FONT = `500 11px ${FONT}`;
const HEIGHT = 22;
const GAP = 9;
const INSET = 8;
const MOST = 120;

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Room {
  /** Of a rider's marker. */
  radius: number;
  /** Labels stay within it … */
  frame: Box;
  /** … and off these buttons. */
  controls: Box;
}

export interface Anchor {
  rider: PaintedRider;
  point: { x: number; y: number };
}

export class Labels {
  readonly #widths = new Map<string, number>();
  readonly #sides = new Map<number, number>();

  /** Paint labels in the order given, where there is room; a rider's marker is no place for another's label. */
  paint(pen: CanvasRenderingContext2D, anchors: readonly Anchor[], palette: Palette, room: Room): void {
    const taken: Box[] = anchors.slice(0, MOST * 4).map(({ point }) => around(point, room.radius));
    taken.push(room.controls);
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const [index, anchor] of anchors.slice(0, MOST).entries()) {
      const box = this.#place(pen, anchor, room, taken, index);
      if (!box) continue;
      taken.push(box);
      this.#draw(pen, anchor.rider, box, palette);
    }
  }

  /** A free place right of the rider, else left, below, above; the side of the last frame first, so that labels stay. */
  #place(
    pen: CanvasRenderingContext2D,
    { rider, point }: Anchor,
    { radius, frame }: Room,
    taken: Box[],
    own: number,
  ): Box | null {
    const width = this.#width(pen, NAME_FONT, rider.label) + this.#detailWidth(pen, rider) + INSET * 2;
    const reach = radius + GAP;
    const sides: Box[] = [
      { x: point.x + reach, y: point.y - HEIGHT / 2, width, height: HEIGHT },
      { x: point.x - reach - width, y: point.y - HEIGHT / 2, width, height: HEIGHT },
      { x: point.x - width / 2, y: point.y + reach, width, height: HEIGHT },
      { x: point.x - width / 2, y: point.y - reach - HEIGHT, width, height: HEIGHT },
    ];
    const last = this.#sides.get(rider.number) ?? 0;
    for (const side of [last, 0, 1, 2, 3]) {
      const box = sides[side]!;
      if (!inside(box, frame) || taken.some((other, index) => index !== own && overlap(box, other))) continue;
      this.#sides.set(rider.number, side);
      return box;
    }
    return null;
  }

  #draw(pen: CanvasRenderingContext2D, rider: PaintedRider, box: Box, palette: Palette): void {
    pen.globalAlpha = Math.max(0.55, rider.strength);
    pen.fillStyle = palette.shadow;
    pen.beginPath();
    pen.roundRect(box.x - 0.5, box.y + 0.5, box.width + 1, box.height + 0.5, 7);
    pen.fill();
    pen.fillStyle = rider.followed ? rider.colour : palette.labelBack;
    pen.beginPath();
    pen.roundRect(box.x, box.y, box.width, box.height, 6.5);
    pen.fill();
    const middle = box.y + box.height / 2 + 0.5;
    pen.font = NAME_FONT;
    pen.fillStyle = rider.followed ? "#ffffff" : palette.label;
    pen.fillText(rider.label, box.x + INSET, middle);
    pen.font = DETAIL_FONT;
    pen.fillStyle = rider.followed ? "#ffffff" : palette.labelQuiet;
    pen.fillText(rider.detail, box.x + INSET + this.#width(pen, NAME_FONT, rider.label) + 6, middle);
    pen.globalAlpha = 1;
  }

  #detailWidth(pen: CanvasRenderingContext2D, rider: PaintedRider): number {
    return rider.detail ? 6 + this.#width(pen, DETAIL_FONT, rider.detail) : 0;
  }

  #width(pen: CanvasRenderingContext2D, font: string, text: string): number {
    const key = font + text;
    let width = this.#widths.get(key);
    if (width === undefined) {
      pen.font = font;
      width = pen.measureText(text).width;
      if (this.#widths.size > 5000) this.#widths.clear();
      this.#widths.set(key, width);
    }
    return width;
  }
}

function around({ x, y }: { x: number; y: number }, radius: number): Box {
  return { x: x - radius - 2, y: y - radius - 2, width: radius * 2 + 4, height: radius * 2 + 4 };
}

function inside(box: Box, frame: Box): boolean {
  const across = box.x >= frame.x && box.x + box.width <= frame.x + frame.width;
  return across && box.y >= frame.y && box.y + box.height <= frame.y + frame.height;
}

function overlap(one: Box, other: Box): boolean {
  return (
    one.x < other.x + other.width + 2 &&
    other.x < one.x + one.width + 2 &&
    one.y < other.y + other.height + 2 &&
    other.y < one.y + one.height + 2
  );
}

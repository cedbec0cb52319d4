"""What is painted on the map: the pixels of a rider's colour, how many, where their middle is, how far they reach."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page

_COLOURS = Path(__file__).parents[3] / "web" / "src" / "riders" / "colours.ts"

# Copied to a canvas of our own: reading the page's would make it slow, and a warning in its console.
_READ = """
([selector, red, green, blue]) => {
  const painted = document.querySelector(selector);
  if (!painted || painted.width === 0) return null;
  const copy = new OffscreenCanvas(painted.width, painted.height);
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(painted, 0, 0);
  const { data } = pen.getImageData(0, 0, copy.width, copy.height);
  const found = { count: 0, x: 0, y: 0, left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (let at = 0; at < data.length; at += 4) {
    const near = (channel, wanted) => Math.abs(data[at + channel] - wanted) <= 6;
    if (data[at + 3] < 250 || !near(0, red) || !near(1, green) || !near(2, blue)) continue;
    const x = (at / 4) % copy.width;
    const y = Math.floor(at / 4 / copy.width);
    found.count += 1;
    found.x += x;
    found.y += y;
    found.left = Math.min(found.left, x);
    found.right = Math.max(found.right, x);
    found.top = Math.min(found.top, y);
    found.bottom = Math.max(found.bottom, y);
  }
  return found.count === 0 ? null : { ...found, x: found.x / found.count, y: found.y / found.count };
}
"""


@dataclass(frozen=True)
class Blot:
    """Pixels of a colour: how many, their middle from the left and top, and how far apart the outermost are."""

    count: int
    x: float
    y: float
    reach: float


def colour_of(rider: int) -> str:
    """The colour that the page gives to a rider, as its source says."""
    colours = re.findall(r'"(#[0-9a-f]{6})"', _COLOURS.read_text("utf-8"))
    return str(colours[(rider * 7) % len(colours)])


async def blot_of(page: Page, rider: int) -> Blot | None:
    """The pixels of a rider's colour on the canvas over the map; None when there are none."""
    colour = colour_of(rider)
    channels = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    found = await page.evaluate(_READ, ["canvas.painted", *channels])
    if found is None:
        return None
    reach = max(found["right"] - found["left"], found["bottom"] - found["top"])
    return Blot(found["count"], found["x"], found["y"], reach)

"""What a page looks like to whom it must suit: where its parts lie, and how its text stands out from its ground."""

from typing import Any

from playwright.async_api import Page

_OUTSIDE = """
() => {
  const found = [];
  for (const each of document.querySelectorAll("#app button, #app input, #app p, #app dd, #app h2")) {
    const { left, right, width } = each.getBoundingClientRect();
    const seen = width > 1 && each.checkVisibility() && each.closest(".visually-hidden") === null;
    if (seen && (left < 0 || right > innerWidth)) found.push(`${each.className} ${each.textContent}: ${left}-${right}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page itself");
  return found;
}
"""

_COVERED = """
() => [...document.querySelectorAll(".controls button")].filter((button) => {
  const { x, y, width, height } = button.getBoundingClientRect();
  const corners = [[x + 3, y + 3], [x + width / 2, y + height / 2], [x + width - 3, y + height - 3]];
  return !corners.every(([at, down]) => button.contains(document.elementFromPoint(at, down)));
}).map((button) => button.getAttribute("aria-label"))
"""

# Colours of any notation become numbers on a canvas; translucent ones are laid over those below.
_FAINT = """
(least) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const read = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
    }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = rgb.map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const grounds = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    return layers;
  };
  const words = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT);
  const found = [];
  let read_texts = 0;
  while (words.nextNode()) {
    const text = words.currentNode.textContent.trim();
    const element = words.currentNode.parentElement;
    if (text === "" || element.closest("#map, .visually-hidden, :disabled, script, noscript")) continue;
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const below = grounds(element);
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(read([...below, ink])), light(read(below))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    read_texts += 1;
    if (contrast < least) found.push(`${contrast.toFixed(2)} in ${element.localName}: ${text}`);
  }
  return { found, read: read_texts };
}
"""

_SLOWEST = """
() => Math.max(...[...document.querySelectorAll("body *")].flatMap((each) => {
  const { transitionDuration, animationDuration } = getComputedStyle(each);
  return [...transitionDuration.split(","), ...animationDuration.split(",")].map((words) => parseFloat(words) || 0);
}))
"""


async def outside(page: Page) -> list[str]:
    """Visible parts of the page that reach beyond its left or right edge."""
    return list(await page.evaluate(_OUTSIDE))


async def covered_controls(page: Page) -> list[str]:
    """Buttons of the map that something else lies over."""
    return list(await page.evaluate(_COVERED))


async def faint_texts(page: Page, least: float = 4.5) -> list[str]:
    """Visible texts beside the map whose contrast to their ground (WCAG 2) is less. There must be some text to read."""
    seen: dict[str, Any] = await page.evaluate(_FAINT, least)
    assert seen["read"] > 5, "there is hardly any text"
    return list(seen["found"])


async def slowest_animation(page: Page) -> float:
    """The longest transition or animation that any part of the page has, in seconds."""
    return float(await page.evaluate(_SLOWEST))

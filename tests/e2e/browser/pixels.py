"""What is seen on the map: the pixels of one colour in a picture of it, and where their middle is."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from playwright.async_api import Locator

_TOLERANCE = 24
"""Least difference of a channel that counts as another colour: edges are smoothed."""


@dataclass(frozen=True)
class Blot:
    """The pixels of a colour: how many, and their middle from the left and top."""

    count: int
    x: float
    y: float


async def picture_of(element: Locator) -> np.ndarray:
    """The pixels of an element as they are seen, (height, width, 3)."""
    image = Image.open(io.BytesIO(await element.screenshot())).convert("RGB")
    return np.asarray(image, dtype=np.int16)


def blot(picture: np.ndarray, colour: str) -> Blot:
    """The pixels near `#rrggbb`."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.int16)
    rows, columns = np.nonzero(np.abs(picture - wanted).max(axis=2) <= _TOLERANCE)
    if len(rows) == 0:
        return Blot(0, 0.0, 0.0)
    return Blot(len(rows), float(columns.mean()), float(rows.mean()))

"""A small picture of a track as SVG: its line on a plain ground, where it began and ended, and how it climbed.

Pure: from what may be shown of a track to text. It has no map under it, fonts and scripts from nowhere, and no text
that a rider wrote.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from domain.tracks.columns import Shown
from geo.geodesics import FloatArray
from geo.lines import simplified
from geo.mercator import project

SMALLEST, LARGEST = 32, 2_000
"""Pixels of a side."""
_MOST_VERTICES = 4_000
_TOLERANCE_PIXELS = 0.4
_STRIP_SHARE = 0.22
"""Share of the height that the elevation takes."""
_STRIP_FROM_PIXELS = 120
"""Pictures that are less high have no elevation."""
_FLATTEST_METRES = 40.0
"""The elevation strip spans at least this, so that noise on a plain is no mountain."""


class Theme(StrEnum):
    """On what ground the picture stands."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class _Colours:
    ground: str
    grid: str
    casing: str
    line: str
    begin: str
    end: str
    hill: str
    quiet: str


_COLOURS = {
    Theme.LIGHT: _Colours("#f4f6f8", "#e3e8ee", "#ffffff", "#e8590c", "#2b8a3e", "#c92a2a", "#adb9c6", "#66788a"),
    Theme.DARK: _Colours("#12181f", "#1d2630", "#0b0f14", "#ff922b", "#51cf66", "#ff6b6b", "#3b4b5c", "#8fa3b5"),
}


def draw(shown: Shown, width: int, height: int, theme: Theme) -> str:
    """The picture, `width` × `height` pixels. Of a track without a line that may be shown it says just that."""
    colours = _COLOURS[theme]
    if len(shown.track) == 0:
        return _framed(width, height, colours, "Track without a line", _nothing(width, height, colours))
    strip = _strip(shown, width, height, colours)
    floor = height * (1 - _STRIP_SHARE) if strip else float(height)
    return _framed(width, height, colours, "Track", strip + _line(shown, width, floor, colours))


def _framed(width: int, height: int, colours: _Colours, title: str, inside: str) -> str:
    step = max(24, round(max(width, height) / 10))
    grid = "".join(f"M{x} 0V{height}" for x in range(step, width, step))
    grid += "".join(f"M0 {y}H{width}" for y in range(step, height, step))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img"><title>{title}</title>'
        f'<rect width="{width}" height="{height}" fill="{colours.ground}"/>'
        f'<path d="{grid}" fill="none" stroke="{colours.grid}"/>{inside}</svg>'
    )


def _line(shown: Shown, width: int, height: float, colours: _Colours) -> str:
    points = _fitted(project(shown.track.latitude, shown.track.longitude), width, height)
    parts, _ = simplified(points, shown.starts, _TOLERANCE_PIXELS, _MOST_VERTICES)
    path = "".join(_path(points[part]) for part in parts)
    thick = _stroke(width, height)
    shape = f'd="{path}" fill="none" stroke-linecap="round" stroke-linejoin="round"'
    return (
        f'<path {shape} stroke="{colours.casing}" stroke-width="{2 * thick:g}"/>'
        f'<path {shape} stroke="{colours.line}" stroke-width="{thick:g}"/>'
        + _end(points[0], thick, colours.begin, colours.casing, hidden=shown.begin_hidden)
        + _end(points[-1], thick, colours.end, colours.casing, hidden=shown.end_hidden)
    )


def _fitted(points: FloatArray, width: float, height: float) -> FloatArray:
    """Map metres as pixels: as large as fits with a margin, in the middle, north up."""
    margin = max(6.0, 0.1 * min(width, height))
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1.0)
    scale = float(min((width - 2 * margin) / span[0], (height - 2 * margin) / span[1]))
    middle = np.array([width, height]) / 2
    return np.asarray((points - (low + high) / 2) * scale * np.array([1.0, -1.0]) + middle)


def _path(points: FloatArray) -> str:
    """A part as path data, to a tenth of a pixel. A lone point is a line of no length: its round ends make a dot."""
    if len(points) == 1:
        points = np.repeat(points, 2, axis=0)
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())


def _stroke(width: float, height: float) -> float:
    return round(float(np.clip(min(width, height) / 72, 1.5, 6.0)), 1)


def _end(at: FloatArray, thick: float, colour: str, casing: str, *, hidden: bool) -> str:
    """A dot where the track begins or ends; a ring where only what may be shown of it does."""
    fill, stroke = (casing, colour) if hidden else (colour, casing)
    x, y = at.tolist()
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.7 * thick:g}" fill="{fill}" stroke="{stroke}"'
        f' stroke-width="{0.7 * thick:g}"/>'
    )


def _strip(shown: Shown, width: int, height: int, colours: _Colours) -> str:
    """The elevation over the distance, along the lower edge; nothing where little of it is known."""
    altitude = shown.track.altitude
    known = np.flatnonzero(~np.isnan(altitude))
    if height < _STRIP_FROM_PIXELS or len(known) < 2:
        return ""
    columns = np.linspace(0, len(known) - 1, min(len(known), width // 2)).astype(np.int64)
    chosen = known[columns]
    points = project(shown.track.latitude, shown.track.longitude)[chosen]
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    low, high = float(altitude[known].min()), float(altitude[known].max())
    room = 0.8 * _STRIP_SHARE * height
    rise = (altitude[chosen] - low) / max(high - low, _FLATTEST_METRES) * room
    outline = np.column_stack((along / max(along[-1], 1.0) * width, height - 2 - rise))
    top = _path(outline)
    return (
        f'<path d="{top}L{width} {height}L0 {height}Z" fill="{colours.hill}" fill-opacity=".45"/>'
        f'<path d="{top}" fill="none" stroke="{colours.hill}" stroke-width="1.2" stroke-linejoin="round"/>'
    )


def _nothing(width: int, height: int, colours: _Colours) -> str:
    """A dashed road that leads nowhere."""
    y, reach = height / 2, min(width, height) / 4
    left, middle, right = width / 2 - reach, width / 2, width / 2 + reach
    return (
        f'<path d="M{left:.1f} {y:.1f}C{middle:.1f} {y - reach:.1f} {middle:.1f} {y + reach:.1f} {right:.1f} {y:.1f}"'
        f' fill="none" stroke="{colours.quiet}" stroke-width="{_stroke(width, height):g}" stroke-linecap="round"'
        f' stroke-dasharray="1 {max(6, reach / 6):.0f}"/>'
    )

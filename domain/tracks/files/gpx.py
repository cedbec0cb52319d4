"""A track as GPX 1.1, piece by piece; valid against the public schema (elements in its order, no exponents).

What GPX has no element for is in one element of our own namespace, see `geo.gpx_places`. Reading it back gives the same
points: latitude and longitude keep every digit of a double, times their milliseconds. Two exports of the same track are
the same bytes.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from domain.tracks.files.segments import interrupted
from domain.tracks.reading import Point
from geo.gpx_places import NAMESPACE, OWN_NAMESPACE
from geo.gpx_times import iso_time

MEDIA_TYPE = "application/gpx+xml"
_OWN = ("speed", "heading", "accuracy", "lean", "battery")


class GpxWriter:
    """Writes one track: `begin`, `points` as often as there are some, `end`. Pieces are UTF-8."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: Point | None = None

    def begin(self) -> bytes:
        """Up to the first point."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<gpx xmlns="{NAMESPACE}" xmlns:tc="{OWN_NAMESPACE}" version="1.1" creator="ThrottleCove">\n'
            f"<trk>\n<name>{escape(self._name)}</name>\n"
        ).encode()

    def points(self, points: Sequence[Point]) -> bytes:
        """The next points."""
        return "".join(self._lines(points)).encode()

    def end(self) -> bytes:
        """What follows the last point."""
        segment = "" if self._before is None else "</trkseg>\n"
        return f"{segment}</trk>\n</gpx>\n".encode()

    def _lines(self, points: Sequence[Point]) -> Iterator[str]:
        for point in points:
            if self._before is None:
                yield "<trkseg>\n"
            elif interrupted(self._before, point):
                yield "</trkseg>\n<trkseg>\n"
            yield _point(point)
            self._before = point


def _point(point: Point) -> str:
    elevation = "" if point.altitude is None else f"<ele>{decimal(point.altitude)}</ele>"
    own = "".join(
        f' {attribute}="{decimal(value)}"' for attribute in _OWN if (value := getattr(point, attribute)) is not None
    )
    flags = f' flags="{point.flags}"' if point.flags else ""
    longitude = -180.0 if point.longitude == 180.0 else point.longitude  # the schema has each meridian once
    return (
        f'<trkpt lat="{decimal(point.latitude)}" lon="{decimal(longitude)}">{elevation}'
        f"<time>{iso_time(point.timestamp)}</time>"
        f'<extensions><tc:fix seq="{point.seq}"{own}{flags}/></extensions></trkpt>\n'
    )


def decimal(value: float) -> str:
    """The shortest decimal that reads back as the same double, as `xsd:decimal` has it: without an exponent."""
    text = repr(value)
    return text if "e" not in text else format(Decimal(text), "f")

"""A track as GeoJSON (RFC 7946), piece by piece: one Feature, a MultiLineString interrupted where the track is.

Beside the coordinates, `properties.coordinateProperties` has one array of the same shape for each other value of a fix
(`times`, `seqs`, `speeds`, …; null where unknown), the way converters of GPX write them. They follow the coordinates,
so they wait in a file meanwhile: memory does not grow with the track.

RFC 7946 asks for two things that GPX does not: a line that crosses the antimeridian is cut there, and a line has two
positions at least, so that a fix alone between two interruptions is written twice.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import TypeAlias
from uuid import UUID

from domain.tracks.files.segments import interrupted
from domain.tracks.reading import Point
from geo.gpx_times import iso_time

MEDIA_TYPE = "application/geo+json"
_IN_MEMORY_BYTES = 128 * 1024
_PIECE_BYTES = 64 * 1024

Step: TypeAlias = tuple[str, Point]
"""What separates a value from the one before, and the point that it is of."""


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


_PROPERTIES: tuple[tuple[str, Callable[[Point], str]], ...] = (
    ("times", lambda point: f'"{iso_time(point.timestamp)}"'),
    ("seqs", lambda point: str(point.seq)),
    ("speeds", lambda point: _number(point.speed)),
    ("headings", lambda point: _number(point.heading)),
    ("accuracies", lambda point: _number(point.accuracy)),
    ("leans", lambda point: _number(point.lean)),
    ("batteries", lambda point: _number(point.battery)),
    ("flags", lambda point: str(point.flags)),
)


class GeoJsonWriter:
    """Writes one track: `begin`, `points` as often as there are some, then every piece of `end`; at last `close`."""

    def __init__(self, name: str, track_id: UUID) -> None:
        self._name = name
        self._id = str(track_id)
        self._before: Point | None = None
        self._is_alone = False
        self._spools = [SpooledTemporaryFile(_IN_MEMORY_BYTES) for _ in _PROPERTIES]  # noqa: SIM115 - see close

    def begin(self) -> bytes:
        """Up to the first position."""
        start = f'{{"type":"Feature","id":"{self._id}","geometry":{{"type":"MultiLineString","coordinates":['
        return start.encode()

    def points(self, points: Sequence[Point]) -> bytes:
        """The positions of the next points; their other values are put aside."""
        return self._write([step for point in points for step in self._steps_to(point)])

    def end(self) -> Iterator[bytes]:
        """What follows the positions."""
        yield self._write([(",", self._before)] if self._before is not None and self._is_alone else [])
        close = b"]" if self._before is None else b"]]"
        head = json.dumps({"name": self._name, "track_id": self._id})
        yield close + b'},"properties":' + head[:-1].encode() + b',"coordinateProperties":{'
        for index, ((name, _), spool) in enumerate(zip(_PROPERTIES, self._spools, strict=True)):
            yield f'{"," if index else ""}"{name}":['.encode()
            spool.seek(0)
            while piece := spool.read(_PIECE_BYTES):
                yield piece
            yield close
        yield b"}}}\n"

    def close(self) -> None:
        """Let go of what was put aside."""
        for spool in self._spools:
            spool.close()

    def _steps_to(self, point: Point) -> Iterator[Step]:
        before, self._before = self._before, point
        if before is None:
            yield "[", point
            self._is_alone = True
        elif interrupted(before, point) or abs(before.longitude - point.longitude) > 180:
            if self._is_alone:
                yield ",", before
            yield "],[", point
            self._is_alone = True
        else:
            yield ",", point
            self._is_alone = False

    def _write(self, steps: Sequence[Step]) -> bytes:
        for (_, text_of), spool in zip(_PROPERTIES, self._spools, strict=True):
            spool.write("".join([separator + text_of(point) for separator, point in steps]).encode())
        return "".join(separator + _position(point) for separator, point in steps).encode()


def _position(point: Point) -> str:
    altitude = "" if point.altitude is None else f",{point.altitude!r}"
    return f"[{point.longitude!r},{point.latitude!r}{altitude}]"

"""The use case of exports: a rider's own track as a file, streamed from Postgres in constant memory.

Everything accepted is exported, flagged fixes too: an export with `zones=show` is the recording, and imported again it
is the same one.
`Flagged.OMIT` leaves out what does not count (spikes, jitter while standing), for programs that would draw it.
A track that cannot be read to its end raises; what was written until then has no end either, so nobody takes it for
the whole.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from uuid import UUID

from domain.kit.turns import Turns
from domain.tracks.files import geojson, gpx
from domain.tracks.library import Track
from domain.tracks.reading import STREAMS_AT_ONCE, Point, TrackReader, Zones

EXPORTS_AT_ONCE = STREAMS_AT_ONCE
"""On one node; so none of them waits for another to end."""
EXPORTS_OF_ONE_RIDER = 2
_POINTS_AT_ONCE = 250
"""Points written between two turns of the event loop: about two milliseconds."""


class Format(StrEnum):
    """The formats of exports."""

    GPX = "gpx"
    GEOJSON = "geojson"


class Flagged(StrEnum):
    """What becomes of flagged fixes."""

    INCLUDE = "include"
    OMIT = "omit"


MEDIA_TYPES = {Format.GPX: gpx.MEDIA_TYPE, Format.GEOJSON: geojson.MEDIA_TYPE}


@dataclass(frozen=True)
class Export:
    """A file to be: its name, its media type, and its pieces, to be iterated once, in one task, and closed."""

    filename: str
    media_type: str
    pieces: AsyncGenerator[bytes, None]


class TrackExporter:
    """Exports tracks."""

    def __init__(self, reader: TrackReader) -> None:
        self._reader = reader
        self._turns = Turns(at_once=EXPORTS_AT_ONCE, of_one_rider=EXPORTS_OF_ONE_RIDER)

    async def export(self, user_id: UUID, track_id: UUID, kind: Format, zones: Zones, flagged: Flagged) -> Export:
        """The rider's track as a file. Raises NotFound, Unavailable.

        Iterating the pieces raises Unavailable, before the first when nothing can be read at all, and RateLimited when
        the rider has too many exports running.
        """
        track = await self._reader.find(user_id, track_id)
        write = self._gpx if kind is Format.GPX else self._geojson
        return Export(_filename(track, kind), MEDIA_TYPES[kind], write(track, zones, flagged))

    async def _gpx(self, track: Track, zones: Zones, flagged: Flagged) -> AsyncGenerator[bytes, None]:
        writer = gpx.GpxWriter(_name(track))
        async with contextlib.aclosing(self._points(track, zones, flagged)) as chunks:
            piece = writer.begin()
            async for points in chunks:
                yield piece + writer.points(points)
                piece = b""
        yield piece + writer.end()

    async def _geojson(self, track: Track, zones: Zones, flagged: Flagged) -> AsyncGenerator[bytes, None]:
        with contextlib.closing(geojson.GeoJsonWriter(_name(track), track.id)) as writer:
            async with contextlib.aclosing(self._points(track, zones, flagged)) as chunks:
                piece = writer.begin()
                async for points in chunks:
                    yield piece + writer.points(points)
                    piece = b""
            yield piece
            for piece in writer.end():
                yield piece

    async def _points(self, track: Track, zones: Zones, flagged: Flagged) -> AsyncGenerator[list[Point], None]:
        with self._turns.take(track.user_id):
            async with self._reader.points(track, zones) as chunks:
                kept = _Kept(flagged)
                async for chunk in chunks:
                    for begin in range(0, len(chunk), _POINTS_AT_ONCE):
                        yield kept.of(chunk[begin : begin + _POINTS_AT_ONCE])
                        await asyncio.sleep(0)


class _Kept:
    """Leaves out flagged points, and keeps the interruptions that they were at."""

    def __init__(self, flagged: Flagged) -> None:
        self._all = flagged is Flagged.INCLUDE
        self._after_hidden = False

    def of(self, points: list[Point]) -> list[Point]:
        """The points that are written."""
        return points if self._all else list(self._unflagged(points))

    def _unflagged(self, points: list[Point]) -> Iterator[Point]:
        for point in points:
            after_hidden = self._after_hidden or point.after_hidden
            if not point.flags:
                yield point._replace(after_hidden=after_hidden)
            self._after_hidden = after_hidden and bool(point.flags)


def _name(track: Track) -> str:
    began = (track.started_at or track.first_heard_at).astimezone(UTC)
    return f"ThrottleCove {began:%Y-%m-%d %H:%M} UTC"


def _filename(track: Track, kind: Format) -> str:
    """ASCII without spaces: safe on every system and in every header."""
    began = (track.started_at or track.first_heard_at).astimezone(UTC)
    return f"throttlecove-{began:%Y%m%d-%H%M}-{track.id.hex[-8:]}.{kind}"

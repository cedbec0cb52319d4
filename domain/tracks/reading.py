"""Reading the points of a track: by whom, without what privacy zones hide, in order, and in constant memory.

Promises that a track is read by its rider only, that `hide` gives out no point in one of the rider's zones (as they are
now, whenever the track was recorded), and that every read has an end: a database that falls silent, or a reader who
does, gives the connection back. The flags are those of `geo.filters`, provisional until the track is computed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.driver import reading
from domain.db.engine import unavailable_when_down
from domain.tracks import library
from domain.tracks.decimals import shortest
from domain.tracks.library import Track
from domain.zones.service import Mask, ZoneService

CHUNK_POINTS = 2_000
"""Points read at once: some milliseconds of work between two turns of the event loop."""
STREAMS_AT_ONCE = 4
"""Tracks that one node streams at once: each holds a connection of the pool as long as its reader takes."""
STREAM_SECONDS = 300.0
"""A stream that takes longer is ended."""
_FETCH_SECONDS = 20.0
"""The first chunk waits until Postgres has sorted the track: a million points take it about two seconds."""

_PATIENCE = f"SET LOCAL idle_in_transaction_session_timeout = '{STREAM_SECONDS:.0f}s'"
"""It stands still whenever its reader does, and keeps nobody waiting."""
_FIRST_REAL, _LAST_REAL = 4, 10
_POINTS = """
SELECT seq, (extract(epoch FROM timestamp) * 1000)::bigint, latitude, longitude,
       altitude, accuracy, speed, heading, lean, battery, flags
FROM track_points
WHERE track_month = $1 AND track_id = $2
ORDER BY timestamp, seq
"""


class Zones(StrEnum):
    """What becomes of points in the rider's privacy zones."""

    HIDE = "hide"
    SHOW = "show"


class Point(NamedTuple):
    """A stored fix, in the units of `geo.fix.Fix`; `flags` are those of `geo.fix.Flag`.

    `after_hidden`: points between the one before and this one were left out, so that no line may join the two.
    """

    seq: int
    timestamp: int
    latitude: float
    longitude: float
    altitude: float | None
    accuracy: float | None
    speed: float | None
    heading: float | None
    lean: float | None
    battery: float | None
    flags: int
    after_hidden: bool = False


class TrackReader:
    """Finds tracks and reads their points. Every method raises Unavailable when Postgres is away."""

    def __init__(self, engine: AsyncEngine, zones: ZoneService) -> None:
        self._engine = engine
        self._zones = zones
        self._streams = asyncio.Semaphore(STREAMS_AT_ONCE)

    async def find(self, user_id: UUID, track_id: UUID) -> Track:
        """The rider's track. Raises NotFound, also for a track that is deleted or another rider's."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await library.find(connection, user_id, track_id)

    async def mask(self, track: Track, zones: Zones) -> Mask:
        """What is hidden of this track: nothing for `show`."""
        return Mask() if zones is Zones.SHOW else await self._zones.mask_of(track.user_id)

    @asynccontextmanager
    async def points(self, track: Track, zones: Zones) -> AsyncIterator[AsyncGenerator[list[Point]]]:
        """All points in (timestamp, seq) order, flagged ones too, in chunks; with `hide` a chunk may be short.

        `async with reader.points(…) as chunks: async for chunk in chunks: …`, all in one task. The track is read as it
        was at the beginning. A stream waits for one of `STREAMS_AT_ONCE` places, and raises Unavailable, as it does
        when it takes longer than `STREAM_SECONDS`.
        """
        mask = await self.mask(track, zones)
        async with (
            unavailable_when_down(),
            asyncio.timeout(STREAM_SECONDS),
            self._streams,
            reading(self._engine) as driver,
        ):
            await driver.execute(_PATIENCE)
            cursor = await driver.cursor(_POINTS, track.month, track.id, timeout=_FETCH_SECONDS)
            yield _chunks(cursor, mask)


async def _chunks(cursor: Any, mask: Mask) -> AsyncGenerator[list[Point]]:
    hidden_before = False
    while rows := await cursor.fetch(CHUNK_POINTS, timeout=_FETCH_SECONDS):
        points, hidden_before = masked(rows, mask, hidden_before=hidden_before)
        yield points


def masked(rows: Sequence[Any], mask: Mask, *, hidden_before: bool = False) -> tuple[list[Point], bool]:
    """The points of rows that are shown, and whether the last of the rows was hidden.

    Rows have the columns of `Point` but the last, with reals as they are stored. `hidden_before`: so was the row before
    the first.
    """
    columns = list(zip(*rows, strict=True))
    hidden = mask.hides(np.array(columns[2]), np.array(columns[3]))
    after_hidden = np.concatenate(([hidden_before], hidden[:-1]))
    points = [
        Point._make((*values, after))
        for values, is_hidden, after in zip(_plain(columns), hidden.tolist(), after_hidden.tolist(), strict=True)
        if not is_hidden
    ]
    return points, bool(hidden[-1])


def _plain(columns: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows again, with reals as the numbers that phones sent."""
    reals = np.array(columns[_FIRST_REAL:_LAST_REAL], dtype=np.float64)  # None becomes NaN
    values = shortest(reals).astype(object)
    values[np.isnan(reals)] = None
    return zip(*columns[:_FIRST_REAL], *values.tolist(), *columns[_LAST_REAL:], strict=True)

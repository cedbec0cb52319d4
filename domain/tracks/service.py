"""The use cases of a rider's own tracks: list them, look at one, page through its points, delete it.

Everything is for the track's rider only. Shapes that are computed from the points (geometry, profile, picture) are in
`domain.tracks.shapes`; streams of all points in `domain.tracks.reading`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.driver import reading, writing
from domain.db.engine import unavailable_when_down
from domain.kit.clock import Clock
from domain.kit.cursors import Cursors
from domain.tracks import deleting, listing, paging
from domain.tracks.library import Track
from domain.tracks.listing import TrackFilter, TrackPlace
from domain.tracks.paging import PointPlace, Window
from domain.tracks.ports import TrackLog
from domain.tracks.reading import Point, TrackReader, Zones
from domain.zones.service import Mask

T = TypeVar("T")
P = TypeVar("P", bound=msgspec.Struct)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list; `next_cursor` leads to the next, None at the end."""

    items: Sequence[T]
    next_cursor: str | None


@dataclass(frozen=True)
class Detail:
    """A track and how many of its stored points have which flags (`geo.fix.Flag`, 0 for those that count)."""

    track: Track
    flags: dict[int, int]


class TrackService:
    """The signed-in rider's tracks. Every method raises Unavailable when Postgres is away."""

    def __init__(
        self, engine: AsyncEngine, clock: Clock, reader: TrackReader, cursors: Cursors, track_log: TrackLog
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._reader = reader
        self._cursors = cursors
        self._track_log = track_log

    async def page(self, user_id: UUID, which: TrackFilter, *, cursor: str | None, limit: int) -> Page[Track]:
        """Some of the rider's tracks, newest first. Raises Invalid for a cursor that is not of this rider's list."""
        after = self._place(cursor, f"tracks:{user_id}", TrackPlace)
        async with unavailable_when_down(), self._engine.connect() as connection:
            found = await listing.tracks_of(connection, user_id, which, after=after, limit=limit + 1)
        last = listing.place_of(found[limit - 1]) if len(found) > limit else None
        return Page(found[:limit], self._cursor(last, f"tracks:{user_id}"))

    async def detail(self, user_id: UUID, track_id: UUID, zones: Zones) -> Detail:
        """One track; stops in privacy zones are left out unless shown. Raises NotFound."""
        track = await self._reader.find(user_id, track_id)
        mask = await self._reader.mask(track, zones)
        async with reading(self._engine) as driver:
            flags = await paging.flag_counts(driver, track)
        return Detail(_without_hidden_stops(track, mask), flags)

    async def points(
        self, user_id: UUID, track_id: UUID, zones: Zones, window: Window, *, cursor: str | None, limit: int
    ) -> Page[Point]:
        """Some of a track's points in (timestamp, seq) order; with hidden ones among them a page is shorter.

        Raises NotFound, and Invalid for a cursor that is not of this rider's and this track's.
        """
        bound_to = f"points:{user_id}:{track_id}"
        after = self._place(cursor, bound_to, PointPlace)
        track = await self._reader.find(user_id, track_id)
        mask = await self._reader.mask(track, zones)
        async with reading(self._engine) as driver:
            rows = await paging.points_of(driver, track, window, after=after, limit=limit + 1)
        last = paging.place_of(rows[limit - 1]) if len(rows) > limit else None
        points = await asyncio.to_thread(paging.masked_page, rows[:limit], mask)
        return Page(points, self._cursor(last, bound_to))

    async def delete(self, user_id: UUID, track_id: UUID) -> None:
        """Delete a track with all its points. Raises NotFound, also when it was deleted before.

        What a phone still sends for it, and what is on its way to the database, is dropped: the id stays used up.
        """
        async with writing(self._engine) as driver:
            await deleting.delete(driver, user_id, track_id, self._clock.now())
        await deleting.forget_claim(self._track_log, track_id)

    def _place(self, cursor: str | None, bound_to: str, kind: type[P]) -> P | None:
        return None if cursor is None else self._cursors.read(cursor, bound_to, kind)

    def _cursor(self, place: msgspec.Struct | None, bound_to: str) -> str | None:
        return None if place is None else self._cursors.write(place, bound_to)


def _without_hidden_stops(track: Track, mask: Mask) -> Track:
    if track.statistics is None or not track.statistics.stops:
        return track
    stops = track.statistics.stops
    hidden = mask.hides(np.array([stop.latitude for stop in stops]), np.array([stop.longitude for stop in stops]))
    shown = [stop for stop, is_hidden in zip(stops, hidden, strict=True) if not is_hidden]
    return replace(track, statistics=msgspec.structs.replace(track.statistics, stops=shown))

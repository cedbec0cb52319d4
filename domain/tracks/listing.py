"""The list of a rider's tracks, newest first: filters, and pages that neither skip nor repeat while tracks come in.

A track's place in the list is when it began, by the phone, or when the server first heard of it. No index holds that:
a rider's tracks are found by rider and sorted, which costs less than keeping one more index while riders record.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.db.tables import tracks
from domain.tracks.library import COLUMNS, Track, track_of
from geo.viewport import Bounds

MOST_TRACKS = 100
"""Tracks on one page."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_began = func.coalesce(tracks.c.started_at, tracks.c.first_heard_at)


@dataclass(frozen=True)
class TrackFilter:
    """Which tracks; None is no matter. `begins` is inclusive, `ends` is not; both are of when a track began."""

    begins: datetime | None = None
    ends: datetime | None = None
    motorcycle_id: UUID | None = None
    finished: bool | None = None
    bounds: Bounds | None = None
    """Only tracks whose line (which the computed ones have) touches this box."""


class TrackPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of tracks ended; microseconds since the epoch, as precise as the database."""

    began_us: int
    track_id: UUID


def place_of(track: Track) -> TrackPlace:
    """The place of a track in the list."""
    return TrackPlace((track.began_at - _EPOCH) // timedelta(microseconds=1), track.id)


async def tracks_of(
    connection: AsyncConnection, user_id: UUID, which: TrackFilter, *, after: TrackPlace | None, limit: int
) -> list[Track]:
    """Up to `limit` of the rider's tracks, newest first, beginning after a place."""
    query = select(*COLUMNS).where(tracks.c.user_id == user_id, tracks.c.deleted_at.is_(None), *_conditions(which))
    if after is not None:
        began = _EPOCH + timedelta(microseconds=after.began_us)
        query = query.where(tuple_(_began, tracks.c.id) < tuple_(literal(began), literal(after.track_id)))
    query = query.order_by(_began.desc(), tracks.c.id.desc()).limit(limit)
    return [track_of(row) for row in await connection.execute(query)]


def _conditions(which: TrackFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if which.begins is not None:
        conditions.append(_began >= which.begins)
    if which.ends is not None:
        conditions.append(_began < which.ends)
    if which.motorcycle_id is not None:
        conditions.append(tracks.c.motorcycle_id == which.motorcycle_id)
    if which.finished is not None:
        conditions.append(tracks.c.finished_at.is_not(None) if which.finished else tracks.c.finished_at.is_(None))
    if which.bounds is not None:
        conditions.append(_touches(which.bounds))
    return conditions


def _touches(bounds: Bounds) -> ColumnElement[bool]:
    spans = [(bounds.west, bounds.east)]
    if bounds.west > bounds.east:  # across the antimeridian
        spans = [(bounds.west, 180.0), (-180.0, bounds.east)]
    boxes = [func.ST_MakeEnvelope(west, bounds.south, east, bounds.north, 4326) for west, east in spans]
    return or_(*(func.ST_Intersects(tracks.c.line, box) for box in boxes))

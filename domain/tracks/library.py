"""The tracks of a rider as the library shows them: what is known of a track beside its points, and how to find it.

A track is its rider's alone: one that does not exist, one that was deleted and one of somebody else are the same
`NotFound`. The points are in `domain.tracks.reading`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.db.tables import tracks
from domain.kit.errors import NotFound
from geo.statistics import TrackStatistics
from geo.stops import Stop

_FIGURES = tuple(msgspec.structs.fields(TrackStatistics))


class TrackState(StrEnum):
    """How far a track has come."""

    RECORDING = "recording"
    """The phone has not ended it."""
    FINISHED = "finished"
    """Ended, but fixes are still on their way or the figures are being computed; those shown may change."""
    COMPUTED = "computed"
    """Line, figures and final flags are there; late fixes make it `finished` again for a while."""


@dataclass(frozen=True)
class Track:
    """One track without its points. `month` is the partition of these; `points` counts all that are stored."""

    id: UUID
    user_id: UUID
    month: int
    motorcycle_id: UUID | None
    ride_id: UUID | None
    started_at: datetime | None
    first_heard_at: datetime
    last_heard_at: datetime
    finished_at: datetime | None
    computed_at: datetime | None
    points: int
    state: TrackState
    statistics: TrackStatistics | None

    @property
    def began_at(self) -> datetime:
        """When the phone says that it began, or when the server first heard of it."""
        return self.started_at or self.first_heard_at


COLUMNS = (
    tracks.c.id,
    tracks.c.user_id,
    tracks.c.month,
    tracks.c.motorcycle_id,
    tracks.c.ride_id,
    tracks.c.started_at,
    tracks.c.first_heard_at,
    tracks.c.last_heard_at,
    tracks.c.finished_at,
    tracks.c.computed_at,
    tracks.c.stored,
    tracks.c.last_seq,
    tracks.c.recompute,
    *(tracks.c[field.name] for field in _FIGURES),
)
"""What `track_of` reads."""


def track_of(row: Row[Any]) -> Track:
    """A track from a row of `COLUMNS`."""
    return Track(
        id=row.id,
        user_id=row.user_id,
        month=row.month,
        motorcycle_id=row.motorcycle_id,
        ride_id=row.ride_id,
        started_at=row.started_at,
        first_heard_at=row.first_heard_at,
        last_heard_at=row.last_heard_at,
        finished_at=row.finished_at,
        computed_at=row.computed_at,
        points=row.stored,
        state=_state_of(row),
        statistics=_statistics_of(row),
    )


def _state_of(row: Row[Any]) -> TrackState:
    if row.finished_at is not None and not row.recompute:
        return TrackState.COMPUTED
    return TrackState.RECORDING if row.finished_at is None and row.last_seq is None else TrackState.FINISHED


def _statistics_of(row: Row[Any]) -> TrackStatistics | None:
    if row.computed_at is None:
        return None
    values = {field.name: getattr(row, field.name) for field in _FIGURES}
    return TrackStatistics(**values | {"stops": msgspec.convert(row.stops, list[Stop])})


async def find(connection: AsyncConnection, user_id: UUID, track_id: UUID) -> Track:
    """The rider's track. Raises NotFound."""
    query = select(*COLUMNS).where(tracks.c.id == track_id, tracks.c.user_id == user_id, tracks.c.deleted_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise no_such_track()
    return track_of(row)


def no_such_track() -> NotFound:
    """The one answer for a track that never was, was deleted, or is another rider's."""
    return NotFound("there is no such track of yours", field="track_id")

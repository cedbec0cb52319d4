"""The SQL of pages of points: a window of time, in (timestamp, seq) order, beginning after a place.

No index has the points in order of time, because it would cost every fix that is recorded: a page reads its track once
and keeps the few it needs (0.3 s for a million points). Whoever wants the whole track streams it instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.tracks.library import Track
from domain.tracks.reading import Point, masked
from domain.zones.service import Mask

MOST_POINTS = 10_000
"""Points on one page."""

_PAGE = """
SELECT seq, (extract(epoch FROM timestamp) * 1000)::bigint, latitude, longitude,
       altitude, accuracy, speed, heading, lean, battery, flags
FROM track_points
WHERE track_month = :month AND track_id = :track_id {conditions}
ORDER BY timestamp, seq
LIMIT :limit
"""
_FLAGS = """
SELECT flags, count(*) FROM track_points WHERE track_month = :month AND track_id = :track_id GROUP BY flags
"""


@dataclass(frozen=True)
class Window:
    """A span of time: from its beginning, inclusive, to its end, exclusive; None is without one."""

    begins: datetime | None = None
    ends: datetime | None = None


class PointPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of points ended: the time in milliseconds since the epoch, and the sequence number."""

    timestamp_ms: int
    seq: int


def place_of(row: Sequence[Any]) -> PointPlace:
    """The place of a point."""
    return PointPlace(row[1], row[0])


async def points_of(
    connection: AsyncConnection, track: Track, window: Window, *, after: PointPlace | None, limit: int
) -> Sequence[Any]:
    """Rows for `masked_page`."""
    values: dict[str, Any] = {"month": track.month, "track_id": track.id, "limit": limit}
    conditions = ""
    if window.begins is not None:
        conditions += " AND timestamp >= :begins"
        values["begins"] = window.begins
    if window.ends is not None:
        conditions += " AND timestamp < :ends"
        values["ends"] = window.ends
    if after is not None:
        conditions += " AND (timestamp, seq) > (:after, :seq)"
        values |= {"after": datetime.fromtimestamp(after.timestamp_ms / 1000, UTC), "seq": after.seq}
    return (await connection.execute(text(_PAGE.format(conditions=conditions)), values)).all()


def masked_page(rows: Sequence[Any], mask: Mask) -> list[Point]:
    """The points of some rows that are shown."""
    return masked(rows, mask)[0] if rows else []


async def flag_counts(connection: AsyncConnection, track: Track) -> dict[int, int]:
    """How many points of the track have which flags."""
    rows = await connection.execute(text(_FLAGS), {"month": track.month, "track_id": track.id})
    return {int(flags): int(count) for flags, count in rows}

"""The SQL of pages of points: a window of time, in (timestamp, seq) order, beginning after a place.

No index has the points in order of time, because it would cost every fix that is recorded: a page reads its track once
and keeps the few it needs (0.3 s for a million points). Whoever wants the whole track streams it instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from domain.tracks.library import Track
from domain.tracks.reading import Point, masked
from domain.zones.service import Mask

MOST_POINTS = 10_000
"""Points on one page."""

_PAGE = """
SELECT seq, (extract(epoch FROM timestamp) * 1000)::bigint AS timestamp_ms, latitude, longitude,
       altitude, accuracy, speed, heading, lean, battery, flags
FROM (
    SELECT *
    FROM track_points
    WHERE track_month = $1 AND track_id = $2
      AND ($3::timestamptz IS NULL OR timestamp >= $3)
      AND ($4::timestamptz IS NULL OR timestamp < $4)
      AND ($5::timestamptz IS NULL OR (timestamp, seq) > ($5, $6::int))
    ORDER BY timestamp, seq
    LIMIT $7
) AS page
ORDER BY timestamp, seq
"""
_FLAGS = "SELECT flags, count(*) AS points FROM track_points WHERE track_month = $1 AND track_id = $2 GROUP BY flags"
_SECONDS = 15.0
"""What a page may take: more than most statements, since it reads the whole track."""


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
    driver: Any, track: Track, window: Window, *, after: PointPlace | None, limit: int
) -> Sequence[Any]:
    """Rows for `masked_page`. `driver` is asyncpg's connection; raises what that raises."""
    moment = None if after is None else datetime.fromtimestamp(after.timestamp_ms / 1000, UTC)
    seq = None if after is None else after.seq
    rows: Sequence[Any] = await driver.fetch(
        _PAGE, track.month, track.id, window.begins, window.ends, moment, seq, limit, timeout=_SECONDS
    )
    return rows


def masked_page(rows: Sequence[Any], mask: Mask) -> list[Point]:
    """The points of some rows that are shown."""
    return masked(rows, mask)[0] if rows else []


async def flag_counts(driver: Any, track: Track) -> dict[int, int]:
    """How many points of the track have which flags."""
    rows = await driver.fetch(_FLAGS, track.month, track.id, timeout=_SECONDS)
    return {row["flags"]: row["points"] for row in rows}

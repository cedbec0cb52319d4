"""Recorded tracks in a database, made by SQL: as many points as a test needs, within a moment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.tracks.partitions import ensure_partition

MONTH = 202611
BEGAN_MS = 1_793_500_000_000
"""The time of the first fix: in November 2026."""
BEGAN = datetime.fromtimestamp(BEGAN_MS / 1000, UTC)
SOUTH, WEST = 45.0, 9.0
"""Where seeded tracks begin; each fix is about 11 m north of the one before, and they sway from west to east."""

_POINTS = """
INSERT INTO track_points
SELECT :month, :id, n, to_timestamp(:began + n), :south + n * 1e-4, :west + 0.002 * sin(n / 50.0),
       300.5 + 100 * sin(n / 300.0), 5, 11.1 + 5 * sin(n / 100.0), n % 360, -12.5, 0.75, 0, now()
FROM generate_series(0, :last) AS n
"""
_TRACK = """
INSERT INTO tracks (id, month, user_id, motorcycle_id, started_at, first_heard_at, last_heard_at, last_seq, stored,
                    max_seq)
VALUES (:id, :month, :user_id, :motorcycle_id, :moment, :moment, :moment, :last_seq, :stored, :max_seq)
"""
_FINISHED = """
UPDATE tracks
SET finished_at = :moment, computed_at = :moment, distance_metres = 11.1 * fixes_, duration_seconds = fixes_,
    moving_seconds = fixes_, stopped_seconds = 0, ascent_metres = 200, descent_metres = 190, max_speed = 16.1,
    average_speed = 11.1, stops = '[]', fixes = fixes_, implausible = 0, standing = 0, repeated = 0,
    line = (SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(longitude, latitude, altitude, extract(epoch FROM timestamp))
                   ORDER BY timestamp, seq), 4326)
            FROM track_points WHERE track_month = :month AND track_id = :id HAVING count(*) > 1)
FROM (SELECT CAST(:points AS integer) AS fixes_) AS counted
WHERE id = :id
"""


@dataclass(frozen=True)
class Seeded:
    """A track in the database."""

    id: UUID
    user_id: UUID
    points: int


async def seed_track(
    engine: AsyncEngine,
    user_id: UUID,
    *,
    points: int = 100,
    south: float = SOUTH,
    moment: datetime = BEGAN,
    finished: bool = True,
    motorcycle_id: UUID | None = None,
) -> Seeded:
    """A track of `points` fixes, one a second, finished and computed unless told otherwise."""
    track = Seeded(uuid4(), user_id, points)
    await ensure_month(engine)
    values: dict[str, Any] = {
        "id": track.id,
        "month": MONTH,
        "user_id": user_id,
        "motorcycle_id": motorcycle_id,
        "moment": moment,
        "last_seq": points - 1 if finished else None,
        "stored": points,
        "max_seq": points - 1 if points else None,
    }
    where = {"month": MONTH, "id": track.id, "began": moment.timestamp(), "south": south, "west": WEST}
    async with engine.begin() as connection:
        await connection.execute(text(_TRACK), values)
        await connection.execute(text(_POINTS), where | {"last": points - 1})
        if finished:
            done = {"id": track.id, "month": MONTH, "moment": moment, "points": points}
            await connection.execute(text(_FINISHED), done)
    return track


async def ensure_month(engine: AsyncEngine) -> None:
    """The partition of seeded tracks."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await ensure_partition(raw.driver_connection, MONTH)

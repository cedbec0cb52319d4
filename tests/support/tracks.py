"""Recorded tracks in a database, made by SQL: as many points as a test needs, within a moment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.driver import writing
from domain.tracks.partitions import ensure_partition

MONTH = 202611
BEGAN_MS = 1_793_500_000_000
"""The time of the first fix: in November 2026."""
BEGAN = datetime.fromtimestamp(BEGAN_MS / 1000, UTC)
SOUTH, WEST = 45.0, 9.0
"""Where seeded tracks begin; each fix is about 11 m north of the one before, and they sway from west to east."""

_POINTS = """
INSERT INTO track_points
SELECT $1, $2, n, $3::timestamptz + n * interval '1 s', $4 + n * 1e-4, $5 + 0.002 * sin(n / 50.0),
       300.5 + 100 * sin(n / 300.0), 5, 11.1 + 5 * sin(n / 100.0), n % 360, -12.5, 0.75, 0, now()
FROM generate_series(0, $6) AS n
"""
_TRACK = """
INSERT INTO tracks (id, month, user_id, motorcycle_id, started_at, first_heard_at, last_heard_at, last_seq, stored,
                    max_seq)
VALUES ($1, $2, $3, $4, $5, $5, $5, $6, $7, $8)
"""
_FINISHED = """
UPDATE tracks
SET finished_at = $3, computed_at = $3, distance_metres = 11.1 * fixes_, duration_seconds = fixes_,
    moving_seconds = fixes_, stopped_seconds = 0, ascent_metres = 200, descent_metres = 190, max_speed = 16.1,
    average_speed = 11.1, stops = '[]', fixes = fixes_, implausible = 0, standing = 0, repeated = 0,
    line = (SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(longitude, latitude, altitude, extract(epoch FROM timestamp))
                   ORDER BY timestamp, seq), 4326)
            FROM track_points WHERE track_month = $2 AND track_id = $1 HAVING count(*) > 1)
FROM (SELECT $4::integer AS fixes_) AS counted
WHERE id = $1
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
    track_id: UUID | None = None,
) -> Seeded:
    """A track of `points` fixes, one a second, finished and computed unless told otherwise."""
    track = Seeded(track_id or uuid4(), user_id, points)
    await ensure_month(engine)
    highest = points - 1 if points else None
    async with writing(engine) as driver:
        await driver.execute(
            _TRACK, track.id, MONTH, user_id, motorcycle_id, moment, points - 1 if finished else None, points, highest
        )
        await driver.execute(_POINTS, MONTH, track.id, moment, south, WEST, points - 1, timeout=30)
        if finished:
            await driver.execute(_FINISHED, track.id, MONTH, moment, points, timeout=30)
    return track


async def ensure_month(engine: AsyncEngine) -> None:
    """The partition of seeded tracks."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await ensure_partition(raw.driver_connection, MONTH)

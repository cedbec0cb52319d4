"""What nodes ask Postgres about tracks. Writing is the workers' alone: see `workers.tracks`."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down
from domain.db.tables import track_points, tracks
from domain.kit.errors import Gone


class TrackStore:
    """Reads tracks; what nodes ask when a phone speaks of a track they do not know."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def owner_of(self, track_id: UUID) -> tuple[UUID, int] | None:
        """The rider and the month (year * 100 + month) of a stored track, or None.

        Raises Gone for a track that its rider deleted, and Unavailable.
        """
        query = select(tracks.c.user_id, tracks.c.month, tracks.c.deleted_at).where(tracks.c.id == track_id)
        async with unavailable_when_down(), self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is not None and row.deleted_at is not None:
            raise Gone("this track was deleted; make a new track_id", field="track_id")
        return None if row is None else (row.user_id, row.month)

    async def is_deleted(self, track_id: UUID) -> bool:
        """Whether a track of this id was deleted: then the id is used up. Raises Unavailable."""
        query = select(tracks.c.deleted_at.is_not(None)).where(tracks.c.id == track_id)
        async with unavailable_when_down(), self._engine.connect() as connection:
            return bool(await connection.scalar(query))

    async def newest_fix_ms(self, track_id: UUID) -> int | None:
        """The time, in epoch milliseconds, of the stored fix with the highest seq, or None. Raises Unavailable."""
        query = (
            select(track_points.c.timestamp)
            .join(tracks, (track_points.c.track_month == tracks.c.month) & (track_points.c.track_id == tracks.c.id))
            .where(tracks.c.id == track_id, track_points.c.seq == tracks.c.max_seq)
        )
        async with unavailable_when_down(), self._engine.connect() as connection:
            moment = await connection.scalar(query)
        return None if moment is None else round(moment.timestamp() * 1000)

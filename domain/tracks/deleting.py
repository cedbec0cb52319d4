"""Deleting a track so that it does not come back: the row stays, emptied, and says that the track was deleted.

Fixes may be in the stream, or in a phone that rides through a tunnel. The worker locks the row of a track before it
writes; for one that was deleted it drops what it has and counts it. So the id stays used up, and its rider known.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from domain.db.tables import tracks
from domain.kit.errors import Unavailable
from domain.tracks.library import no_such_track
from domain.tracks.ports import TrackLog

_log = structlog.get_logger(__name__)

_KEPT = {"id", "user_id", "month", "first_heard_at"}
_CHANGED = {
    "deleted_at": "$2",
    "finished_at": "$2",  # so that nobody waits for it or computes it
    "last_heard_at": "$2",
    "recompute": "false",
    "stored": "0",
}
_EMPTIED = {column.name: "NULL" for column in tracks.columns if column.name not in _KEPT}
_HOLD = "SELECT month FROM tracks WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR UPDATE"
_ASSIGNMENTS = ", ".join(f"{name} = {value}" for name, value in (_EMPTIED | _CHANGED).items())
_EMPTY = f"UPDATE tracks SET {_ASSIGNMENTS} WHERE id = $1"  # noqa: S608 - names of columns, and the values above
_FORGET_POINTS = "DELETE FROM track_points WHERE track_month = $1 AND track_id = $2"
_FORGET_GAPS = "DELETE FROM track_gaps WHERE track_id = $1"
_SECONDS = 25.0
"""A million points take some seconds to delete."""


async def delete(driver: Any, user_id: UUID, track_id: UUID, now: datetime) -> None:
    """Take everything of a track but its id, rider and month, in the caller's transaction (asyncpg's).

    Raises NotFound when the rider has no such track, also when it was deleted before.
    """
    month = await driver.fetchval(_HOLD, track_id, user_id, timeout=_SECONDS)
    if month is None:
        raise no_such_track()
    await driver.execute(_EMPTY, track_id, now)
    await driver.execute(_FORGET_POINTS, month, track_id, timeout=_SECONDS)
    await driver.execute(_FORGET_GAPS, track_id)


async def forget_claim(track_log: TrackLog, track_id: UUID) -> None:
    """Let nodes that do not have the track open ask Postgres, which says that it is gone. A failure costs only that."""
    try:
        await track_log.forget_claim(track_id)
    except Unavailable:
        _log.warning("claim_not_forgotten")

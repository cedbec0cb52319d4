"""One batch, one transaction: what a batch holds is in Postgres exactly once, or Postgres said why not.

Every writer of a track holds the lock of its row first, and the row knows the highest sequence number stored. So a fix
beyond that number cannot be there yet, and is copied straight into the partitions; every other (backfill, a retry, an
entry delivered twice) goes through a staging table and `ON CONFLICT DO NOTHING`. Both write the same rows: copying
straight takes half the time. What to do about failures is left to `bisect` and to the loop.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import numpy as np

from domain.tracks.partitions import ensure_partition
from workers.database import Database
from workers.tracks.copy_format import POINT_COLUMNS, encode_points
from workers.tracks.failures import MissingPartition, UnexpectedDuplicate, is_missing_partition
from workers.tracks.items import DeadLetter, Item, Reason, dead
from workers.tracks.prepare import FixColumns, Mask, Prepared, TrackPart
from workers.tracks.sql import statement

WRITER_SET_UP = (
    "CREATE TEMP TABLE staged_points (LIKE track_points) ON COMMIT DELETE ROWS;"
    "SET work_mem = '32MB'; SET temp_buffers = '32MB'; SET jit = off;"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
"""What the writer's connection needs. Entries are acknowledged after the commit: it has to be on disk by then."""

_LOCK_TRACKS = statement("lock_tracks")
_INSERT_TRACKS = statement("insert_tracks")
_INSERT_STAGED = statement("insert_staged")
_INSERT_GAPS = statement("insert_gaps")
_UPDATE_TRACKS = statement("update_tracks")
_MARK_COMPLETE = statement("mark_complete")

_NOTHING_STORED = -1

Added: TypeAlias = dict[UUID, tuple[int, int]]
"""For each track: points added, and the highest seq among them."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one batch came to."""

    fixes: int
    """Points that are new."""
    letters: list[DeadLetter]
    track_ids: list[UUID]
    """Tracks that Postgres has now, of the riders who own them."""
    dropped: int = 0
    """Fixes of tracks that their riders deleted: not stored, and not kept anywhere else."""

    def __add__(self, other: "Written") -> "Written":
        """Both, one after the other."""
        return Written(
            self.fixes + other.fixes,
            self.letters + other.letters,
            self.track_ids + other.track_ids,
            self.dropped + other.dropped,
        )


class PointStore:
    """Writes batches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._months: set[int] = set()

    async def write(self, prepared: Prepared) -> Written:
        """Store a batch. Raises what asyncpg raises, and then nothing of the batch is stored."""
        straight = True
        while True:
            try:
                async with self._database.connection() as connection:
                    return await _write(connection, prepared, self._months, straight=straight)
            except MissingPartition as missing:
                await self._ensure(missing.months)
            except UnexpectedDuplicate:
                straight = False

    async def _ensure(self, months: set[int]) -> None:
        self._months -= months
        for month in sorted(months):
            async with self._database.connection() as connection:
                await ensure_partition(connection, month)
            self._months.add(month)


async def _write(connection: Any, prepared: Prepared, known_months: set[int], *, straight: bool) -> Written:
    async with connection.transaction():
        held = await _hold_tracks(connection, prepared.parts)
        months = {row["month"] for row in held.values()}
        if not months <= known_months:
            raise MissingPartition(months - known_months)
        own = [held[part.track_id]["user_id"] == part.user_id for part in prepared.parts]
        wanted = [
            is_own and not held[part.track_id]["is_deleted"] for part, is_own in zip(prepared.parts, own, strict=True)
        ]
        added = await _add_points(connection, prepared, held, np.array(wanted, dtype=np.bool_), straight=straight)
        parts = [part for part, is_wanted in zip(prepared.parts, wanted, strict=True) if is_wanted]
        await _note_on_tracks(connection, parts, added)
    letters = [] if all(own) else _letters_of_others(prepared.items, held)
    return Written(
        sum(count for count, _ in added.values()),
        prepared.letters + letters,
        [part.track_id for part in parts],
        0 if all(wanted) else _fixes_of_deleted(prepared.fixes, own, wanted),
    )


def _fixes_of_deleted(fixes: FixColumns, own: Sequence[bool], wanted: Sequence[bool]) -> int:
    """How many of the fixes are of tracks that the rider who sent them has deleted."""
    dropped = np.array(own, dtype=np.bool_) & ~np.array(wanted, dtype=np.bool_)
    return int(np.count_nonzero(dropped[fixes.part]))


def _letters_of_others(items: Iterable[Item], held: Mapping[UUID, Mapping[str, Any]]) -> list[DeadLetter]:
    """Dead letters for the records of riders who do not own the track."""
    return [
        dead(item, Reason.OWNED_BY_ANOTHER)
        for item in items
        if held[item.record.track_id]["user_id"] != item.record.user_id
    ]


async def _hold_tracks(connection: Any, parts: Sequence[TrackPart]) -> dict[UUID, Mapping[str, Any]]:
    """Lock the rows of these tracks, making those that are new; the rows by track id."""
    firsts = {part.track_id: part for part in reversed(parts)}
    held = {row["id"]: row for row in await connection.fetch(_LOCK_TRACKS, list(firsts))}
    new = [part for part in firsts.values() if part.track_id not in held]
    if new:
        await connection.execute(
            _INSERT_TRACKS,
            [part.track_id for part in new],
            [part.month for part in new],
            [part.user_id for part in new],
            [part.first_heard_ms for part in new],
            [part.last_heard_ms for part in new],
        )
        held |= {row["id"]: row for row in await connection.fetch(_LOCK_TRACKS, [part.track_id for part in new])}
    return held


async def _add_points(
    connection: Any, prepared: Prepared, held: Mapping[UUID, Mapping[str, Any]], wanted: Mask, *, straight: bool
) -> Added:
    """Add the fixes that are not there yet. The month of a track is that of its row, whatever the record says.

    `wanted` says for each part whether its fixes may be stored: the track is its rider's, and not deleted.
    """
    fixes = prepared.fixes if wanted.all() else prepared.fixes.take(wanted[prepared.fixes.part])
    if not len(fixes):
        return {}
    rows = [held[part.track_id] for part in prepared.parts]
    highest = np.array([_NOTHING_STORED if row["max_seq"] is None else row["max_seq"] for row in rows])
    is_new = fixes.seq > highest[fixes.part] if straight else np.zeros(len(fixes), dtype=np.bool_)
    ids, months = [row["id"] for row in rows], [row["month"] for row in rows]
    added = await _add_straight(connection, fixes.take(is_new), ids, months)
    staged = await _add_staged(connection, fixes.take(~is_new), ids, months)
    return added | {
        track_id: (count + added.get(track_id, (0, 0))[0], max(seq, added.get(track_id, (0, 0))[1]))
        for track_id, (count, seq) in staged.items()
    }


async def _add_straight(connection: Any, fixes: FixColumns, ids: Sequence[UUID], months: Sequence[int]) -> Added:
    if not len(fixes):
        return {}
    try:
        await _copy(connection, "track_points", fixes, ids, months)
    except asyncpg.UniqueViolationError as error:
        raise UnexpectedDuplicate from error
    ends = np.flatnonzero(np.diff(fixes.part, append=-1))
    counts = np.diff(ends, prepend=-1)
    return {
        ids[part]: (count, int(seq))
        for part, count, seq in zip(fixes.part[ends].tolist(), counts.tolist(), fixes.seq[ends].tolist(), strict=True)
    }


async def _add_staged(connection: Any, fixes: FixColumns, ids: Sequence[UUID], months: Sequence[int]) -> Added:
    if not len(fixes):
        return {}
    await _copy(connection, "staged_points", fixes, ids, months)
    with _missing_partition_of(months):
        rows = await connection.fetch(_INSERT_STAGED)
    return {row["track_id"]: (row["added"], row["max_seq"]) for row in rows}


async def _copy(connection: Any, table: str, fixes: FixColumns, ids: Sequence[UUID], months: Sequence[int]) -> None:
    with _missing_partition_of(months):
        await connection.copy_to_table(
            table, source=encode_points(fixes, ids, months), columns=POINT_COLUMNS, format="binary"
        )


@contextmanager
def _missing_partition_of(months: Sequence[int]) -> Iterator[None]:
    """Somebody may have taken a partition away since it was seen."""
    try:
        yield
    except asyncpg.CheckViolationError as error:
        if not is_missing_partition(error):
            raise
        raise MissingPartition(set(months)) from error


async def _note_on_tracks(connection: Any, parts: Sequence[TrackPart], added: Added) -> None:
    gaps = [(part.track_id, first, last, reason) for part in parts for (first, last), reason in part.gaps.items()]
    if gaps:
        await connection.execute(_INSERT_GAPS, *map(list, zip(*gaps, strict=True)))
    stopped = await connection.fetch(
        _UPDATE_TRACKS,
        [part.track_id for part in parts],
        [part.last_heard_ms for part in parts],
        [part.started_at_ms for part in parts],
        [part.motorcycle_id for part in parts],
        [part.ride_id for part in parts],
        [part.last_seq for part in parts],
        [added.get(part.track_id, (0, None))[0] for part in parts],
        [added.get(part.track_id, (0, None))[1] for part in parts],
    )
    if stopped:
        await connection.execute(_MARK_COMPLETE, [row["id"] for row in stopped])

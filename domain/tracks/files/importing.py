"""The use case of imports: a GPX file becomes tracks the way a phone's fixes do, through the track stream.

Promises that nothing is recorded of a file with a fault; that the same file of the same rider is the same tracks, so
that an import answered `unavailable` is simply sent again; and that an import of any size takes turns with the phones:
it never has more than `FIXES_AT_ONCE` before the recorder, and waits for each group commit. The answer means what an
ack to a phone means: it is, or will be, in PostGIS.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid5

from domain.kit.clock import Clock
from domain.kit.turns import Turns
from domain.tracks.entries import Fixes, Record, Started, Stopped
from domain.tracks.files.intake import Draft, GpxIntake
from domain.tracks.files.numbering import numbering_of
from domain.tracks.ownership import Ownership
from domain.tracks.recorder import Recorder
from geo.gpx import SLICE_BYTES

MOST_POINTS = 1_000_000
"""Track points in one file: eleven days at one a second."""
IMPORTS_AT_ONCE = 4
"""On one node."""
FIXES_AT_ONCE = 5_000
"""Fixes before the recorder at once: a few milliseconds of a group commit that phones wait for too."""
_ROWS_AT_ONCE = 500
"""Rows made between two turns of the event loop: about two milliseconds."""


@dataclass(frozen=True)
class ImportedTrack:
    """What became of one `trk`. `track_id` is None when there was nothing to record in it."""

    track_id: UUID | None
    name: str | None
    points: int
    fixes: int
    without_time: int
    rejected: dict[str, int]
    values_left_out: int


@dataclass(frozen=True)
class Imported:
    """What became of a file; waypoints and routes are counted and not recorded."""

    tracks: list[ImportedTrack]
    waypoints: int
    routes: int


class DeletedTracks(Protocol):
    """What Postgres knows of tracks that were deleted."""

    async def is_deleted(self, track_id: UUID) -> bool:
        """Whether this id is used up: fixes sent to it are dropped. Raises Unavailable."""
        ...


class TrackImporter:
    """Imports GPX files."""

    def __init__(self, ownership: Ownership, recorder: Recorder, deleted: DeletedTracks, clock: Clock) -> None:
        self._ownership = ownership
        self._recorder = recorder
        self._deleted = deleted
        self._clock = clock
        self._turns = Turns(at_once=IMPORTS_AT_ONCE, of_one_rider=1)

    async def import_gpx(self, user_id: UUID, body: AsyncIterator[bytes]) -> Imported:
        """Record the tracks of a GPX file that arrives in pieces.

        Raises Invalid and TooLarge (with the reason of `GpxFault`), RateLimited while another import of the rider is
        running, and Unavailable when it is not known to be kept: sending it again is safe.
        """
        with self._turns.take(user_id):
            intake = GpxIntake(self._clock.epoch_ms(), most_points=MOST_POINTS)
            with contextlib.closing(intake):
                await _read(intake, body)
                return await self._record(user_id, intake)

    async def _record(self, user_id: UUID, intake: GpxIntake) -> Imported:
        window = _Window(self._recorder)
        tracks = []
        for index, draft in enumerate(intake.drafts):
            track_id = None
            if draft.count:
                track_id = await self._unused_id(user_id, f"{intake.digest}:{index}")
                await self._send(window, user_id, track_id, draft, intake)
            tracks.append(_imported(track_id, draft))
        await window.settle()
        return Imported(tracks, intake.waypoints, intake.routes)

    async def _unused_id(self, user_id: UUID, content: str) -> UUID:
        """The id that follows from rider and content; a track that the rider deleted may be imported again."""
        copy = 0
        while await self._deleted.is_deleted(track_id := uuid5(user_id, f"gpx:{content}:{copy}")):
            copy += 1
        return track_id

    async def _send(self, window: "_Window", user_id: UUID, track_id: UUID, draft: Draft, intake: GpxIntake) -> None:
        """What a phone sends of a track: that it starts, its fixes, that it ends."""
        numbering = await asyncio.to_thread(numbering_of, draft.seqs, draft.count)
        now_ms = self._clock.epoch_ms()
        claim = await self._ownership.claim(track_id, user_id, now_ms)
        about = (track_id, user_id, claim.month, now_ms)
        await window.record(Started(*about, draft.began_ms or now_ms))
        for begin in range(0, draft.count, _ROWS_AT_ONCE):
            rows = intake.spool.rows(draft.begin + begin, min(_ROWS_AT_ONCE, draft.count - begin))
            if not numbering.from_file:
                rows = [(begin + place, *row[1:]) for place, row in enumerate(rows)]
            await window.record_rows(Fixes(*about, rows))
        await window.record(Stopped(*about, numbering.last_seq, numbering.lost))


class _Window:
    """What is before the recorder: room is waited for, so that an import holds little and phones have their turn."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._promises: list[asyncio.Future[None]] = []
        self._fixes = 0

    async def record(self, record: Record) -> None:
        """Take a record. Raises Unavailable."""
        await self._make_room(1)
        self._promises.append(self._recorder.record(record, None))

    async def record_rows(self, fixes: Fixes) -> None:
        """Take fixes. Raises Unavailable."""
        await self._make_room(len(fixes.rows))
        self._promises.append(self._recorder.record_rows(fixes, None))
        await asyncio.sleep(0)

    async def settle(self) -> None:
        """Wait until everything taken is kept. Raises Unavailable."""
        promises, self._promises, self._fixes = self._promises, [], 0
        for promise in promises:
            await promise

    async def _make_room(self, weight: int) -> None:
        if self._fixes + weight > FIXES_AT_ONCE:
            await self.settle()
        self._fixes += weight


async def _read(intake: GpxIntake, body: AsyncIterator[bytes]) -> None:
    async for data in body:
        for begin in range(0, len(data), SLICE_BYTES):
            intake.feed(data[begin : begin + SLICE_BYTES])
            await asyncio.sleep(0)
    intake.finish()


def _imported(track_id: UUID | None, draft: Draft) -> ImportedTrack:
    source = draft.source
    return ImportedTrack(
        track_id,
        source.name,
        source.points,
        draft.count,
        source.without_time,
        dict(draft.rejected),
        draft.values_left_out,
    )

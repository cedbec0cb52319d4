"""Computes tracks: final flags, line and figures, once a track is complete, silent for a day, or has late fixes.

Safe to kill at any point and to run in any number: a track is written in one transaction, computing it again comes to
the same, and fixes that arrive meanwhile have it computed again. Writers wait only while the result is written.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import structlog

from domain.kit.clock import Clock
from geo.filters import final_flags
from geo.statistics import TrackStatistics, summarise
from geo.track import FlagArray
from workers.database import Database
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.pauses import Backoff, pause
from workers.tracks.failures import DATABASE_ERRORS, refusal_of
from workers.tracks.sql import statement
from workers.tracks.track_points import StoredTrack, line_of, load_track

_log = structlog.get_logger(__name__)

_DUE = statement("due_tracks")
_SILENT = statement("silent_tracks")
_CLAIM = statement("claim_track")
_CLAIMED = statement("claimed_track")
_HOLD = statement("hold_track")
_UPDATE_FLAGS = statement("update_flags")
_FINISH = statement("finish_track")
_TRACKS_AT_ONCE = 50
_FLAGS_AT_ONCE = 20_000
_SET_ASIDE_SECONDS = 600.0


@dataclass(frozen=True)
class _Computed:
    flags: FlagArray
    statistics: TrackStatistics
    line: bytes | None


def _compute(stored: StoredTrack) -> _Computed:
    flags = final_flags(stored.arrays)
    return _Computed(flags, summarise(stored.arrays, flags), line_of(stored.arrays, flags == 0))


class Finisher:
    """Looks for tracks to compute, and computes them one after the other."""

    def __init__(self, database: Database, clock: Clock, options: WorkerOptions, metrics: WorkerMetrics) -> None:
        self._database = database
        self._clock = clock
        self._options = options
        self._metrics = metrics
        self._next_silence_check = clock.monotonic()
        self._set_aside: dict[UUID, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look and compute until told to stop; the track in hand is computed first."""
        backoff = Backoff()
        while not stop.is_set():
            seconds = self._options.finish_poll_seconds
            try:
                if await self.finish_due(stop):
                    continue
                backoff.reset()
            except DATABASE_ERRORS as error:
                _log.warning("finishing_interrupted", error=type(error).__name__)
                seconds = backoff.next_seconds()
            await pause(self._clock, stop, seconds)

    async def finish_due(self, stop: asyncio.Event | None = None) -> int:
        """Compute the tracks that are due now, some at a time; how many. Raises what asyncpg raises."""
        finished = 0
        for track_id in await self._due():
            if stop is not None and stop.is_set():
                break
            finished += await self._finish_or_set_aside(track_id)
        return finished

    async def _due(self) -> list[UUID]:
        now, options = self._clock.now(), self._options
        quiet = now - timedelta(seconds=options.settle_seconds)
        stale = now - timedelta(seconds=options.recompute_seconds)
        async with self._database.connection() as connection:
            # Those set aside are among the rows: there must be room for others beside them.
            limit = _TRACKS_AT_ONCE + len(self._set_aside)
            rows = await connection.fetch(_DUE, quiet, stale, limit)
            if self._clock.monotonic() >= self._next_silence_check:
                silent_since = now - timedelta(seconds=options.finish_after_seconds)
                silent = await connection.fetch(_SILENT, silent_since, limit)
                if len(silent) < limit:
                    self._next_silence_check = self._clock.monotonic() + options.silence_check_seconds
                rows += silent
        due = dict.fromkeys(row["id"] for row in rows)
        return [track_id for track_id in due if not self._is_set_aside(track_id)]

    def _is_set_aside(self, track_id: UUID) -> bool:
        until = self._set_aside.get(track_id)
        if until is not None and until <= self._clock.monotonic():
            del self._set_aside[track_id]
            return False
        return until is not None

    async def _finish_or_set_aside(self, track_id: UUID) -> bool:
        """One track that cannot be computed must not stand in the way of the others, nor of the writer."""
        began = self._clock.monotonic()
        try:
            finished = await self._finish(track_id)
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS) and refusal_of(error) is None:
                raise
            _log.exception("track_not_computed", track=str(track_id))
            self._set_aside[track_id] = self._clock.monotonic() + _SET_ASIDE_SECONDS
            return False
        if finished:
            self._metrics.tracks_finished.inc()
            self._metrics.finish_seconds.observe(self._clock.monotonic() - began)
        return finished

    async def _finish(self, track_id: UUID) -> bool:
        async with self._database.connection() as connection, connection.transaction():
            if not await connection.fetchval(_CLAIM, track_id):
                return False  # another worker is at it
            claimed = await connection.fetchrow(_CLAIMED, track_id)
            if claimed is None or not claimed["is_due"]:
                return False  # it is gone, or another worker has done it
            stored = await load_track(connection, claimed["month"], track_id)
            computed = await asyncio.to_thread(_compute, stored)
            await connection.fetch(_HOLD, track_id)
            await _write_flags(connection, claimed["month"], track_id, stored, computed.flags)
            await self._write_figures(connection, track_id, claimed["stored"], computed)
        return True

    async def _write_figures(self, connection: Any, track_id: UUID, points: int, computed: _Computed) -> None:
        figures = computed.statistics
        await connection.execute(
            _FINISH,
            track_id,
            points,
            self._clock.now(),
            computed.line,
            figures.distance_metres,
            figures.duration_seconds,
            figures.moving_seconds,
            figures.stopped_seconds,
            figures.ascent_metres,
            figures.descent_metres,
            figures.max_speed,
            figures.average_speed,
            msgspec.json.encode(figures.stops).decode(),
            figures.fixes,
            figures.implausible,
            figures.standing,
            figures.repeated,
        )


async def _write_flags(connection: Any, month: int, track_id: UUID, stored: StoredTrack, flags: FlagArray) -> None:
    """Write the flags that changed. Provisional ones are replaced as a whole."""
    changed = np.flatnonzero(stored.flags != flags)
    for begin in range(0, len(changed), _FLAGS_AT_ONCE):
        piece = changed[begin : begin + _FLAGS_AT_ONCE]
        await connection.execute(
            _UPDATE_FLAGS, month, track_id, stored.arrays.seq[piece].tolist(), flags[piece].tolist()
        )

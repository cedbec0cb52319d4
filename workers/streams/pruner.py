"""Ends the history of streams at an age: whoever was away for longer gets a snapshot instead of the events.

Each stream says up to where its history was pruned, in the transaction that does it. A stream is locked for one batch
at most, and streams are locked in the order of their names, as by whoever appends to several.
"""

import asyncio
from datetime import timedelta

import structlog

from domain.kit.clock import Clock
from domain.streams.pruning import PRUNE
from workers.database import Database
from workers.pauses import Backoff, pause
from workers.tracks.failures import DATABASE_ERRORS

_BATCH = 2000
"""Events in one transaction."""
_BETWEEN_SECONDS = 0.1
"""Between two batches, so that streams with much to prune are not locked all the time."""

_log = structlog.get_logger(__name__)


class StreamPruner:
    """Deletes events that are older than `days`."""

    def __init__(self, database: Database, clock: Clock, *, days: float, check_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._age = timedelta(days=days)
        self._check_seconds = check_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Prune now and again now and then; with Postgres away, soon."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                pruned = await self.prune()
                backoff.reset()
                seconds = _BETWEEN_SECONDS if pruned >= _BATCH else self._check_seconds
            except DATABASE_ERRORS as error:
                _log.warning("streams_not_pruned", error=type(error).__name__)
                seconds = backoff.next_seconds()
            await pause(self._clock, stop, seconds)

    async def prune(self) -> int:
        """Delete a batch of events that are old enough; how many. Raises what asyncpg raises."""
        async with self._database.connection() as connection, connection.transaction():
            pruned = int(await connection.fetchval(PRUNE, self._clock.now() - self._age, _BATCH))
        if pruned:
            _log.info("streams_pruned", events=pruned)
        if pruned < _BATCH:
            await self._database.aclose()  # an hour is too long to hold a connection for nothing
        return pruned

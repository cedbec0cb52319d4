"""Makes the partitions of the coming months, so that no batch has to wait for one at midnight of a month's first."""

import asyncio

import structlog

from domain.kit.clock import Clock
from domain.tracks.partitions import ensure_partition, months_from
from workers.database import Database
from workers.pauses import Backoff, pause
from workers.tracks.failures import DATABASE_ERRORS

_log = structlog.get_logger(__name__)


class PartitionKeeper:
    """Looks after the partitions of `track_points`."""

    def __init__(self, database: Database, clock: Clock, *, months: int, check_seconds: float) -> None:
        """Keeps `months` partitions, from this month on."""
        self._database = database
        self._clock = clock
        self._months = months
        self._check_seconds = check_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Make them now and look again now and then; with Postgres away, soon."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                await self.ensure()
                backoff.reset()
                seconds = self._check_seconds
            except DATABASE_ERRORS as error:
                _log.warning("partitions_not_checked", error=type(error).__name__)
                seconds = backoff.next_seconds()
            await pause(self._clock, stop, seconds)

    async def ensure(self) -> None:
        """Make what is missing. Raises what asyncpg raises."""
        for month in months_from(self._clock.now(), self._months):
            async with self._database.connection() as connection:
                if await ensure_partition(connection, month):
                    _log.info("partition_made", month=month)
        await self._database.aclose()  # an hour is too long to hold a connection for nothing

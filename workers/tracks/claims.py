"""Claims on track ids need not stay in Redis for ever: once Postgres has the track, it knows the rider.

A claim lives on for some days after the last fixes were stored, so that nodes seldom ask Postgres. Forgetting to set
an expiry costs memory only, so a fault of Redis is passed over, and no track is asked for more than once an hour.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog
from redis.asyncio import Redis

from domain.kit.clock import Clock
from domain.kit.redis_clients import send_together
from domain.tracks.entries import CLAIM_PREFIX
from workers.tracks.source import REDIS_ERRORS

_log = structlog.get_logger(__name__)

_REPEAT_SECONDS = 3600.0


class ClaimExpiry:
    """Gives claims their end."""

    def __init__(self, redis: Redis, clock: Clock, *, life_seconds: float) -> None:
        self._redis = redis
        self._clock = clock
        self._life_seconds = int(life_seconds)
        self._extended: set[UUID] = set()
        self._forget_at = clock.monotonic() + _REPEAT_SECONDS

    async def extend(self, track_ids: Iterable[UUID]) -> None:
        """These tracks are in Postgres: their claims end `life_seconds` from now, or from a later call."""
        if self._clock.monotonic() >= self._forget_at:
            self._extended.clear()
            self._forget_at = self._clock.monotonic() + _REPEAT_SECONDS
        due = set(track_ids) - self._extended
        if not due:
            return
        try:
            await send_together(
                self._redis, [("EXPIRE", f"{CLAIM_PREFIX}{track_id}", self._life_seconds) for track_id in due]
            )
        except REDIS_ERRORS as error:
            _log.warning("claims_not_extended", error=type(error).__name__)
            return
        self._extended |= due

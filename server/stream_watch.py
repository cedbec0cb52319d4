"""How full the track stream is and how far Postgres is behind it: looked at every few seconds, for metrics.

Metrics are collected without waiting for Redis: they show the last look, or nothing when it failed.
"""

from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.tracks.lag import StreamLag, stream_lag
from realtime.bus.track_log import RedisTrackLog

LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class StreamLevels:
    """The stream at one moment."""

    bytes: int
    full: bool
    """So full that appends are refused."""
    lag: StreamLag


class StreamWatch:
    """Looks at the track stream from a node; workers report the same lag, unless there are none."""

    def __init__(self, redis: Redis, log: RedisTrackLog, clock: Clock) -> None:
        self._redis = redis
        self._log = log
        self._clock = clock
        self.levels: StreamLevels | None = None
        """What the last look found, None when it failed."""

    async def look(self) -> StreamLevels:
        """Look now. Raises Unavailable, and what redis-py raises when Redis does not answer."""
        lag = await stream_lag(self._redis)
        size, full = await self._log.fullness()
        self.levels = StreamLevels(size, full, lag)
        return self.levels

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except (Unavailable, RedisError, OSError):
                self.levels = None  # `/ready` says that Redis is away
            await self._clock.sleep(LOOK_SECONDS)

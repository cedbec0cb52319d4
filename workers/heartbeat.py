"""The worker's sign of life: `worker:<id>` in Redis, a JSON object that ends by itself when the worker does."""

import asyncio
import time

import msgspec
import structlog
from redis.asyncio import Redis

from domain.kit.clock import Clock
from domain.tracks.lag import stream_lag
from workers.metrics import WorkerMetrics
from workers.pauses import pause
from workers.tracks.source import REDIS_ERRORS

_log = structlog.get_logger(__name__)

WORKER_PREFIX = "worker:"
"""Begins the Redis key of a worker's heartbeat; its id follows."""


class Heartbeat:
    """Writes the heartbeat and keeps the lag metrics up to date."""

    def __init__(self, redis: Redis, clock: Clock, metrics: WorkerMetrics, *, worker_id: str, seconds: float) -> None:
        self._redis = redis
        self._clock = clock
        self._metrics = metrics
        self._key = f"{WORKER_PREFIX}{worker_id}"
        self._seconds = seconds
        self._started_ms = clock.epoch_ms()

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until told to stop; then take the key away."""
        while not stop.is_set():
            try:
                await self.beat()
            except REDIS_ERRORS as error:
                _log.warning("heartbeat_failed", error=type(error).__name__)
            await pause(self._clock, stop, self._seconds)
        try:
            await self._redis.delete(self._key)
        except REDIS_ERRORS:
            _log.debug("heartbeat_left")  # it ends by itself

    async def beat(self) -> None:
        """Write it once. Raises what redis-py raises."""
        lag = await stream_lag(self._redis)
        self._metrics.lag_entries.set(lag.entries)
        self._metrics.lag_seconds.set(lag.oldest_seconds)
        state = {
            "started_ms": self._started_ms,
            "at_ms": self._clock.epoch_ms(),
            "lag_entries": lag.entries,
            "lag_in_hand": lag.in_hand,
            "lag_seconds": lag.oldest_seconds,
            "cpu_seconds": round(time.process_time(), 2),
        }
        await self._redis.set(self._key, msgspec.json.encode(state), px=int(self._seconds * 5000))

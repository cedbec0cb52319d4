"""What `/ready` looks at: the stores a node needs, whether they keep what they are given, how far behind they are."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import text

from domain.db.engine import unavailable_when_down
from domain.kit.errors import Problem
from domain.tracks.lag import stream_lag
from realtime.bus.connections import create_client
from realtime.bus.track_log import RedisTrackLog
from server.health import Check, Finding, Status
from server.wiring import ServerNode

LAG_SECONDS = 30.0
"""A fix that has waited this long for the database means that workers are missing or too slow."""
_DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_REDIS_FAILURES = (RedisError, OSError)


def checks_of(node: ServerNode) -> list[Check]:
    """The checks of a node."""
    redis = create_client(node.stores.bus_options, name="checks")
    return [
        Check("database", lambda: _database(node)),
        Check("redis", lambda: _redis(redis), _REDIS_FAILURES),
        Check("stream", lambda: _stream(redis, node.stores.track_log), (*_REDIS_FAILURES, Problem)),
        Check("bus", lambda: _bus(node)),
    ]


async def _database(node: ServerNode) -> Finding:
    async with unavailable_when_down(), node.stores.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return Finding()


async def _redis(redis: Redis) -> Finding:
    await redis.ping()
    try:
        found: dict[Any, Any] = {}
        for name in _DURABLE:
            found |= await redis.config_get(name)
    except ResponseError:
        return Finding(Status.DEGRADED, "CONFIG GET is not allowed here, so its durability cannot be checked")
    actual = {_text(name): _text(value) for name, value in found.items()}
    wrong = [f"{name} {wanted}" for name, wanted in _DURABLE.items() if actual.get(name) != wanted]
    if wrong:
        return Finding(Status.DEGRADED, f"what is acknowledged can be lost: set {', '.join(wrong)} in redis.conf")
    return Finding()


async def _stream(redis: Redis, log: RedisTrackLog) -> Finding:
    lag = await stream_lag(redis)
    size, full = await log.fullness()
    if full:
        return Finding(Status.UNHEALTHY, f"{size} bytes are waiting, positions are refused: start workers")
    if lag.oldest_seconds > LAG_SECONDS:
        waiting = f"{lag.entries} entries wait, the oldest for {lag.oldest_seconds:.0f} s"
        return Finding(Status.DEGRADED, f"{waiting}: look at the workers and at Postgres")
    return Finding()


async def _bus(node: ServerNode) -> Finding:
    heard = node.stores.bus.heard_seconds_ago()
    if not node.stores.bus.connected:
        return Finding(
            Status.DEGRADED,
            f"has not heard itself through Redis for {heard:.1f} s; riders of other nodes are missing until it does",
        )
    return Finding()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value

"""What `/ready` looks at: the stores a node needs, whether they keep what they are given, how far behind they are."""

import math

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import text

from domain.db.engine import unavailable_when_down
from domain.db.migrate import known_revisions, revision_of
from domain.kit.errors import Problem
from domain.kit.redis_clients import ask_masters
from realtime.bus.track_log import REPLICA_MARK
from server.health import Check, Finding, Status
from server.wiring import ServerNode

LAG_SECONDS = 30.0
"""A fix that has waited this long for the database means that workers are missing or too slow."""
_DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_REDIS_FAILURES = (RedisError, OSError)


def checks_of(node: ServerNode) -> list[Check]:
    """The checks of a node."""
    revisions = known_revisions()
    return [
        Check("database", lambda: _database(node)),
        Check("schema", lambda: _schema(node, revisions)),
        Check("redis", lambda: _redis(node.stores.redis), _REDIS_FAILURES),
        Check("stream", lambda: _stream(node), (*_REDIS_FAILURES, Problem)),
        Check("bus", lambda: _bus(node)),
        Check("rooms", lambda: _rooms(node)),
        Check("hints", lambda: _hints(node)),
    ]


async def _database(node: ServerNode) -> Finding:
    async with unavailable_when_down(), node.stores.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return Finding()


async def _schema(node: ServerNode, revisions: list[str]) -> Finding:
    async with unavailable_when_down():
        found = await revision_of(node.stores.engine)
    if found == revisions[0]:
        return Finding()
    if found is None or found in revisions:
        lacks = "has no schema" if found is None else f"has the schema {found} and not yet {revisions[0]}"
        return Finding(Status.UNHEALTHY, f"the database {lacks}: run python -m server migrate")
    return Finding(Status.DEGRADED, f"the database has the schema {found} of a newer version: update this node")


async def _redis(redis: Redis) -> Finding:
    """Asks each master: a cluster of which some answer serves those whose keys are there."""
    answers = await ask_masters(redis, "PING")
    if not answers:
        await redis.ping()  # raises why not even their names are known
    silent = sorted(name for name, answer in answers.items() if isinstance(answer, Exception))
    if len(silent) == len(answers):
        return Finding(Status.UNHEALTHY, "no master answers")
    if silent:
        return Finding(Status.DEGRADED, f"no answer from {', '.join(silent)}: what is there waits for its replica")
    if not await _is_whole(redis, len(answers)):
        return Finding(Status.DEGRADED, "a part of the cluster's slots has no master: see redis-cli --cluster check")
    return await _durability(redis)


async def _is_whole(redis: Redis, masters: int) -> bool:
    if masters == 1:
        return True
    states = await ask_masters(redis, "CLUSTER", "INFO")
    return all("cluster_state:ok" in _text(state) for state in states.values() if isinstance(state, str | bytes))


async def _durability(redis: Redis) -> Finding:
    try:
        answers = await ask_masters(redis, "CONFIG", "GET", *_DURABLE)
    except ResponseError as error:
        answers = {"redis": error}
    wrong: set[str] = set()
    for answer in answers.values():
        if isinstance(answer, ResponseError):
            return Finding(Status.DEGRADED, "CONFIG GET is not allowed here, so its durability cannot be checked")
        if isinstance(answer, dict):
            actual = {_text(name): _text(value) for name, value in answer.items()}
            wrong |= {f"{name} {wanted}" for name, wanted in _DURABLE.items() if actual.get(name) != wanted}
    if wrong:
        return Finding(
            Status.DEGRADED, f"what is acknowledged can be lost: set {', '.join(sorted(wrong))} in redis.conf"
        )
    return Finding()


async def _stream(node: ServerNode) -> Finding:
    levels = await node.stream_watch.look()
    if levels.full:
        return Finding(Status.UNHEALTHY, f"{levels.bytes} bytes are waiting, positions are refused: start workers")
    if node.stores.track_log.misses_a_replica:
        return Finding(
            Status.UNHEALTHY,
            f"no replica confirms what is appended, positions are refused: bring it back, or DEL {REPLICA_MARK} in "
            "Redis when it was taken away for good",
        )
    if levels.lag.oldest_seconds > LAG_SECONDS:
        waiting = f"{levels.lag.entries} entries wait, the oldest for {levels.lag.oldest_seconds:.0f} s"
        return Finding(Status.DEGRADED, f"{waiting}: look at the workers and at Postgres")
    return Finding()


async def _bus(node: ServerNode) -> Finding:
    bus = node.stores.bus
    return _hearing(bus.connected, bus.heard_seconds_ago(), "riders of other nodes are missing")


async def _rooms(node: ServerNode) -> Finding:
    rooms = node.stores.rooms
    return _hearing(rooms.connected, rooms.heard_seconds_ago(), "what other nodes emit to rooms is not heard")


async def _hints(node: ServerNode) -> Finding:
    hints = node.stores.hints
    return _hearing(hints.connected, hints.heard_seconds_ago(), "events of streams from other nodes come a second late")


def _hearing(connected: bool, heard_seconds_ago: float, consequence: str) -> Finding:
    if connected:
        return Finding()
    since = f"for {heard_seconds_ago:.1f} s" if math.isfinite(heard_seconds_ago) else "yet"
    return Finding(Status.DEGRADED, f"has not heard itself through Redis {since}; {consequence} until it does")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value

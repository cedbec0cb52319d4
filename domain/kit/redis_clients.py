"""Clients with redis-py's methods, for every form of an address; for those who do not send batches by the thousand.

Each command ends within the timeout, with its answer or with one of `REDIS_FAILURES`; redis-py's own retries are off.
"""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool

from domain.kit.redis_connections import Maker
from domain.kit.redis_senders import ClusterSender
from domain.kit.redis_sentinels import Followers
from domain.kit.redis_slots import Command
from domain.kit.redis_urls import Topology, parse_redis_url

_MAY_WAIT = frozenset({"XREAD", "XREADGROUP"})
"""Commands that hold up those after them on their connection."""


def create_redis(
    url: str,
    *,
    name: str,
    timeout_seconds: float,
    connect_timeout_seconds: float | None = None,
    protocol: int = 2,
    followers: Followers | None = None,
) -> Redis:
    """A client that answers in bytes. Raises BadRedisUrl."""
    parsed = parse_redis_url(url)
    maker = Maker(
        parsed,
        name=name,
        connect_timeout_seconds=connect_timeout_seconds or timeout_seconds,
        answer_timeout_seconds=None if parsed.topology is Topology.CLUSTER else timeout_seconds,
        protocol=protocol,
        followers=followers,
    )
    if parsed.topology is Topology.CLUSTER:
        return _ClusterRedis(maker, timeout_seconds, protocol)
    return Redis.from_pool(ConnectionPool(connection_class=maker.kind, **maker.options))


class _ClusterRedis(Redis):
    """Sends each command to the master of its key; one without a key to the master of slot 0."""

    def __init__(self, maker: Maker, timeout_seconds: float, protocol: int) -> None:
        super().__init__(protocol=protocol)
        self.sender = ClusterSender(maker, {}, timeout_seconds)
        self._waiting = ClusterSender(maker, {}, timeout_seconds)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        name: str = args[0]
        sender = self._waiting if name in _MAY_WAIT else self.sender
        (answer,) = await sender.send([(*name.split(), *args[1:])])
        return await self.parse_response(cast(Connection, _Answered(answer)), name, **options)

    async def script_load(self, script: Any) -> Any:
        answers = await self.sender.everywhere(("SCRIPT", "LOAD", script))
        return next(iter(answers.values()))

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self.sender.aclose()
        await self._waiting.aclose()
        await super().aclose(close_connection_pool)


class _Answered:
    """As redis-py's connection where its callbacks are to read an answer that is there already."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def read_response(self, **_options: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def send_together(client: Redis, commands: Sequence[Command]) -> list[Any]:
    """The answers, as Redis gave them, to commands of any keys. Raises what redis-py raises."""
    if isinstance(client, _ClusterRedis):
        answers = await client.sender.send(commands)
    else:
        async with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def ask_masters(client: Redis, *command: str) -> dict[str, Any]:
    """What each master answers, by its name, or the error instead. Empty when no master is known."""
    if isinstance(client, _ClusterRedis):
        return await client.sender.everywhere(command)
    return {"redis": await client.execute_command(*command)}  # type: ignore[no-untyped-call]

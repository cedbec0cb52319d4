"""How this server speaks to Redis: short timeouts, no hidden retries, one error for all that means "not known".

The same calls work on one Redis, with sentinels and on a cluster, as its address says (`domain.kit.redis_urls`).
Scripts live in `.lua` files and are loaded where Redis does not know them; the keys of one share a slot.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from redis.asyncio import Redis

from domain.kit.errors import Unavailable
from domain.kit.redis_clients import create_redis
from domain.kit.redis_connections import REDIS_FAILURES, Maker, heeding_cancellation
from domain.kit.redis_senders import open_sender
from domain.kit.redis_sentinels import Followers
from domain.kit.redis_slots import Command, slot_of
from domain.kit.redis_urls import Topology, parse_redis_url

__all__ = (
    "REDIS_FAILURES",
    "BusOptions",
    "Command",
    "RedisLink",
    "Script",
    "create_client",
    "create_maker",
    "heeding_cancellation",
    "unavailable",
)

RETRY_AFTER_MS = 1000
_IN_ONE_COMMAND = 64
"""Things in one call of a script: so many keep Redis from others for a fraction of a millisecond."""


@dataclass(frozen=True)
class BusOptions:
    """Where Redis is and how long to wait for it."""

    redis_url: str
    timeout_seconds: float = 1.0
    """For connecting and for each answer: a paused Redis is noticed within twice this."""
    heartbeat_seconds: float = 0.5
    """How often a node speaks to itself through Redis."""
    deaf_seconds: float = 2.0
    """A node that has not heard itself for so long reconnects and reads everything again."""
    reconnect_seconds: float = 0.1
    """The first pause between attempts to reconnect: see `realtime.bus.attempts`."""
    keep_seconds: int = 300
    """How long a channel's rows are kept after the last was written."""
    followers: Followers = field(default_factory=Followers, repr=False, compare=False)
    """Of the master that sentinels name: a `MasterWatch` keeps all connections made with these options together."""


class Script:
    """A Lua file beside this module; its keys and arguments are listed on its top."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: str | bytes | int | float) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


def create_client(options: BusOptions, *, name: str, timeout_seconds: float | None = None, protocol: int = 3) -> Redis:
    """A client with redis-py's methods that answers in bytes, never retries and gives up after the timeout."""
    return create_redis(
        options.redis_url,
        name=name,
        timeout_seconds=timeout_seconds or options.timeout_seconds,
        connect_timeout_seconds=options.timeout_seconds,
        protocol=protocol,
        followers=options.followers,
    )


def create_maker(options: BusOptions, *, name: str, protocol: int = 3) -> Maker:
    """Makes connections whose answers are waited for as long as the caller likes."""
    url = parse_redis_url(options.redis_url)
    return Maker(
        url,
        name=name,
        connect_timeout_seconds=options.timeout_seconds,
        protocol=protocol,
        followers=options.followers,
    )


class RedisLink:
    """Commands to Redis: each call ends within `deadline_seconds`, with the answers or with Unavailable.

    Commands are sent in the order of the calls, and no call waits for another one's answers; one that blocks in Redis
    (XREAD, WAIT) holds up those after it. Each goes to the server that has its key.
    """

    def __init__(
        self,
        options: BusOptions,
        *,
        name: str,
        scripts: Sequence[Script] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        maker = create_maker(options, name=name)
        deadline = deadline_seconds or 2 * options.timeout_seconds
        self._sender = open_sender(maker, {script.sha: script.text for script in scripts}, deadline)
        self._has_slots = maker.url.topology is Topology.CLUSTER
        self.post = self._sender.poster()
        """Send packed commands for whose answers nobody waits: see `Sender.poster`.

        False when `batch` has to see to them: there is no connection, or a key may have moved, as in a cluster.
        """

    async def call(self, *command: str | bytes | int | float) -> Any:
        """The answer to one command. Raises Unavailable."""
        (answer,) = await self.batch([command])
        return answer

    def together(self, things: Iterable[str], *, name: Callable[[str], str]) -> list[list[str]]:
        """These things in groups of which each may be in one command; `name` gives a key or channel of each.

        A script that is called for each rider costs more in the calling than in the script. Of a cluster, one command
        reaches one slot.
        """
        if not self._has_slots:
            return _in_parts(list(things))
        by_slot: dict[int, list[str]] = defaultdict(list)
        for thing in things:
            by_slot[slot_of(name(thing))].append(thing)
        return [part for group in by_slot.values() for part in _in_parts(group)]

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands sent together; not a transaction.

        Raises Unavailable when any of them failed or its outcome is not known; the others may have happened.
        """
        if not commands:
            return []
        try:
            begun = self._sender.begin(commands)
            answers = await self._sender.send(commands) if begun is None else await begun
        except REDIS_FAILURES as error:
            raise unavailable(error) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise unavailable(answer) from answer
        return answers

    async def everywhere(self, *command: str | bytes | int | float) -> dict[str, Any]:
        """What each master answers, by its name, or the error instead. Empty when no master is known."""
        return await self._sender.everywhere(command)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.aclose()


def _in_parts(things: list[str]) -> list[list[str]]:
    return [things[begin : begin + _IN_ONE_COMMAND] for begin in range(0, len(things), _IN_ONE_COMMAND)]


def unavailable(error: Exception) -> Unavailable:
    """The answer to give when Redis failed with `error`."""
    return Unavailable(f"Redis did not confirm it ({type(error).__name__})", retry_after_ms=RETRY_AFTER_MS)

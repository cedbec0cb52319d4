"""Which nodes are up and how they are: each says so every two seconds, and is forgotten when it does no more.

Promises: a node that ends in order leaves the list at once, one that dies within `LIFE_SECONDS`, by Redis' clock; until
then, as a paused one, it is shown as silent. Nothing depends on the list: it is for people.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions, RedisLink, Script

LIFE_SECONDS = 10
"""A node that has not said for so long that it is up counts as gone."""
SILENT_SECONDS = 5.0
"""One that has not for so long is shown as silent: it stands still, is dead, or cannot reach Redis."""
_RENEW_SECONDS = 2.0
_SEEN, _SAID = "nodes:{nodes}", "said:{nodes}"
_LIFE_MS = LIFE_SECONDS * 1000


class Node(msgspec.Struct, frozen=True):
    """One node as it describes itself."""

    id: str
    address: str
    started_ms: int
    """Milliseconds since the epoch."""
    name: str = ""
    version: str = ""


class Figures(msgspec.Struct, frozen=True):
    """How a node is."""

    sockets: int = 0
    """Signed in."""
    riders: int = 0
    """Whose dots it moves."""
    subscriptions: int = 0
    """Channels that it hears."""
    heard_ms: int | None = None
    """Since it last heard itself through Redis; None before the first time."""
    gaps_filled: int = 0
    """Durable events that no hint brought in time, and that it read from Postgres."""
    draining: bool = False
    """Whether it sends its clients away."""


class _Said(msgspec.Struct, frozen=True):
    node: Node
    figures: Figures
    round_trip_ms: float | None


class Listed(msgspec.Struct, frozen=True):
    """One node as the others know it."""

    node: Node
    figures: Figures
    round_trip_ms: float | None
    """From this node to Redis and back, the last time that it was measured."""
    silent_ms: int
    """Since it last said all this."""

    @property
    def silent(self) -> bool:
        """Whether it should have spoken since."""
        return self.silent_ms >= SILENT_SECONDS * 1000


_decode = msgspec.json.Decoder(_Said).decode


class NodeList:
    """Reads which nodes are up."""

    def __init__(self, options: BusOptions) -> None:
        self._script = Script("nodes_read")
        self._link = RedisLink(options, name="node-list", scripts=[self._script])

    async def nodes(self) -> list[Listed]:
        """The nodes that are up, by name and id. Raises Unavailable."""
        found = await self._link.call(*self._script.call([_SEEN, _SAID], _LIFE_MS))
        listed = [_listed(_decode(said), int(silent_ms)) for said, silent_ms in found]
        return sorted(listed, key=lambda one: (one.node.name, one.node.id))

    async def masters(self) -> dict[str, Exception | None]:
        """Which masters of Redis answer (None) and which do not, by their names; one of a cluster has the list.

        Empty when no master is known.
        """
        answers = await self._link.everywhere("PING")
        return {name: answer if isinstance(answer, Exception) else None for name, answer in answers.items()}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()


def _listed(said: _Said, silent_ms: int) -> Listed:
    return Listed(said.node, said.figures, said.round_trip_ms, silent_ms)


class NodeRegister:
    """Keeps this node's entry alive."""

    def __init__(self, node: Node, clock: Clock, options: BusOptions) -> None:
        self._node = node
        self._clock = clock
        self._script = Script("nodes_put")
        self._link = RedisLink(options, name="nodes", scripts=[self._script])
        self._figures: Callable[[], Figures] = Figures
        self._news = asyncio.Event()
        self._round_trip_ms: float | None = None
        self.nodes: int | None = None
        """How many nodes are up, this one included; None while Redis does not say."""

    def attach(self, figures: Callable[[], Figures]) -> None:
        """Say these figures from now on."""
        self._figures = figures

    def renew(self) -> None:
        """Say at once how things are, and not when it is time again."""
        self._news.set()

    async def run(self) -> None:
        """Say every two seconds that this node is up until cancelled, then take it off the list."""
        try:
            while True:
                await self._say()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RENEW_SECONDS):
                        await self._news.wait()
        finally:
            with contextlib.suppress(Unavailable):  # the entry ends by itself
                await self._link.batch([("ZREM", _SEEN, self._node.id), ("HDEL", _SAID, self._node.id)])
            await self._link.aclose()

    async def _say(self) -> None:
        self._news.clear()
        said = msgspec.json.encode(_Said(self._node, self._figures(), self._round_trip_ms))
        asked_at = self._clock.monotonic()
        try:
            self.nodes = int(await self._link.call(*self._script.call([_SEEN, _SAID], self._node.id, said, _LIFE_MS)))
        except Unavailable:  # /ready has a check of its own for Redis
            self.nodes = None
        else:
            self._round_trip_ms = round((self._clock.monotonic() - asked_at) * 1000, 1)

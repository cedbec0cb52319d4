"""Which nodes are up: each writes a key that ends by itself when the node does not renew it."""

import contextlib

import msgspec

from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions, RedisLink

_KEY = "node:"
_RENEW_SECONDS = 2.0
LIFE_SECONDS = 10
"""A node that has not renewed its key for so long counts as gone."""


class Node(msgspec.Struct, frozen=True):
    """One node as it describes itself: id, where it is, and when it started (milliseconds since the epoch)."""

    id: str
    address: str
    started_ms: int


_decode = msgspec.json.Decoder(Node).decode


class NodeRegister:
    """Keeps this node's entry alive and lists all of them."""

    def __init__(self, node: Node, clock: Clock, options: BusOptions) -> None:
        self._node = node
        self._clock = clock
        self._link = RedisLink(options, name="nodes")

    async def nodes(self) -> list[Node]:
        """The nodes that are up, by id. Raises Unavailable."""
        keys: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, found = await self._link.call("SCAN", cursor, "MATCH", f"{_KEY}*", "COUNT", 1000)
            keys.update(found)
            if not int(cursor):
                break
        values = await self._link.batch([("GET", key) for key in keys])
        return sorted((_decode(value) for value in values if value), key=lambda node: node.id)

    async def run(self) -> None:
        """Renew this node's key until cancelled, then take it away."""
        key = f"{_KEY}{self._node.id}"
        value = msgspec.json.encode(self._node)
        try:
            while True:
                with contextlib.suppress(Unavailable):  # /ready has a check of its own for Redis
                    await self._link.call("SET", key, value, "EX", LIFE_SECONDS)
                await self._clock.sleep(_RENEW_SECONDS)
        finally:
            with contextlib.suppress(Unavailable):  # the key ends by itself
                await self._link.call("DEL", key)
            await self._link.aclose()

"""Counts of riders between nodes: each node keeps its own in one key with a lifetime, and reads those of the others.

Keeping costs one round trip, which also says which nodes have counts, and what became of riders of whom this node is
not sure. The keys share a hash tag: reading is one MGET, on a cluster as well. A node that is gone drops out with its
key.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions, Command, RedisLink, Script
from realtime.bus.redis_bus import kept_in

_INDEX = "density:{counts}"
_COUNT = struct.Struct(">QI")
"""A region (H3 cell of resolution 4) and the riders in it."""

_log = structlog.get_logger(__name__)


class RegionCounts:
    """This node's counts and those of the others."""

    def __init__(self, options: BusOptions, node_id: str, *, life_seconds: float, deadline_seconds: float) -> None:
        """`life_seconds`: how long counts are kept that their node does not renew."""
        self._node_id = node_id
        self._life_ms = round(life_seconds * 1000)
        self._script = Script("density_put")
        self._link = RedisLink(options, name="density", scripts=[self._script], deadline_seconds=deadline_seconds)
        self._others: list[str] = []

    async def put(
        self, counts: Mapping[int, int], doubtful: Mapping[str, Mapping[int, int]] | None = None
    ) -> dict[str, bytes]:
        """Keep these counts instead of those before. Raises Unavailable.

        `doubtful` are riders with their generation, by channel; the answer is the rows, by channel, of those whom
        somebody has taken over since.
        """
        doubtful = doubtful or {}
        commands: list[Command] = [self._put(counts)]
        commands += [("HMGET", kept_in(channel), *map(_field, riders)) for channel, riders in doubtful.items()]
        nodes, *answers = await self._link.batch(commands)
        self._others = [node for node in map(bytes.decode, nodes) if node != self._node_id]
        passed = {
            channel: _outranking(riders.values(), rows)
            for (channel, riders), rows in zip(doubtful.items(), answers, strict=True)
        }
        return {channel: rows for channel, rows in passed.items() if rows}

    async def read_others(self) -> dict[int, int]:
        """The counts of all other nodes, by region; of those known when `put` was last called. Raises Unavailable."""
        if not self._others:
            return {}
        return _sum(await self._link.call("MGET", *map(_kept_by, self._others)))

    async def aclose(self) -> None:
        """Take this node's counts away and close the connections."""
        with suppress(Unavailable):  # they end by themselves
            await self.put({})
        await self._link.aclose()

    def _put(self, counts: Mapping[int, int]) -> Command:
        packed = b"".join(_COUNT.pack(region, riders) for region, riders in counts.items())
        return self._script.call([_INDEX, _kept_by(self._node_id)], self._node_id, packed, self._life_ms)


def _kept_by(node_id: str) -> str:
    return f"{_INDEX}:{node_id}"


def _field(rider: int) -> bytes:
    return rider.to_bytes(8, "big")


def _outranking(generations: Iterable[int], rows: Sequence[bytes | None]) -> bytes:
    """The rows of a later generation (their first eight bytes) than this node's."""
    return b"".join(
        row
        for generation, row in zip(generations, rows, strict=True)
        if row is not None and int.from_bytes(row[:8], "big") > generation
    )


def _sum(kept: Iterable[bytes | None]) -> dict[int, int]:
    sums: Counter[int] = Counter()
    for packed in kept:
        if packed is not None and len(packed) % _COUNT.size:
            _log.error("counts_unreadable", size=len(packed))
        else:
            for region, riders in _COUNT.iter_unpack(packed or b""):
                sums[region] += riders
    return sums

"""Which master of a Redis Cluster has which slots, as its nodes tell.

Nodes can disagree for a moment: the first that thinks the cluster is whole is believed, or else the one that knows of
the newest change. An old map does no harm, because a master refuses what is not its own and says whose it is.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ClusterDownError, RedisError

from domain.kit.redis_slots import SLOTS
from domain.kit.redis_urls import Address
from domain.kit.tasks import TaskOwner


@dataclass(frozen=True)
class _View:
    """The slots as one node knows them."""

    whole: bool
    epoch: int
    owners: list[Address | None]


class ClusterMap:
    """The owners of all slots, as far as known."""

    def __init__(self, seeds: Sequence[Address], make: Callable[[Address], AbstractConnection]) -> None:
        """`make` gives a connection to a node; its timeouts bound how long one is waited for."""
        self._seeds = seeds
        self._make = make
        self._owners: list[Address | None] = [None] * SLOTS
        self._refreshing = asyncio.Lock()
        self.version = 0
        """Rises with each refresh; 0 before the first."""
        self.doubted = True
        """Whether something failed that a newer map may explain."""

    @property
    def masters(self) -> frozenset[Address]:
        """All that have a slot."""
        return frozenset(owner for owner in set(self._owners) if owner is not None)

    def owner(self, slot: int) -> Address:
        """The master of a slot. Raises ClusterDownError when none is known."""
        owner = self._owners[slot]
        if owner is None:
            self.doubted = True
            raise ClusterDownError("no master is known for the slot")
        return owner

    def has(self, master: Address | None, slot: int) -> bool:
        """Whether the slot is known to be this master's."""
        return self._owners[slot] == master

    def moved(self, slot: int, owner: Address) -> None:
        """A node has said who has the slot now."""
        self._owners[slot] = owner

    async def refresh(self, seen: int | None = None) -> None:
        """Ask the nodes, unless that was done since the version `seen`. Raises ClusterDownError if none answers."""
        async with self._refreshing:
            if seen is not None and seen != self.version:
                return
            view = await self._newest_view()
            self._owners = view.owners
            self.version += 1
            self.doubted = False

    async def _newest_view(self) -> _View:
        best: _View | None = None
        faults: list[str] = []
        async with TaskOwner("cluster-map") as owner:
            nodes = {*self._seeds, *self.masters}
            for answer in asyncio.as_completed([owner.start(self._ask(node), "ask") for node in nodes]):
                view = await answer
                if isinstance(view, Exception):
                    faults.append(str(view))
                elif view.whole:
                    return view
                elif best is None or view.epoch > best.epoch:
                    best = view
        if best is None:
            raise ClusterDownError(f"no node of the cluster answers: {'; '.join(sorted(faults))}")
        return best

    async def _ask(self, node: Address) -> _View | Exception:
        connection = self._make(node)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command(
                connection.pack_commands([("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")]), check_health=False
            )
            about, ranges = await connection.read_response(), await connection.read_response()
        except (RedisError, OSError) as error:
            return error
        finally:
            await connection.disconnect(nowait=True)
        facts = dict(line.split(":", 1) for line in about.decode().split() if ":" in line)
        return _View(facts["cluster_state"] == "ok", int(facts["cluster_current_epoch"]), _owners(ranges, node[0]))


def _owners(ranges: list[list[Any]], asked: str) -> list[Address | None]:
    """The owner of each slot. A node that does not know its own name is where it was asked."""
    owners: list[Address | None] = [None] * SLOTS
    for first, last, master, *_ in ranges:
        host = (master[0] or b"").decode()
        address = (host if host not in {"", "?"} else asked, int(master[1]))
        owners[first : last + 1] = itertools.repeat(address, last + 1 - first)
    return owners

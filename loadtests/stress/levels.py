"""What a node has open when nobody is there: the same before and after, or something has leaked."""

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx

from loadtests.stress.redises import Cluster
from loadtests.stress.seen import metrics_of
from loadtests.stress.system import Node, System

Levels = dict[str, float]

ALLOWED: Mapping[str, float] = {
    "sockets": 0,
    "sockets_waiting": 0,
    "hub_riders": 0,
    "hub_channels": 0,
    "hub_topics": 0,
    "hub_listeners": 0,
    "hub_unpublished": 0,
    "hub_out_of_step": 0,
    "density_viewers": 0,
    "recorder_pending_fixes": 0,
    "bus_subscriptions": 0,
    "cursors": 0,
    "cursors_behind": 0,
    "cursors_unplaced": 0,
    "hints_subscriptions": 0,
    "rooms_subscriptions": 0,
    "tasks": 0,
    "database_connections_in_use": 0,
    # Pools keep what was once needed at the same time, and have bounds.
    "redis_connections": 30,
    "process_open_fds": 55,
}
"""How much more of each may be open afterwards."""
ON_CLUSTER: Mapping[str, float] = {**ALLOWED, "tasks": 18, "redis_connections": 60, "process_open_fds": 90}
"""On a cluster each of a node's three subscribers keeps an ear on every master that it has ever needed."""
LEVEL_SECONDS = 10.0
"""Once the last dots have ended by their age."""
_LOOK_SECONDS = 0.5


async def levels(system: System) -> dict[str, Levels]:
    """The levels of every node. Raises httpx.TransportError."""
    async with httpx.AsyncClient() as http:
        return {node.name: await _of(http, node) for node in system.nodes}


async def until_level(system: System, before: Mapping[str, Levels], wrong: Callable[[str], None]) -> dict[str, Levels]:
    """Wait until nothing is above what it was, and tell what stays there; the levels then.

    Raises httpx.TransportError when a node has not answered by then.
    """
    deadline = time.monotonic() + system.life_seconds + LEVEL_SECONDS
    while True:
        try:
            after = await levels(system)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        left = leaks(before, after, ON_CLUSTER if isinstance(system.redises, Cluster) else ALLOWED)
        if not left:
            return after
        if time.monotonic() > deadline:
            for sentence in left:
                wrong(sentence)
            return after
        await asyncio.sleep(_LOOK_SECONDS)


def leaks(
    before: Mapping[str, Levels], after: Mapping[str, Levels], allowed: Mapping[str, float] = ALLOWED
) -> list[str]:
    """What is higher afterwards than it may be, in sentences."""
    return [
        f"{node} has {level:g} {name} with nobody there, {before[node].get(name, 0):g} before"
        for node, found in after.items()
        for name, level in found.items()
        if level > before[node].get(name, 0) + allowed[name]
    ]


async def _of(http: httpx.AsyncClient, node: Node) -> Levels:
    found = await metrics_of(http, node)
    found["redis_connections"] = node.proxy.connections
    return {name: found[name] for name in ALLOWED if name in found}

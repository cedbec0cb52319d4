"""Which faults happen when, drawn from a seed: the same seed, length, nodes and topology give the same schedule.

Each kind comes once before any comes again. After a fault there is a calm in which everything has to be right again,
except after a long pause of a node: the faults of the stores go on meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

FIRST_SECONDS = 3.0
"""Everybody is connected and moves before the first fault."""
CALM_SECONDS = 5.0
"""After the last fault, and after most others."""
_CALM_SPREAD_SECONDS = 1.5
_LONG_PAUSE_SECONDS = 9.0
"""A node that is paused for longer is not waited for."""
_SHORTEST_SECONDS = 0.5


class Topology(StrEnum):
    """How Redis runs."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Kind(StrEnum):
    """What is done, and to what."""

    REDIS_KILLED = "redis_killed"
    REDIS_PAUSED = "redis_paused"
    REDIS_REFUSES = "redis_refuses"
    REDIS_SLOW = "redis_slow"
    REDIS_FAILOVER = "redis_failover"
    SUBSCRIBERS_KILLED = "subscribers_killed"
    SUBSCRIBERS_OVERFLOW = "subscribers_overflow"
    POSTGRES_RESTARTED = "postgres_restarted"
    WORKER_KILLED = "worker_killed"
    NODE_KILLED = "node_killed"
    NODE_PAUSED = "node_paused"
    NODE_STOPPED = "node_stopped"
    NODE_CUT = "node_cut"
    NODE_DEAF = "node_deaf"


class Mending(StrEnum):
    """What becomes of the connections of a node that was cut off."""

    FLOWS = "flows"
    """What was held arrives, as TCP sends again."""
    RESETS = "resets"
    """The old connections are reset."""
    FORGETS = "forgets"
    """The old connections stay open and say nothing for ever, as behind a firewall that forgot them."""


@dataclass(frozen=True)
class Fault:
    """One fault: from `at` seconds after the start, for `seconds` (0: over at once)."""

    kind: Kind
    at: float
    seconds: float
    node: int | None = None
    """Which node, counted from 0."""
    delay: float = 0.0
    """Seconds that each packet is late, where Redis is slow."""
    mending: Mending | None = None

    @property
    def ends_at(self) -> float:
        """When it is taken back, in seconds after the start."""
        return self.at + self.seconds


_LASTS: dict[Kind, tuple[float, float]] = {
    Kind.REDIS_KILLED: (0.5, 4.0),
    Kind.REDIS_PAUSED: (0.8, 6.0),
    Kind.REDIS_REFUSES: (0.8, 5.0),
    Kind.REDIS_SLOW: (3.0, 6.0),
    Kind.REDIS_FAILOVER: (0.0, 0.0),
    Kind.SUBSCRIBERS_KILLED: (0.0, 0.0),
    Kind.SUBSCRIBERS_OVERFLOW: (0.0, 0.0),
    Kind.POSTGRES_RESTARTED: (0.5, 4.0),
    Kind.WORKER_KILLED: (0.5, 3.0),
    Kind.NODE_KILLED: (0.5, 4.0),
    Kind.NODE_PAUSED: (3.0, 30.0),
    Kind.NODE_STOPPED: (0.5, 2.0),
    Kind.NODE_CUT: (1.0, 7.0),
    Kind.NODE_DEAF: (0.0, 0.0),
}
_OF_NODES = frozenset({Kind.NODE_KILLED, Kind.NODE_PAUSED, Kind.NODE_STOPPED, Kind.NODE_CUT, Kind.NODE_DEAF})
_ONLY_SINGLE = frozenset({Kind.REDIS_REFUSES})
_NOT_SINGLE = frozenset({Kind.REDIS_FAILOVER})
_DELAYS = (0.02, 0.15)


def kinds_for(topology: Topology) -> list[Kind]:
    """The kinds of faults that this topology can have."""
    impossible = _NOT_SINGLE if topology is Topology.SINGLE else _ONLY_SINGLE
    return [kind for kind in Kind if kind not in impossible]


def draw(seed: int, seconds: float, nodes: int, topology: Topology) -> list[Fault]:
    """The schedule of a run whose faults are all over, and healed for a calm, after `seconds`."""
    return list(_draw(Random(seed), seconds, nodes, topology))


def _draw(random: Random, seconds: float, nodes: int, topology: Topology) -> Iterator[Fault]:
    deck: list[Kind] = []
    at = FIRST_SECONDS
    pause_ends = 0.0
    while True:
        if not deck:
            deck = kinds_for(topology)
            random.shuffle(deck)
        room = seconds - CALM_SECONDS - at
        if room < _SHORTEST_SECONDS:
            return
        kind = _take(deck, without=_OF_NODES if at < pause_ends + CALM_SECONDS else frozenset())
        if kind is None:
            at = pause_ends + CALM_SECONDS
            continue
        fault = _one(random, kind, at, room, nodes)
        yield fault
        calm = CALM_SECONDS + random.uniform(0.0, _CALM_SPREAD_SECONDS)
        if kind is Kind.NODE_PAUSED and fault.seconds > _LONG_PAUSE_SECONDS:
            pause_ends = fault.ends_at
            at += _LONG_PAUSE_SECONDS
        else:
            at = fault.ends_at + calm
        at = round(at, 2)


def _take(deck: list[Kind], *, without: frozenset[Kind]) -> Kind | None:
    for index, kind in enumerate(deck):
        if kind not in without:
            return deck.pop(index)
    return None


def _one(random: Random, kind: Kind, at: float, room: float, nodes: int) -> Fault:
    shortest, longest = _LASTS[kind]
    seconds = round(random.uniform(min(shortest, room), min(longest, room)), 2)
    return Fault(
        kind,
        at,
        seconds,
        node=random.randrange(nodes) if kind in _OF_NODES else None,
        delay=round(random.uniform(*_DELAYS), 3) if kind is Kind.REDIS_SLOW else 0.0,
        mending=random.choice(list(Mending)) if kind is Kind.NODE_CUT else None,
    )

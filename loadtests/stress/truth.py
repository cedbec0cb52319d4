"""Whether `/ready` and `/metrics` tell the truth while things break, and again when they are whole.

A node that cannot hear Redis says so within the bound below, and its heartbeat is as old as the silence; one whose
Postgres is gone says that; when everything is whole again everything is healthy, soon.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx

from loadtests.stress.faults import Happened
from loadtests.stress.paths import SLACK_SECONDS, healing_seconds
from loadtests.stress.schedule import Kind, Topology
from loadtests.stress.seen import ANSWER_SECONDS, Seen, look_at
from loadtests.stress.system import Node
from loadtests.stress.traffic import Run

HEARTBEAT_SECONDS = 1.0
UNHEARD_SECONDS = 2 * HEARTBEAT_SECONDS + HEARTBEAT_SECONDS + SLACK_SECONDS
"""Two heartbeats missed, the beat before them, and slack: then the bus' check must not be healthy."""
GONE_SECONDS = 1.5
"""A database that refuses is noticed at once."""
WHOLE_SECONDS = 3 * HEARTBEAT_SECONDS + SLACK_SECONDS
"""After the last healing, and the time in which that is noticed, every check has to be healthy."""
_LOOK_SECONDS = 0.4

_REDIS_SILENT = frozenset({Kind.REDIS_KILLED, Kind.REDIS_PAUSED, Kind.REDIS_REFUSES})
_EARS = ("bus", "hints", "rooms")
"""What a node hears through Redis, as its checks and its metrics name it."""
_PROCESS_AWAY = frozenset({Kind.NODE_KILLED, Kind.NODE_PAUSED, Kind.NODE_STOPPED})


class Truth:
    """Looks at every node again and again."""

    def __init__(self, run: Run, topology: Topology) -> None:
        self._run = run
        # Where another server takes over, or has the heartbeat's slot, the bus is back before the fault is healed.
        self._unheard = _REDIS_SILENT | {Kind.NODE_CUT} if topology is Topology.SINGLE else {Kind.NODE_CUT}
        self._looks = 0
        self._not_healthy = 0
        self._told: set[tuple[int, str]] = set()

    async def watch(self, node: Node) -> None:
        """Look at one node until cancelled."""
        async with httpx.AsyncClient() as http:
            while True:
                await self._look(http, node)
                await asyncio.sleep(_LOOK_SECONDS)

    def figures(self) -> dict[str, Any]:
        """How often it was looked, and how often something was not healthy."""
        return {"looks": self._looks, "not_healthy": self._not_healthy}

    async def _look(self, http: httpx.AsyncClient, node: Node) -> None:
        asked_at = time.monotonic()
        try:
            seen = await look_at(http, node)
        except httpx.HTTPError as error:
            if not self._may_be_silent(node, asked_at):
                self._tell(node, f"does not answer within {ANSWER_SECONDS:g} s ({type(error).__name__})")
            return
        if self._may_be_silent(node, asked_at):
            return  # it was paused, or began anew, in the middle of the answer
        self._looks += 1
        self._not_healthy += bool(seen.ailing)
        lies = list(self._lies(node, seen))
        for lie in lies:
            self._tell(node, lie)
        if not lies:
            self._told = {(number, said) for number, said in self._told if number != node.number}

    def _tell(self, node: Node, lie: str) -> None:
        key = (node.number, lie.partition(":")[0])
        if key not in self._told:
            self._told.add(key)
            self._run.wrong(f"{node.name} {lie}")

    def _may_be_silent(self, node: Node, since: float) -> bool:
        if node.paused or not node.meant_to_run:
            return True
        away = self._run.timeline.of(_PROCESS_AWAY, node.number)
        return any(each.healed is None or each.healed + SLACK_SECONDS >= since for each in away)

    def _lies(self, node: Node, seen: Seen) -> Iterator[str]:
        lag = self._run.lag()  # the node's way to Redis is through this program
        unheard = self._longest_since(self._unheard, node, seen)
        if unheard is not None and unheard > UNHEARD_SECONDS + lag:
            yield from _lies_of_hearing(seen, unheard, lag)
        gone = self._longest_since({Kind.POSTGRES_RESTARTED}, node, seen)
        if gone is not None and gone > GONE_SECONDS + lag and seen.is_healthy("database"):
            yield f"says that the database is healthy: it has been gone for {gone:.1f} s"
        whole = self._whole_since(node)
        if whole is not None and seen.asked_at - whole > WHOLE_SECONDS + lag and seen.ailing:
            yield f"is not healthy: {', '.join(seen.ailing)}, {seen.asked_at - whole:.1f} s after everything was whole"

    def _longest_since(self, kinds: "set[Kind] | frozenset[Kind]", node: Node, seen: Seen) -> float | None:
        """For how long a fault of these kinds had lasted when the node was asked, if it lasted beyond the answer."""
        lasting = [
            seen.asked_at - each.began
            for each in self._run.timeline.of(kinds, node.number)
            if each.healed is None and each.began < seen.asked_at and not self._is_ending(each)
        ]
        return max(lasting, default=None)

    @staticmethod
    def _is_ending(happened: Happened) -> bool:
        """Whether it has been taken back by now, though nobody has seen it healed yet."""
        return time.monotonic() > happened.began + happened.fault.seconds

    def _whole_since(self, node: Node) -> float | None:
        """Since when nothing that the node's checks look at is disturbed; None while something is."""
        whole = 0.0
        for each in self._run.timeline.happened:
            if each.fault.node not in {None, node.number}:
                continue
            if each.healed is None:
                return None
            whole = max(whole, each.healed + healing_seconds(each))
        return whole


def _lies_of_hearing(seen: Seen, unheard: float, lag: float) -> Iterator[str]:
    """What a node says wrongly that has not been able to hear Redis for so many seconds, some of them late."""
    for ear in _EARS:
        if seen.is_healthy(ear):
            yield f"calls {ear} healthy: it has not been able to hear for {unheard:.1f} s"
        if seen.metrics.get(f"{ear}_connected"):
            yield f"says that {ear} are heard: that has not been possible for {unheard:.1f} s"
        age = seen.metrics.get(f"{ear}_heartbeat_age_seconds")
        if age is not None and age < unheard - HEARTBEAT_SECONDS - SLACK_SECONDS - lag:
            yield f"has a heartbeat of {ear} that is too young: {age:.1f} s, after {unheard:.1f} s of silence"

"""Watchers: phones that stay with one node, whatever becomes of it, and look at where everybody rides."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from loadtests.stress.figures import Seconds
from loadtests.stress.link import ConnectionLost, error_of
from loadtests.stress.people import Person
from loadtests.stress.ride import UNITS, Fix, Place, Ride
from loadtests.stress.sight import Sight
from loadtests.stress.system import Node

_AGAIN_SECONDS = 0.3
_ZOOM = 14
_HALF_WIDTH = 3000
"""Of the viewport, in units of 1e-5 degrees."""


class Watcher:
    """One phone. `run` until cancelled; `sight` is None while it cannot see."""

    def __init__(
        self,
        name: str,
        person: Person,
        node: Node,
        rides: Mapping[int, Ride],
        middle: Place,
        life_seconds: float,
        wrong: Callable[[str], None],
        has_arrived: Callable[[Node, Fix, float], bool],
    ) -> None:
        """`wrong` is told in sentences what must not be; `has_arrived`: whether a node has to know of a fix by then."""
        self.name = name
        self.node = node
        self.sight: Sight | None = None
        self.connects = 0
        self.frames = 0
        self.seen_after = Seconds()
        """From the sending of a fix until this map showed it, of those that it did show."""
        self._person = person
        self._rides = rides
        self._middle = middle
        self._life_seconds = life_seconds
        self._wrong = wrong
        self._has_arrived = has_arrived

    async def run(self) -> None:
        """Watch, and connect again when the connection is lost, until cancelled."""
        while True:
            try:
                await self._watch()
            except ConnectionLost:
                self.sight = None
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch(self) -> None:
        sight = Sight(
            self._rides,
            life_seconds=self._life_seconds,
            since=time.monotonic(),
            has_arrived=partial(self._has_arrived, self.node),
        )

        def heard(event: str, payload: dict[str, Any]) -> None:
            if event == "location:frame":
                self._see(sight, payload)

        async with await self._person.connect(self.node, heard) as link:
            error = error_of(await link.ask("map:watch", {"bounds": self._bounds(), "zoom": _ZOOM}))
            if error is not None:
                raise ConnectionLost(str(error))
            sight.since = time.monotonic()
            self.sight = sight
            self.connects += 1
            try:
                await link.ended.wait()
            finally:
                self.sight = None

    def _see(self, sight: Sight, frame: dict[str, Any]) -> None:
        self.frames += 1
        now = time.monotonic()
        for fault in sight.apply(frame, now):
            self._wrong(f"{self.name} on {self.node.name}: {fault}")
        for fix in sight.news:
            if fix.sent_at is not None and sight is self.sight:
                self.seen_after.add(now - fix.sent_at)

    def _bounds(self) -> list[float]:
        north, east = self._middle
        box = (east - _HALF_WIDTH, north - _HALF_WIDTH, east + _HALF_WIDTH, north + _HALF_WIDTH)
        return [value / UNITS for value in box]

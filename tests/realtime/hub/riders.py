"""What tests of the hub share: riders that move, phones that show a map, and nodes."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from domain.kit.clock import Clock, SystemClock
from geo import cells
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.redis_bus import RedisBus
from realtime.hub.hub import Hub
from realtime.hub.metrics import HubMetrics
from realtime.hub.options import HubOptions
from realtime.hub.records import LiveRecord, Tombstone
from realtime.hub.topics import cell_topic, region_of, topic_cells
from realtime.wire.packets import Packet, encode_event
from tests.realtime.bus.ears import PATIENT

VIENNA = (48.2082, 16.3738)
NEXT_DOOR = (48.2083, 16.3900)
"""Another cell of the region of Vienna."""
GRAZ = (47.0707, 15.4395)
NOBODY_THERE = "redis://127.0.0.1:1/0"
"""A port on which no Redis is: for what one node does alone."""
TICK_SECONDS = 0.02


def record(
    rider: int,
    version: int,
    place: tuple[float, float] = VIENNA,
    *,
    generation: int = 1,
    received_ms: int,
) -> LiveRecord:
    latitude, longitude = place
    cell = cells.cell_at(latitude, longitude)
    return LiveRecord(
        rider, generation, version, round(latitude * 1e5), round(longitude * 1e5), 45, 120, received_ms, cell
    )


def tombstone(rider: int, version: int, *, generation: int = 1, at_ms: int) -> Tombstone:
    return Tombstone(rider, generation, version, at_ms)


def region(place: tuple[float, float]) -> str:
    return region_of(cells.cell_at(*place))


def topics_around(*places: tuple[float, float], resolution: int = 7) -> frozenset[str]:
    """The topics at one resolution that cover these places."""
    return frozenset(
        cell_topic(cell)
        for place in places
        for cell in topic_cells(cells.cell_at(*place))
        if cells.resolution_of(cell) == resolution
    )


@dataclass(eq=False)
class Phone:
    """A listener that does what the app does with its frames: one map a topic. It can stop reading."""

    id: str = "phone"
    reads: bool = True
    unread: int = 0
    packets: list[Packet] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    maps: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    origins: dict[str, tuple[int, int]] = field(default_factory=dict)
    on_frame: Callable[[], None] | None = None

    def send(self, packet: Packet) -> None:
        self.packets.append(packet)
        if not self.reads:
            self.unread += 1
        name, frame = json.loads(packet.text.removeprefix("42"))
        assert name == "location:frame"
        self.frames.append(frame)
        self._apply(frame)
        if self.on_frame is not None:
            self.on_frame()

    def backlog(self) -> int:
        return self.unread

    def read_all(self) -> None:
        self.reads, self.unread = True, 0

    def _apply(self, frame: dict[str, Any]) -> None:
        topic = frame["topic"]
        if frame.get("snapshot"):
            self.maps[topic] = {}
            self.origins.pop(topic, None)
            if "origin" in frame:
                north, east = frame["origin"]
                self.origins[topic] = (round(north * 1e5), round(east * 1e5))
        assert topic in self.maps, "a snapshot comes first"
        for rider, north, east, *_ in frame.get("riders", ()):
            origin = self.origins[topic]
            self.maps[topic][rider] = (origin[0] + north, origin[1] + east)
        for rider in frame.get("gone", ()):
            self.maps[topic].pop(rider, None)

    def dots(self, rider: int) -> list[tuple[int, int]]:
        """Where this rider is shown: one entry for each topic."""
        return [riders[rider] for riders in self.maps.values() if rider in riders]

    def shows(self, rider: int, place: tuple[float, float]) -> bool:
        """Whether the rider is one dot, and here."""
        return self.dots(rider) == [(round(place[0] * 1e5), round(place[1] * 1e5))]


@dataclass(frozen=True)
class Node:
    """One node's hub and bus."""

    hub: Hub
    bus: RedisBus
    superseded: list[int]


class Ahead(SystemClock):
    """The machine's clocks, each of which may be put forward."""

    ahead_ms = 0
    """The one on the wall."""
    ahead_seconds = 0.0
    """The monotonic one."""

    def epoch_ms(self) -> int:
        return super().epoch_ms() + self.ahead_ms

    def monotonic(self) -> float:  # type: ignore[override]
        return time.monotonic() + self.ahead_seconds


def make_node(url: str, clock: Clock, *, name: str = "a", options: HubOptions | None = None, **bus: float) -> Node:
    """One that waits for Redis for as long as a machine may stand still, unless it is told otherwise."""
    registry = CollectorRegistry()
    redis_bus = RedisBus(name, clock, BusOptions(url, **{**PATIENT, **bus}), BusMetrics(registry))  # type: ignore[arg-type]
    superseded: list[int] = []
    hub = Hub(
        redis_bus,
        clock,
        encode_event,
        options or HubOptions(tick_seconds=TICK_SECONDS, listen_seconds=PATIENT["timeout_seconds"]),
        HubMetrics(registry),
        superseded=lambda rider, _generation: superseded.append(rider),
    )
    return Node(hub, redis_bus, superseded)


@contextlib.asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    """Run the nodes; returns when all of them hear. Ends them as a stop of the process would."""
    tasks = [asyncio.create_task(part.run()) for node in nodes for part in (node.bus, node.hub)]
    try:
        async with asyncio.timeout(10):
            while not all(node.bus.connected and node.bus.heard_seconds_ago() < 1 for node in nodes):
                await asyncio.sleep(0.002)
        yield
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


@contextlib.asynccontextmanager
async def two_nodes(url: str, clock: Clock | None = None, **bus: float) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes of one system, in this process."""
    clock = clock or SystemClock()
    first, second = make_node(url, clock, name="first", **bus), make_node(url, clock, name="second", **bus)
    async with running(first, second):
        yield first, second


def now_ms() -> int:
    return SystemClock().epoch_ms()

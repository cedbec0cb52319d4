"""Counts of riders for zoomed-out viewers: two nodes on one Redis, in this process, ticked by the test."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from domain.kit.clock import Clock, ManualClock
from geo import cells
from geo.overview import overview
from geo.viewport import Bounds
from realtime.bus.connections import BusOptions
from realtime.bus.density import RegionCounts
from realtime.bus.takeover import Taken
from realtime.handlers.location.density import LIFE_INTERVALS, Density
from realtime.handlers.location.density_metrics import DensityMetrics
from realtime.wire.packets import Packet
from server.stack import RedisServer
from tests.realtime.hub.riders import GRAZ, VIENNA, Ahead, Node, now_ms, record, region, tombstone, two_nodes
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

INTERVAL_SECONDS = 20.0
LIFE_SECONDS = LIFE_INTERVALS * INTERVAL_SECONDS
"""Long enough for nothing to end by itself: what has to end is ended by the tests."""
REDIS_SECONDS = 30.0
AUSTRIA = overview(Bounds(9.0, 46.0, 17.5, 49.0), 6)
WORLD = overview(Bounds(-180.0, -90.0, 180.0, 90.0), 1)
assert AUSTRIA.resolution == 4


@dataclass(eq=False)
class Viewer:
    """A listener that keeps the newest counts."""

    id: str = "viewer"
    packets: list[Packet] = field(default_factory=list)
    unread: int = 0

    def send(self, packet: Packet) -> None:
        self.packets.append(packet)

    def backlog(self) -> int:
        return self.unread

    @property
    def counts(self) -> dict[str, int]:
        name, payload = json.loads(self.packets[-1].text.removeprefix("42"))
        assert name == "location:density"
        assert all(cells.resolution_of(cells.from_name(cell)) == payload["resolution"] for cell, _ in payload["cells"])
        return dict(payload["cells"])

    def shows(self, place: tuple[float, float], riders: int | None) -> bool:
        resolution = json.loads(self.packets[-1].text.removeprefix("42"))[1]["resolution"]
        return self.counts.get(cells.name(cells.parent(cells.cell_at(*place), resolution))) == riders


@dataclass
class Counting:
    """A node and its counts."""

    node: Node
    density: Density
    store: RegionCounts
    metrics: CollectorRegistry
    clock: ManualClock
    """By which it knows how old the others' counts are."""

    def ride(self, *riders: int, place: tuple[float, float] = VIENNA, generation: int = 1, **more: Any) -> None:
        for rider in riders:
            position = record(rider, 1, place, generation=generation, received_ms=now_ms())
            self.node.hub.put(region(place), position, **more)

    async def metric(self, name: str) -> float:
        return self.metrics.get_sample_value(f"throttlecove_density_{name}") or 0.0


@asynccontextmanager
async def counting(url: str, wall: Clock | None = None) -> AsyncIterator[tuple[Counting, Counting]]:
    async with two_nodes(url, wall) as nodes:
        both = [_counting(url, node, name) for node, name in zip(nodes, ("first", "second"), strict=True)]
        try:
            yield both[0], both[1]
        finally:
            for one in both:
                await one.store.aclose()


def _counting(url: str, node: Node, name: str) -> Counting:
    options = BusOptions(url, timeout_seconds=REDIS_SECONDS)
    store = RegionCounts(options, name, life_seconds=LIFE_SECONDS, deadline_seconds=REDIS_SECONDS)
    registry, clock = CollectorRegistry(), ManualClock()
    metrics = DensityMetrics(registry)
    density = Density(node.hub, store, clock, metrics, interval_seconds=INTERVAL_SECONDS)
    return Counting(node, density, store, registry, clock)


async def shown(viewer: Viewer, ticks: list[Counting], place: tuple[float, float], riders: int | None) -> None:
    """Tick these nodes until the viewer is shown so many riders."""

    async def ticked() -> bool:
        for one in ticks:
            await one.density.tick()
        return viewer.shows(place, riders)

    assert await eventually(ticked)


async def test_riders_of_two_nodes_are_counted_together_and_few_are_not_shown(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, two):
        one.ride(1, 2)
        two.ride(3, 4)
        two.ride(5, 6, place=GRAZ)
        for node in (one, two, one):
            await node.density.tick()
        viewer = Viewer()
        await one.density.listen(viewer, AUSTRIA)
        assert len(viewer.packets) == 1, "a snapshot at once"
        assert viewer.shows(VIENNA, 4)
        assert viewer.shows(GRAZ, None)
        await one.density.listen(viewer, WORLD)
        assert viewer.shows(VIENNA, 4), "two that are not shown could be subtracted"
        two.ride(7, place=GRAZ)
        for node in (two, one):
            await node.density.tick()
        assert viewer.shows(VIENNA, 7)


async def test_who_hides_or_leaves_the_region_is_not_counted_at_the_next_tick(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, _):
        one.ride(1, 2, 3, 4, 5)
        viewer = Viewer()
        await one.density.tick()
        await one.density.listen(viewer, AUSTRIA)
        assert viewer.shows(VIENNA, 5)
        one.node.hub.remove(region(VIENNA), tombstone(1, 2, at_ms=now_ms()))
        one.ride(2, place=GRAZ, generation=2)
        await one.density.tick()
        assert viewer.shows(VIENNA, 3)
        one.node.hub.remove(region(VIENNA), tombstone(3, 2, at_ms=now_ms()))
        await one.density.tick()
        assert viewer.counts == {}


async def test_a_rider_who_went_to_another_node_is_counted_once(own_redis: RedisServer) -> None:
    """The phone has hung up here; this node has no listener to the region, and nothing tells it but asking."""
    async with counting(own_redis.url) as (one, two):
        one.ride(1, 2, 3)
        await eventually(lambda: one.node.hub.levels().unpublished == 0)
        viewer = Viewer()
        await one.density.tick()
        await one.density.listen(viewer, AUSTRIA)
        one.node.hub.release(1)
        moved = Taken(generation=2, left=frozenset({region(VIENNA)}))
        two.ride(1, place=GRAZ, generation=moved.generation, left=moved.left)
        two.ride(7, 8, place=GRAZ)
        await eventually(lambda: two.node.hub.levels().unpublished == 0)
        await two.density.tick()
        await one.density.tick()
        await one.density.tick()
        assert viewer.shows(VIENNA, None)
        assert viewer.shows(GRAZ, 3)


async def test_a_rider_whose_old_connection_hangs_is_counted_once_when_silent_for_the_lifetime(
    own_redis: RedisServer,
) -> None:
    wall = Ahead()
    async with counting(own_redis.url, wall) as (one, two):
        one.ride(1, 2, 3)
        await eventually(lambda: one.node.hub.levels().unpublished == 0)
        viewer = Viewer()
        await one.density.tick()
        await one.density.listen(viewer, AUSTRIA)
        two.ride(1, generation=2)
        await eventually(lambda: two.node.hub.levels().unpublished == 0)
        await two.density.tick()
        await one.density.tick()
        assert viewer.shows(VIENNA, 4), "as stale as the lifetime, at most"
        wall.ahead_ms = round(LIFE_SECONDS * 1000) + 1
        await two.density.tick()
        await one.density.tick()
        assert viewer.shows(VIENNA, 3)


async def test_a_node_that_is_gone_drops_out_and_one_that_stops_does_so_at_once(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, two), Redis.from_url(own_redis.url) as redis:
        one.ride(1, 2, 3)
        two.ride(4)
        viewer = Viewer()
        await two.density.tick()
        await one.density.tick()
        await one.density.listen(viewer, AUSTRIA)
        assert viewer.shows(VIENNA, 4)
        kept = "density:{counts}:second"
        assert 0 < await redis.pttl(kept) <= LIFE_SECONDS * 1000
        assert await redis.pexpire(kept, 0)
        await one.density.tick()
        assert viewer.shows(VIENNA, 3)
        await two.density.tick()
        await one.density.tick()
        assert viewer.shows(VIENNA, 4)
        await two.store.aclose()
        await one.density.tick()
        assert viewer.shows(VIENNA, 3)


async def test_without_redis_a_node_goes_on_with_its_own_riders_and_heals(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        async with counting(own_redis.url) as (one, two):
            one.ride(1, 2, 3)
            two.ride(4)
            viewer, late = Viewer(), Viewer("late")
            await two.density.tick()
            await one.density.tick()
            await one.density.listen(viewer, AUSTRIA)
            own_redis.pause()
            try:
                one.ride(5)
                await clock.within(REDIS_SECONDS, one.density.tick())
                assert viewer.shows(VIENNA, 5), "the others' counts live on for a while"
                await one.clock.turn(LIFE_SECONDS)
                await clock.within(REDIS_SECONDS, one.density.tick())
                assert viewer.shows(VIENNA, 4)
                await clock.within(REDIS_SECONDS, one.density.listen(late, WORLD))
                assert late.shows(VIENNA, 4)
            finally:
                own_redis.resume()
            await shown(viewer, [two, one], VIENNA, 5)
            assert late.shows(VIENNA, 5)
            assert await one.metric("failures_total") > 0


async def test_equal_viewports_share_a_packet_and_nothing_is_sent_that_did_not_change(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, _):
        one.ride(1, 2, 3)
        await one.density.tick()
        viewers = [Viewer(str(number)) for number in range(10)]
        for viewer in viewers:
            await one.density.listen(viewer, AUSTRIA)
        assert await one.metric("frames_encoded_total") == 1
        one.ride(4)
        await one.density.tick()
        await one.density.tick()
        assert {len(viewer.packets) for viewer in viewers} == {2}
        assert {id(viewer.packets[-1]) for viewer in viewers} == {id(viewers[0].packets[-1])}
        for viewer in viewers:
            one.density.drop(viewer)
        one.ride(5)
        await one.density.tick()
        assert {len(viewer.packets) for viewer in viewers} == {2}
        assert await one.metric("viewports") == await one.metric("viewers") == 0


async def test_a_slow_viewer_is_passed_over_and_gets_the_newest(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, _):
        viewer = Viewer()
        await one.density.tick()
        await one.density.listen(viewer, AUSTRIA)
        assert viewer.counts == {}
        viewer.unread = 1000
        for riders in ((1, 2, 3), (4,), (5,)):
            one.ride(*riders)
            await one.density.tick()
        assert len(viewer.packets) == 1
        viewer.unread = 0
        await one.density.tick()
        assert len(viewer.packets) == 2
        assert viewer.shows(VIENNA, 5)


async def test_others_are_read_only_for_viewers_and_once_for_all_of_them(own_redis: RedisServer) -> None:
    async with counting(own_redis.url) as (one, two), Redis.from_url(own_redis.url) as redis:

        async def reads() -> int:
            stats = await redis.info("commandstats")
            return int(stats.get("cmdstat_mget", {}).get("calls", 0))

        two.ride(1, 2, 3)
        for node in (two, one, one, two):
            await node.density.tick()
        assert await reads() == 0
        viewers = [Viewer(str(number)) for number in range(20)]
        for viewer in viewers:
            await one.density.listen(viewer, AUSTRIA)
        assert await reads() == 1
        await one.density.tick()
        assert await reads() == 2
        for viewer in viewers:
            one.density.drop(viewer)
        await one.density.tick()
        assert await reads() == 2

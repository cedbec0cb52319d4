"""Redis killed, paused, refusing, restarted, or deaf on one side, while riders ride: the outage table, live column."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from domain.kit.clock import SystemClock
from server.stack import RedisServer
from tests.realtime.bus.ears import PATIENT
from tests.realtime.hub.proxy import Proxy
from tests.realtime.hub.riders import (
    GRAZ,
    TICK_SECONDS,
    VIENNA,
    Node,
    Phone,
    make_node,
    now_ms,
    record,
    region,
    running,
    topics_around,
    two_nodes,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

QUICK = {"timeout_seconds": 0.3, "heartbeat_seconds": 0.1, "deaf_seconds": 0.6, "reconnect_seconds": 0.02}
"""The bus' patience, shortened for tests."""
FAULTS = ("kill", "pause", "refuse")
HEALED_WITHIN_SECONDS = 2 * TICK_SECONDS + 5.0
"""Two ticks (some hundredths of a second), and what a machine may add that stands still for a moment or two."""


class Scene:
    """A rider on each of two nodes, and a watcher of both on each."""

    def __init__(self, here: Node, there: Node) -> None:
        self.here, self.there = here, there
        self.local, self.remote = Phone("local"), Phone("remote")
        self.version = 0
        self.place = VIENNA

    async def begin(self) -> None:
        await self.here.hub.listen(self.local, topics_around(VIENNA, GRAZ, resolution=5))
        await self.there.hub.listen(self.remote, topics_around(VIENNA, GRAZ, resolution=5))
        self.move(VIENNA)
        await self.until_right()

    def move(self, place: tuple[float, float]) -> None:
        self.version += 1
        self.place = (place[0] + self.version * 1e-5, place[1])
        self.here.hub.put(region(place), record(1, self.version, self.place, received_ms=now_ms()))

    async def until_right(self, seconds: float = 10) -> None:
        await eventually(lambda: self.local.shows(1, self.place) and self.remote.shows(1, self.place), timeout=seconds)


@asynccontextmanager
async def scene(url: str) -> AsyncIterator[Scene]:
    async with two_nodes(url, **QUICK) as (here, there):
        scene = Scene(here, there)
        await scene.begin()
        yield scene


async def heal(redis: RedisServer, fault: str) -> None:
    if fault == "pause":
        redis.resume()
    else:
        await asyncio.to_thread(redis.start)


@pytest.mark.parametrize("fault", FAULTS)
async def test_riders_and_watchers_of_one_node_go_on_and_the_others_are_right_again_after_healing(
    own_redis: RedisServer, fault: str
) -> None:
    async with scene(own_redis.url) as s:
        getattr(own_redis, fault)()
        await eventually(lambda: not s.here.bus.connected and not s.there.bus.connected)
        before = s.here.hub._metrics.publish_failures._value.get()
        for number in range(20):
            s.move((VIENNA, GRAZ)[number % 2])
            await eventually(lambda: s.local.shows(1, s.place))
        assert not s.remote.shows(1, s.place)
        await eventually(lambda: s.here.hub._metrics.publish_failures._value.get() > before)
        assert s.here.hub.levels().unpublished <= 4, "one item a channel (and one on its way), however many ticks"
        await heal(own_redis, fault)
        await s.until_right(HEALED_WITHIN_SECONDS)
        s.move(VIENNA)
        await s.until_right(HEALED_WITHIN_SECONDS)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_watcher_that_comes_during_the_outage_sees_this_node_at_once_and_the_others_after_it(
    own_redis: RedisServer, fault: str
) -> None:
    async with scene(own_redis.url) as s:
        s.there.hub.put(region(GRAZ), record(2, 1, GRAZ, received_ms=now_ms()))
        getattr(own_redis, fault)()
        await eventually(lambda: not s.there.bus.connected)
        s.there.hub.put(region(GRAZ), record(2, 2, GRAZ, received_ms=now_ms()))
        newcomer = Phone("newcomer")
        # It would wait for the others for twice as long.
        async with asyncio.timeout(PATIENT["timeout_seconds"] / 2):
            await s.there.hub.listen(newcomer, topics_around(VIENNA, GRAZ, resolution=7))
        assert newcomer.shows(2, GRAZ)
        s.move(VIENNA)
        await heal(own_redis, fault)
        await eventually(lambda: newcomer.shows(1, s.place), timeout=HEALED_WITHIN_SECONDS)


async def test_positions_during_a_short_pause_arrive_when_it_ends(own_redis: RedisServer) -> None:
    async with scene(own_redis.url) as s:
        own_redis.pause()
        s.move(GRAZ)
        await eventually(lambda: s.local.shows(1, s.place))
        own_redis.resume()
        await s.until_right()


async def test_a_redis_that_forgot_everything_is_told_again(own_redis: RedisServer) -> None:
    async with scene(own_redis.url) as s:
        async with Redis.from_url(own_redis.url) as client:
            await client.flushall()
            await client.execute_command("SCRIPT", "FLUSH")
        own_redis.kill()
        await eventually(lambda: not s.here.bus.connected)
        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: s.here.bus.connected and s.here.hub.levels().unpublished == 0)
        late = Phone("late")
        s.there.hub.drop(s.remote)
        await s.there.hub.listen(late, topics_around(VIENNA, resolution=5))
        await eventually(lambda: late.shows(1, s.place))


async def test_subscribers_that_redis_drops_subscribe_again_and_read_what_they_missed(own_redis: RedisServer) -> None:
    async with scene(own_redis.url) as s, Redis.from_url(own_redis.url) as client:
        for _ in range(5):
            await eventually(lambda: s.here.bus.connected and s.there.bus.connected)
            losses = s.there.bus.losses
            assert await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            s.move(VIENNA)
            await s.until_right()
            await eventually(lambda losses=losses: s.there.bus.losses > losses)


async def test_a_node_that_hears_nothing_any_more_notices_by_its_heartbeat(own_redis: RedisServer) -> None:
    """Its connections are open, what it sends arrives, and nothing comes back on the one it listens on."""
    clock = SystemClock()
    async with Proxy(own_redis.port) as proxy:
        here = make_node(own_redis.url, clock, name="here", **QUICK)
        there = make_node(proxy.url, clock, name="there", **QUICK)
        async with running(here, there):
            s = Scene(here, there)
            await s.begin()
            await proxy.deafen_subscribers()
            s.move(GRAZ)
            await eventually(lambda: there.bus.losses >= 1)
            await s.until_right()


async def test_a_node_cut_off_from_redis_while_both_live_heals_by_itself(own_redis: RedisServer) -> None:
    clock = SystemClock()
    async with Proxy(own_redis.port) as proxy:
        here = make_node(own_redis.url, clock, name="here", **QUICK)
        there = make_node(proxy.url, clock, name="there", **QUICK)
        async with running(here, there):
            s = Scene(here, there)
            await s.begin()
            proxy.cut()
            await eventually(lambda: not there.bus.connected)
            assert there.bus.heard_seconds_ago() > 0
            s.move(GRAZ)
            there.hub.put(region(GRAZ), record(2, 1, GRAZ, received_ms=now_ms()))
            assert not s.local.dots(2)
            proxy.mend()
            await s.until_right(HEALED_WITHIN_SECONDS + 0.6)
            await eventually(lambda: s.local.shows(2, GRAZ))


async def test_memory_stays_bounded_without_redis(own_redis: RedisServer) -> None:
    async with scene(own_redis.url) as s:
        own_redis.kill()
        for version in range(1, 2_000):
            for rider in range(10, 20):
                s.here.hub.put(region(VIENNA), record(rider, version, VIENNA, received_ms=now_ms()))
        await eventually(lambda: not s.here.bus.connected)
        levels = s.here.hub.levels()
        assert levels.unpublished <= 2 * 11
        assert levels.riders == 11
        assert len(asyncio.all_tasks()) < 60
        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: s.here.hub.levels().unpublished == 0)

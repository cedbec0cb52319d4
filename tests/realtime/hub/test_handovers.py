"""A rider whom another node took over: where the dot is here until that node tells, and when it does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from realtime.bus.connections import BusOptions
from realtime.bus.takeover import Meant, Taken, Takeover
from realtime.hub.handovers import HANDOVER_SECONDS, RETURN_SECONDS
from server.stack import RedisServer
from tests.realtime.hub.riders import (
    GRAZ,
    VIENNA,
    Ahead,
    Node,
    Phone,
    now_ms,
    record,
    region,
    topics_around,
    two_nodes,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

BRIEF_SECONDS = 0.9
"""Shorter than what a handover may take, and than what counts as having stood still."""


@dataclass
class Scene:
    """A phone that rides on one node, is watched there, and has gone to another node, which has not told yet."""

    clock: Ahead
    old: Node
    new: Node
    takeover: Takeover
    watcher: Phone = field(default_factory=Phone)
    shown: list[int] = field(default_factory=list)
    """How many dots the watcher saw at each frame."""
    ticks: int = 0

    async def begin(self) -> Taken:
        self.old.hub.before_tick = self._count
        await self.old.hub.listen(self.watcher, topics_around(VIENNA, GRAZ))
        first = await self._take()
        self.old.hub.put(region(VIENNA), record(1, 1, VIENNA, generation=first.generation, received_ms=now_ms()))
        await eventually(lambda: self.watcher.shows(1, VIENNA) and not self.old.hub.levels().unpublished)
        self.watcher.on_frame = lambda: self.shown.append(len(self.watcher.dots(1)))
        second = await self._take()
        self.old.hub._confirm_places()  # as when it hears again after an outage
        await eventually(lambda: self.old.superseded == [1])
        return second

    def tell(self, taken: Taken) -> None:
        news = record(1, 1, GRAZ, generation=taken.generation, received_ms=now_ms())
        self.new.hub.put(region(GRAZ), news, left=taken.left)

    async def pass_seconds(self, seconds: float) -> None:
        """Time goes by, and the old node ticks meanwhile."""
        while seconds > 0:
            self.clock.ahead_seconds += min(seconds, BRIEF_SECONDS)
            seconds -= BRIEF_SECONDS
            ticks = self.ticks
            await eventually(lambda ticks=ticks: self.ticks >= ticks + 2)

    async def _take(self) -> Taken:
        taken = await self.takeover.take(1, "a track", Meant(now_ms(), now_ms()))
        assert taken is not None
        return taken

    def _count(self) -> None:
        self.ticks += 1


@pytest.fixture
async def scene(own_redis: RedisServer) -> AsyncIterator[Scene]:
    clock, takeover = Ahead(), Takeover(BusOptions(own_redis.url))
    async with two_nodes(own_redis.url, clock) as (old, new):
        yield Scene(clock, old, new, takeover)
    await takeover.aclose()


async def test_the_dot_stays_until_the_other_node_tells(scene: Scene) -> None:
    taken = await scene.begin()
    assert scene.watcher.shows(1, VIENNA)
    scene.tell(taken)
    await eventually(lambda: scene.watcher.shows(1, GRAZ))
    assert 0 not in scene.shown


async def test_the_dot_goes_when_the_other_node_had_the_time_to_tell(scene: Scene) -> None:
    await scene.begin()
    await scene.pass_seconds(RETURN_SECONDS)  # it has begun to hear
    await scene.pass_seconds(HANDOVER_SECONDS)
    await eventually(lambda: not scene.watcher.dots(1))


@pytest.mark.parametrize("tells", [True, False])
async def test_with_redis_gone_within_that_second_the_dot_stays_until_the_others_had_the_time_to_come_back(
    scene: Scene, own_redis: RedisServer, tells: bool
) -> None:
    taken = await scene.begin()
    own_redis.kill()
    await eventually(lambda: not scene.old.bus.connected)
    await scene.pass_seconds(RETURN_SECONDS + HANDOVER_SECONDS)
    assert scene.watcher.shows(1, VIENNA), "nobody can know better"
    await asyncio.to_thread(own_redis.start)
    await eventually(lambda: scene.old.bus.connected and not scene.old.hub.levels().out_of_step)
    await scene.pass_seconds(HANDOVER_SECONDS)
    assert scene.watcher.shows(1, VIENNA), "the other node may find Redis later"
    if tells:
        scene.tell(taken)
        await eventually(lambda: scene.watcher.shows(1, GRAZ))
        assert 0 not in scene.shown
    else:
        await scene.pass_seconds(RETURN_SECONDS)
        await eventually(lambda: not scene.watcher.dots(1))


async def test_who_is_found_taken_over_while_the_bus_is_not_heard_goes_as_well_when_nobody_tells(
    scene: Scene, own_redis: RedisServer
) -> None:
    await scene.begin()
    scene.old.hub.put(region(VIENNA), record(2, 1, VIENNA, received_ms=now_ms()))
    await eventually(lambda: scene.watcher.shows(2, VIENNA) and not scene.old.hub.levels().unpublished)
    own_redis.kill()
    await eventually(lambda: not scene.old.bus.connected)
    scene.old.hub._superseded(2, 1)  # a connection that still answered has said so
    await asyncio.to_thread(own_redis.start)
    await eventually(lambda: scene.old.bus.connected and not scene.old.hub.levels().out_of_step)
    assert scene.watcher.shows(2, VIENNA)
    await scene.pass_seconds(RETURN_SECONDS + HANDOVER_SECONDS)
    await eventually(lambda: not scene.watcher.dots(2))

"""Whose right a dot is shown by, when Redis cannot be asked; and for how long, on a node that stood still."""

import asyncio
from uuid import uuid4

from domain.kit.clock import ManualClock
from domain.kit.sealed import Sealer
from domain.location.policies import Policies
from domain.sharing.rules import Audience
from geo.fix import Fix
from realtime.bus.connections import BusOptions
from realtime.bus.policy_cache import RedisPolicyCache
from realtime.bus.takeover import Takeover
from realtime.handlers.location.dots import Dots
from realtime.hub.forgetting import CATCH_UP_SECONDS
from realtime.hub.options import HubOptions
from server.stack import RedisServer
from tests.realtime.handlers.riding import road
from tests.realtime.hub.riders import GRAZ, NOBODY_THERE, VIENNA, Phone, make_node, region, topics_around
from tests.support.accounts import SECRET, world
from tests.support.waiting import eventually

LIFE_SECONDS = 15.0


async def test_a_takeover_without_redis_counts_from_when_the_phone_spoke(
    own_redis: RedisServer, database_url: str
) -> None:
    async with road(own_redis.url, database_url) as shared:
        rider, dots = await shared.rider(), shared.one.dots
        dot = dots.arrive(rider.number, rider.user_id)
        own_redis.pause()
        began_ms = dots.now_ms()
        taking = asyncio.create_task(dots.take(dot, rider.track, rider, connected_ms=began_ms))
        await eventually(lambda: dots.now_ms() > began_ms + 100)
        own_redis.kill()
        await taking
        assert dot.provisional
        assert dot.generation == dot.meant.spoken_ms < began_ms + 100, "who spoke later elsewhere has the dot"


async def test_who_looks_after_a_dot_while_it_is_taken_does_not_make_redis_forget_the_phone_that_takes_it(
    own_redis: RedisServer, database_url: str
) -> None:
    async with road(own_redis.url, database_url) as shared:
        rider, here, there = await shared.rider(), shared.one, shared.two
        dot = here.dots.arrive(rider.number, rider.user_id)
        own_redis.pause()
        connected_ms = here.dots.now_ms()
        taking = asyncio.create_task(here.dots.take(dot, rider.track, rider, connected_ms=connected_ms))
        await eventually(lambda: here.dots.now_ms() > connected_ms + 100)  # it was asked for by now
        reviewing = asyncio.create_task(here.follower.review())
        here.follower.policy_changed(rider.user_id, 1)
        await eventually(lambda: here.dots.now_ms() > connected_ms + 200)
        own_redis.resume()
        await asyncio.gather(taking, reviewing)
        other = there.dots.arrive(rider.number, rider.user_id)
        before_ms = connected_ms - 5_000
        await there.dots.take(other, rider.track, object(), connected_ms=before_ms)
        assert other.superseded, "a connection that the phone had before, heard late"


async def test_who_comes_from_another_node_moves_there_in_one_step(own_redis: RedisServer, database_url: str) -> None:
    """What is said where the rider was says where the rider is: what is said there may come later, or be lost."""
    async with road(own_redis.url, database_url) as shared:
        rider, here, there = await shared.rider(), shared.one, shared.two
        await here.ride(rider, VIENNA)
        await here.told()
        here.leave(rider)
        dot, now_ms = there.dots.arrive(rider.number, rider.user_id), there.dots.now_ms()
        fix = Fix(1, now_ms, *GRAZ)
        await there.dots.take(dot, rider.track, object(), connected_ms=now_ms, fix=fix, heard_ms=now_ms)
        assert there.hub.hub.known_on(rider.number) >= {region(VIENNA), region(GRAZ)}
        assert region(VIENNA) not in there.hub.hub.channels_of(rider.number)


async def test_after_a_change_the_node_with_the_newest_connection_takes_the_dot_back(
    own_redis: RedisServer, database_url: str
) -> None:
    """The one that the phone came from may think for a while that the phone is there: it knows an older place."""
    async with road(own_redis.url, database_url) as shared:
        rider, here, there = await shared.rider(), shared.one, shared.two
        await here.ride(rider, VIENNA)
        await here.told()
        before, now_ms = rider.dot, there.dots.now_ms() + 300
        assert before is not None
        await there.ride(rider, GRAZ)
        await there.told()
        here.dots.supersede(rider.number, before.generation)
        change = await shared.commit(rider, Audience.PUBLIC)
        await here.withdrawals.at_once(change)
        for node in (here, there):
            node.follower.policy_changed(change.user_id, change.version)
        await eventually(lambda: there.dots.now_ms() > now_ms and there.hub.hub.channels_of(rider.number))
        assert before.superseded


async def test_a_fix_that_came_right_before_the_node_stood_still_takes_nobody_off_the_map(database_url: str) -> None:
    clock = ManualClock()
    node = make_node(NOBODY_THERE, clock, options=HubOptions(stall_seconds=2))
    takeover, cache = Takeover(BusOptions(NOBODY_THERE)), RedisPolicyCache(BusOptions(NOBODY_THERE))
    async with world(database_url) as shared:
        user = (await shared.rider(f"rider_{uuid4().hex[:12]}")).user
        await shared.sharing.set(user.id, Audience.PUBLIC, None)
        policies = Policies(shared.sharing, cache, Sealer({"test": SECRET}, "test"))
        dots = Dots(node.hub, takeover, policies, clock, node.bus.redis_clock, life_seconds=LIFE_SECONDS)
        dot, phone = dots.arrive(user.rider, user.id), Phone()
        await dots.take(dot, uuid4(), phone, connected_ms=clock.epoch_ms())
        await node.hub.listen(phone, topics_around(VIENNA))
        dots.show(dot, Fix(0, clock.epoch_ms(), *VIENNA), clock.epoch_ms())
        await node.hub.tick()
        came_ms = clock.epoch_ms()
        await clock.turn(LIFE_SECONDS + 1)
        dots.show(dot, Fix(1, came_ms, *VIENNA), came_ms)  # what came is shown with the tick, which is late
        await node.hub.tick()
        assert phone.shows(user.rider, VIENNA), "another node may have newer news, which is to be read first"
        for _ in range(round(CATCH_UP_SECONDS)):
            await clock.turn(1)
            await node.hub.tick()
        dots.review(dot)
        await node.hub.tick()
        assert not phone.dots(user.rider)
    await asyncio.gather(takeover.aclose(), cache.aclose())

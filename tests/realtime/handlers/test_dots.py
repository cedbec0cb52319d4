"""Whose right a dot is shown by, when Redis cannot be asked."""

import asyncio

from server.stack import RedisServer
from tests.realtime.handlers.riding import road
from tests.support.waiting import eventually


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

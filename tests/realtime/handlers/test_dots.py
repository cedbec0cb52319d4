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

"""Commands for whose answers nobody waits: sent at once, in order, and accounted for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions, RedisLink
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.wire.transports import settle, turned_clock
from tests.support.redis_topologies import RedisCluster
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

INCREMENT = [("INCR", "n")]


@pytest.fixture
async def link(own_redis: RedisServer) -> AsyncIterator[RedisLink]:
    made = RedisLink(options_of(own_redis.url), name="test")
    await made.call("PING")
    yield made
    await made.aclose()


@pytest.fixture
def ends() -> list[Exception | None]:
    return []


async def test_what_is_posted_happens_in_the_order_of_all_calls(link: RedisLink, ends: list[Exception | None]) -> None:
    for turn in range(5):
        for _ in range(20):
            assert link.post(INCREMENT, ends.append)
        assert await link.call("INCR", "n") == 21 * (turn + 1)
        assert ends == [None] * 20 * (turn + 1), "answers come in order"


async def test_answers_that_nobody_waits_for_are_read_together(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        link = RedisLink(options_of(own_redis.url), name="test")
        await link.call("PING")
        ends: list[Exception | None] = []
        link.post(INCREMENT, ends.append)
        await eventually(lambda: ends == [None])
        for _ in range(10):
            link.post(INCREMENT, ends.append)
        async with Redis.from_url(own_redis.url) as other:

            async def done() -> bool:
                return await other.get("n") == b"11"

            await eventually(done)
        await settle()
        assert ends == [None], "they have happened; the answers can wait"
        await clock.turn(1)
        await eventually(lambda: ends == [None] * 11)
        await link.aclose()


async def test_who_posts_all_the_time_does_not_keep_answers_from_being_read(own_redis: RedisServer) -> None:
    ends: list[Exception | None] = []
    posts = 0
    with turned_clock() as clock:
        link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
        await link.call("PING")

        async def post_in_each_turn_of_the_loop() -> None:
            nonlocal posts
            while link.post(INCREMENT, ends.append):
                posts += 1
                await asyncio.sleep(0)

        posting = asyncio.create_task(post_in_each_turn_of_the_loop())
        for _ in range(700):  # more in all than any answer may take
            await clock.turn(0.1)
        assert not posting.done(), "Redis is well"
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        await eventually(lambda: len(ends) == posts)
        assert set(ends) == {None}
        await link.aclose()


async def test_what_redis_refuses_is_told(link: RedisLink, ends: list[Exception | None]) -> None:
    await link.call("SET", "text", "x")
    link.post([("INCR", "n"), ("INCR", "text"), ("INCR", "n")], ends.append)
    assert await link.call("GET", "n") == b"2"
    (error,) = ends
    assert isinstance(error, ResponseError)


@pytest.mark.parametrize("posts", [1, 20])
async def test_a_lost_connection_is_told_of_each(
    link: RedisLink, own_redis: RedisServer, ends: list[Exception | None], posts: int
) -> None:
    own_redis.pause()
    for _ in range(posts):
        link.post(INCREMENT, ends.append)
    own_redis.kill()
    await eventually(lambda: len(ends) == posts)
    assert None not in ends
    with contextlib.suppress(Unavailable):
        assert not link.post(INCREMENT, ends.append), "for `batch` to connect anew"
    own_redis.start()
    assert await link.call("INCR", "n") == 1
    assert len(ends) == posts


async def test_a_silent_redis_is_told_of_in_time(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
        await link.call("PING")
        ends: list[Exception | None] = []
        own_redis.pause()
        for _ in range(3):
            link.post(INCREMENT, ends.append)
        await clock.turn(59)
        assert ends == []
        await clock.turn(2)
        await eventually(lambda: [type(end) for end in ends] == [TimeoutError] * 3)
        own_redis.resume()
        await link.aclose()


async def test_closing_tells_of_what_is_under_way(own_redis: RedisServer, ends: list[Exception | None]) -> None:
    link = RedisLink(options_of(own_redis.url), name="test")
    await link.call("PING")
    own_redis.pause()
    for _ in range(3):
        link.post(INCREMENT, ends.append)
    await link.aclose()
    await eventually(lambda: len(ends) == 3)
    assert None not in ends
    own_redis.resume()


async def test_without_a_connection_and_in_a_cluster_it_is_for_others(redis_cluster: RedisCluster) -> None:
    link = RedisLink(options_of(redis_cluster.url), name="test")
    told: list[Exception | None] = []
    assert not link.post(INCREMENT, told.append)
    await link.call("INCR", "n")
    assert not link.post(INCREMENT, told.append)
    await link.aclose()
    await asyncio.sleep(0)
    assert told == []

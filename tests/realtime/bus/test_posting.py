"""Commands for whose answers nobody waits: sent at once, in order, and accounted for."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from domain.kit.redis_connections import packed
from domain.kit.redis_slots import Command
from realtime.bus.connections import BusOptions, RedisLink
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.wire.transports import settle, turned_clock
from tests.support.redis_topologies import RedisCluster
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

INCREMENT: Command = ("INCR", "n")


class Ends:
    """What was told of each post, in order; the notes are the numbers of the posts."""

    def __init__(self) -> None:
        self.errors: list[Exception | None] = []
        self._posts = 0

    def post(self, link: RedisLink, *commands: Command) -> bool:
        """Post one or several together."""
        commands = commands or (INCREMENT,)
        if not link.post(packed(commands), len(commands), self._told, self._posts):
            return False
        self._posts += 1
        return True

    def _told(self, note: int, error: Exception | None) -> None:
        assert note == len(self.errors)
        self.errors.append(error)


@pytest.fixture
async def link(own_redis: RedisServer) -> AsyncIterator[RedisLink]:
    made = RedisLink(options_of(own_redis.url), name="test")
    await made.call("PING")
    yield made
    await made.aclose()


@pytest.fixture
def ends() -> Ends:
    return Ends()


async def test_what_is_posted_happens_in_the_order_of_all_calls(link: RedisLink, ends: Ends) -> None:
    for turn in range(5):
        for _ in range(20):
            assert ends.post(link)
        assert await link.call("INCR", "n") == 21 * (turn + 1)
        assert ends.errors == [None] * 20 * (turn + 1), "answers come in order"


async def test_answers_that_nobody_waits_for_are_read_together(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        link = RedisLink(options_of(own_redis.url), name="test")
        await link.call("PING")
        ends = Ends()
        ends.post(link)
        await eventually(lambda: ends.errors == [None])
        for _ in range(10):
            ends.post(link)
        async with Redis.from_url(own_redis.url) as other:

            async def done() -> bool:
                return await other.get("n") == b"11"

            await eventually(done)
        await settle()
        assert ends.errors == [None], "they have happened; the answers can wait"
        await clock.turn(1)
        await eventually(lambda: ends.errors == [None] * 11)
        await link.aclose()


async def test_who_posts_all_the_time_does_not_keep_answers_from_being_read(own_redis: RedisServer) -> None:
    ends = Ends()
    posts = 0
    with turned_clock() as clock:
        link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
        await link.call("PING")

        async def post_in_each_turn_of_the_loop() -> None:
            nonlocal posts
            while ends.post(link):
                posts += 1
                await asyncio.sleep(0)

        posting = asyncio.create_task(post_in_each_turn_of_the_loop())
        for _ in range(700):  # more in all than any answer may take
            await clock.turn(0.1)
        assert not posting.done(), "Redis is well"
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        await eventually(lambda: len(ends.errors) == posts)
        assert set(ends.errors) == {None}
        await link.aclose()


async def test_what_redis_refuses_is_told(link: RedisLink, ends: Ends) -> None:
    await link.call("SET", "text", "x")
    ends.post(link, INCREMENT, ("INCR", "text"), INCREMENT)
    assert await link.call("GET", "n") == b"2"
    (error,) = ends.errors
    assert isinstance(error, ResponseError)


@pytest.mark.parametrize("posts", [1, 20])
async def test_a_lost_connection_is_told_of_each(
    link: RedisLink, own_redis: RedisServer, ends: Ends, posts: int
) -> None:
    own_redis.pause()
    for _ in range(posts):
        ends.post(link)
    own_redis.kill()
    await eventually(lambda: len(ends.errors) == posts)
    assert None not in ends.errors
    assert not ends.post(link), "for `batch` to connect anew"
    own_redis.start()
    assert await link.call("INCR", "n") == 1
    assert len(ends.errors) == posts


async def test_a_silent_redis_is_told_of_in_time(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
        await link.call("PING")
        ends = Ends()
        own_redis.pause()
        for _ in range(3):
            ends.post(link)
        await clock.turn(59)
        assert ends.errors == []
        await clock.turn(2)
        await eventually(lambda: [type(end) for end in ends.errors] == [TimeoutError] * 3)
        own_redis.resume()
        await link.aclose()


async def test_what_was_answered_while_this_process_stood_still_is_in_time(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
        await link.call("PING")
        ends = Ends()
        ends.post(link)
        await eventually(lambda: ends.errors == [None])
        for _ in range(3):
            ends.post(link)  # what is answered is not read for a moment
        async with Redis.from_url(own_redis.url) as other:

            async def done() -> bool:
                return await other.get("n") == b"4"

            await eventually(done)
        await clock.turn(100)
        await eventually(lambda: len(ends.errors) == 4)
        assert ends.errors == [None] * 4
        await link.aclose()


async def test_closing_tells_of_what_is_under_way(own_redis: RedisServer, ends: Ends) -> None:
    link = RedisLink(options_of(own_redis.url), name="test")
    await link.call("PING")
    own_redis.pause()
    for _ in range(3):
        ends.post(link)
    await link.aclose()
    await eventually(lambda: len(ends.errors) == 3)
    assert None not in ends.errors
    own_redis.resume()


async def test_without_a_connection_and_in_a_cluster_it_is_for_others(redis_cluster: RedisCluster) -> None:
    link = RedisLink(options_of(redis_cluster.url), name="test")
    ends = Ends()
    assert not ends.post(link)
    await link.call("INCR", "n")
    assert not ends.post(link)
    await link.aclose()
    await asyncio.sleep(0)
    assert ends.errors == []

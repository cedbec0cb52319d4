"""Every command ends within its deadline, with an answer or with Unavailable."""

import asyncio

import pytest

from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions, RedisLink, Script, heeding_cancellation
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.wire.transports import turned_clock
from tests.support.redis_topologies import ask

pytestmark = pytest.mark.usefixtures("faultless")


async def test_a_script_that_redis_forgot_is_loaded_again(own_redis: RedisServer) -> None:
    script = Script("settle")
    link = RedisLink(options_of(own_redis.url), name="test", scripts=[script])
    for _ in range(2):
        assert await link.call(*script.call(["where:{rider:1}"], 5, "region:x", 60, "one", 0)) == 1
        await link.call("SCRIPT", "FLUSH")
    await link.aclose()


async def test_only_what_was_refused_for_its_script_is_sent_again(own_redis: RedisServer) -> None:
    script = Script("settle")
    link = RedisLink(options_of(own_redis.url), name="test", scripts=[script])
    settle = script.call(["where:{rider:1}"], 5, "region:x", 60, "one", 0)
    assert await link.batch([("INCR", "n"), settle, ("INCR", "n"), settle]) == [1, 1, 2, 1]
    await link.aclose()


async def test_who_became_a_replica_is_left_for_whoever_is_the_master_now(own_redis: RedisServer) -> None:
    link = RedisLink(options_of(own_redis.url), name="test")
    before = await link.call("CLIENT", "ID")
    ask(own_redis, "REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(Unavailable):
        await link.call("SET", "key", 1)
    ask(own_redis, "REPLICAOF", "NO", "ONE")
    assert await link.call("SET", "key", 1) == b"OK"
    assert await link.call("CLIENT", "ID") > before, "the name is looked up anew"
    await link.aclose()


async def test_a_batch_fails_when_one_of_its_commands_does(own_redis: RedisServer) -> None:
    link = RedisLink(options_of(own_redis.url), name="test")
    with pytest.raises(Unavailable) as refused:
        await link.batch([("SET", "text", "x"), ("INCR", "text"), ("SET", "other", "y")])
    assert refused.value.retry_after_ms
    assert await link.batch([("GET", "text"), ("GET", "other")]) == [b"x", b"y"]
    await link.aclose()


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_a_fault_is_answered_within_twice_the_timeout(own_redis: RedisServer, fault: str) -> None:
    link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
    with turned_clock() as clock:
        await link.call("PING")
        getattr(own_redis, fault)()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await clock.within(60, link.call("PING"))
        await asyncio.to_thread(own_redis.start)
        assert await link.call("PING") == b"PONG"
        await link.aclose()


async def test_a_command_that_failed_is_not_sent_again(own_redis: RedisServer) -> None:
    link = RedisLink(BusOptions(own_redis.url, timeout_seconds=30), name="test")
    with turned_clock() as clock:
        await link.call("PING")
        own_redis.pause()
        with pytest.raises(Unavailable):
            await clock.within(60, link.call("INCR", "sent"))
        own_redis.resume()
        assert int(await link.call("GET", "sent") or 0) <= 1
        await link.aclose()


@pytest.mark.parametrize("failure", [None, ConnectionError("closed meanwhile")])
async def test_a_cancellation_that_a_library_swallows_still_ends_the_task(failure: Exception | None) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def swallow() -> int:
        try:
            await waiting
        except asyncio.CancelledError:
            if failure is not None:
                raise failure from None
            return 1
        return 0

    task = asyncio.ensure_future(heeding_cancellation(swallow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""While Redis is away it is tried again after pauses that grow and differ, and the log says why once."""

import asyncio

import pytest
import structlog

from domain.kit.clock import SystemClock
from realtime.bus.attempts import LONGEST_PAUSE_SECONDS, Attempts
from realtime.bus.connections import BusOptions
from realtime.bus.subscriber import Subscriber
from server.stack import RedisServer
from tests.support.redis_topologies import ask
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

OPTIONS = {"timeout_seconds": 10.0, "heartbeat_seconds": 2.0, "deaf_seconds": 30.0}


class HurriedClock(SystemClock):
    """Notes how long the pauses between attempts would be, and leaves them out."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds == OPTIONS["heartbeat_seconds"]:
            await asyncio.sleep(seconds)
        else:
            self.pauses.append(seconds)
            await asyncio.sleep(0)


async def test_pauses_grow_and_differ_until_redis_is_there(own_redis: RedisServer) -> None:
    options, clock = BusOptions(own_redis.url, **OPTIONS), HurriedClock()
    subscriber = Subscriber(
        clock, options, on_message=lambda channel, message: None, on_restored=lambda: None, name="test"
    )
    own_redis.refuse()
    with structlog.testing.capture_logs() as entries:
        task = asyncio.create_task(subscriber.run())
        await eventually(lambda: len(clock.pauses) > 50)
        assert 0.05 <= clock.pauses[0] <= 0.1 <= clock.pauses[1] <= 0.2
        later = clock.pauses[2:50]
        assert LONGEST_PAUSE_SECONDS / 2 <= min(later) < max(later) <= LONGEST_PAUSE_SECONDS
        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: subscriber.restored)
    said = [entry["reason"] for entry in entries if entry["event"] == "bus_unreachable"]
    assert 1 <= len(said) == len(set(said)) <= 4, "each reason once: it was reset, refused, is loading"
    clock.pauses.clear()
    ask(own_redis, "CLIENT", "KILL", "TYPE", "pubsub")
    await eventually(lambda: clock.pauses)
    assert 0.05 <= clock.pauses[0] <= 0.1, "a connection that is lost is made anew at once"
    await eventually(lambda: subscriber.connected)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_nodes_that_have_lost_redis_together_do_not_come_back_in_step() -> None:
    nodes = [Attempts(0.1) for _ in range(1000)]
    came = [sum(node.pause_seconds() for _ in range(5)) for node in nodes]
    assert max(came) - min(came) > 0.2

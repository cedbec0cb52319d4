"""Redis' time as nodes know it: exact within half a round trip, also when Redis is silent or another one answers."""

import pytest

from domain.kit.clock import ManualClock
from realtime.bus.redis_clock import RedisClock
from server.stack import RedisServer
from tests.realtime.bus.ears import ears
from tests.support.waiting import eventually

HOUR_MS = 3_600_000


class Redis:
    """A Redis whose clock is some hours ahead of ours, and the answers that it gave."""

    def __init__(self, clock: ManualClock, known: RedisClock, hours: float) -> None:
        self.clock = clock
        self.known = known
        self.ahead_ms = round(hours * HOUR_MS)

    def time_ms(self) -> int:
        return self.clock.epoch_ms() + self.ahead_ms

    async def answer(self, *, there: float, back: float) -> None:
        """TIME is asked; the question travels for so many seconds, the answer for so many."""
        asked_at = self.clock.monotonic()
        await self.clock.turn(there)
        now_ms = self.time_ms()
        await self.clock.turn(back)
        self.known.learn(asked_at, now_ms // 1000, now_ms % 1000 * 1000)

    def error_ms(self) -> int:
        return abs(self.known.now_ms() - self.time_ms())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def far(clock: ManualClock) -> Redis:
    return Redis(clock, RedisClock(clock), hours=2)


async def test_before_redis_has_answered_it_is_this_machines_time(far: Redis) -> None:
    assert far.known.now_ms() == far.clock.epoch_ms()


async def test_an_answer_that_took_long_does_not_spoil_a_quick_one(far: Redis) -> None:
    await far.answer(there=0.001, back=0.001)
    assert far.error_ms() <= 1
    await far.answer(there=1.8, back=0.0)
    assert far.error_ms() <= 1


async def test_while_redis_is_silent_its_time_goes_on(far: Redis) -> None:
    await far.answer(there=0.001, back=0.001)
    await far.clock.turn(3600)
    assert far.error_ms() <= 1


async def test_a_redis_with_another_clock_is_believed_at_once(far: Redis) -> None:
    for _ in range(5):
        await far.answer(there=0.001, back=0.001)
    far.ahead_ms = -HOUR_MS
    await far.answer(there=0.01, back=0.002)
    assert far.error_ms() <= 10


async def test_a_bus_that_hears_knows_the_time_of_redis(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two):
        await eventually(lambda: abs(one.bus.redis_clock.now_ms() - two.bus.redis_clock.now_ms()) < 20)

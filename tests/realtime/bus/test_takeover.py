"""Whose a rider's dot is: the node's whose phone came last, in whatever order Redis hears of it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
import redis

from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions
from realtime.bus.redis_bus import Where
from realtime.bus.takeover import ORDER_MS, Meant, Takeover, where_key
from server.stack import RedisServer
from tests.realtime.bus.ears import ears, options_of
from tests.realtime.wire.transports import Clock, all_of, turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

ANNA, NOBODY = 1, 999
TRACK, OTHER = "a track", "another track"
_SECONDS = 30.0
"""Redis is waited for as long, by a clock that is turned."""


def meant(*, connected: float = 0.0, spoken: float = 0.0) -> Meant:
    """Times in seconds before now."""
    now_ms = SystemClock().epoch_ms()
    return Meant(now_ms - round(connected * 1000), now_ms - round(spoken * 1000))


class Nodes:
    """Two nodes' takeovers, and what Redis makes of them."""

    def __init__(self, server: RedisServer, clock: Clock) -> None:
        options = BusOptions(server.url, timeout_seconds=_SECONDS)
        self.one, self.two = Takeover(options, "one"), Takeover(options, "two")
        self.server = server
        self._clock = clock
        self._client = redis.Redis.from_url(server.url)

    def has(self) -> str:
        """The node that has the rider's dot."""
        node: bytes = self._client.hget(where_key(ANNA), "node")  # type: ignore[assignment]
        return node.decode()

    def _carried_out(self) -> int:
        calls: int = self._client.info("commandstats")["cmdstat_evalsha"]["calls"]  # type: ignore[index]
        return calls

    async def carried_out_late(self, *takeovers: Coroutine[Any, Any, object]) -> None:
        """They are said to a Redis that is paused, and carried out when the nodes have given up."""
        for node in (self.one, self.two):
            await node.take_off(NOBODY)  # opens the connection: only then the paused Redis has the command
        before = self._carried_out()
        self.server.pause()
        outcomes = await self._clock.within(2 * _SECONDS, all_of(takeovers))
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(takeovers)
        self.server.resume()
        await eventually(lambda: self._carried_out() == before + len(takeovers))

    async def aclose(self) -> None:
        self._client.close()
        await self.one.aclose()
        await self.two.aclose()


@pytest.fixture
async def nodes(own_redis: RedisServer) -> AsyncIterator[Nodes]:
    with turned_clock() as clock:
        nodes = Nodes(own_redis, clock)
        yield nodes
        await nodes.aclose()


async def test_what_a_node_has_given_up_does_not_take_the_dot_from_the_phones_newer_connection(nodes: Nodes) -> None:
    taken = await nodes.two.take(ANNA, TRACK, meant(connected=1))
    assert taken is not None
    await nodes.carried_out_late(nodes.one.take(ANNA, TRACK, meant(connected=5)))
    assert nodes.has() == "two"
    assert await nodes.two.retake(ANNA, taken.generation, TRACK, meant(connected=1)) is not None


async def test_of_two_that_wait_in_a_paused_redis_the_newer_connection_wins(nodes: Nodes) -> None:
    older, newer = meant(connected=5), meant(connected=1)
    await nodes.carried_out_late(nodes.two.take(ANNA, TRACK, newer), nodes.one.take(ANNA, TRACK, older))
    assert nodes.has() == "two"
    newest = meant()
    await nodes.carried_out_late(nodes.two.take(ANNA, TRACK, newer), nodes.one.take(ANNA, TRACK, newest))
    assert nodes.has() == "one"


async def test_a_node_that_asks_again_with_an_older_connection_is_refused(nodes: Nodes) -> None:
    """Its clock may be ahead: a generation that it made up itself decides nothing."""
    await nodes.two.take(ANNA, TRACK, meant(connected=1))
    made_up = SystemClock().epoch_ms() + 3_600_000
    assert await nodes.one.retake(ANNA, made_up, TRACK, meant(connected=5)) is None
    assert nodes.has() == "two"


async def test_a_node_that_stood_still_does_not_take_the_dot_back(nodes: Nodes) -> None:
    """It reads late what its old connection said; another track of another phone takes the dot, however old that is."""
    assert await nodes.two.take(ANNA, TRACK, meant(connected=1, spoken=1))
    assert await nodes.one.take(ANNA, TRACK, meant(connected=5, spoken=0)) is None
    assert await nodes.one.take(ANNA, OTHER, meant(connected=5, spoken=0)) is not None


async def test_between_two_tracks_the_phone_that_spoke_up_last_has_the_dot(nodes: Nodes) -> None:
    assert await nodes.two.take(ANNA, OTHER, meant(connected=60, spoken=1))
    await nodes.carried_out_late(nodes.one.take(ANNA, TRACK, meant(connected=5, spoken=2)))
    assert nodes.has() == "two"


async def test_a_takeover_that_is_older_than_the_end_of_the_track_leaves_the_dot_off_the_map(nodes: Nodes) -> None:
    await nodes.two.take(ANNA, TRACK, meant(connected=3, spoken=3))
    assert await nodes.two.take_off(ANNA, TRACK, meant().spoken_ms) is not None
    await nodes.carried_out_late(nodes.one.take(ANNA, TRACK, meant(connected=5, spoken=2)))
    assert nodes.has() == "two"
    assert await nodes.one.retake(ANNA, 0, OTHER, meant(connected=5, spoken=2)) is not None  # nothing moves it


async def test_within_the_precision_of_clocks_the_order_of_arrival_counts(nodes: Nodes) -> None:
    now = meant()
    before = Meant(now.connected_ms - ORDER_MS // 2, now.spoken_ms)
    assert await nodes.two.take(ANNA, TRACK, now)
    assert await nodes.one.take(ANNA, TRACK, before)


async def test_a_time_that_is_yet_to_come_shuts_nobody_out(nodes: Nodes) -> None:
    await nodes.two.take(ANNA, TRACK, meant(connected=-3600, spoken=-3600))
    assert await nodes.one.take(ANNA, TRACK, meant()) is not None


async def test_a_takeover_rises_and_says_where_the_dot_was(own_redis: RedisServer) -> None:
    takeover = Takeover(options_of(own_redis.url))
    async with ears(own_redis.url, "one", "two") as (one, two):
        taken = [await takeover.take(ANNA, TRACK, meant()) for _ in range(3)]
        generations = [each.generation for each in taken if each]
        assert generations == sorted(set(generations))
        assert len(generations) == 3
        assert abs(generations[0] - SystemClock().epoch_ms()) < 60_000
        place = Where(ANNA, generations[-1], frozenset({"region:x", "rider:1"}))
        assert await one.bus.settle([place]) == set()
        assert await two.bus.settle([Where(ANNA, generations[0], frozenset())]) == {ANNA}
        off = await takeover.take_off(ANNA)
        assert off is not None
        assert off.left == {"region:x", "rider:1"}
        assert await one.bus.settle([place]) == {ANNA}
    await takeover.aclose()


async def test_a_takeover_whose_answer_was_lost_is_no_other_nodes(own_redis: RedisServer) -> None:
    with turned_clock() as clock:
        await _lose_an_answer(own_redis, clock)


async def _lose_an_answer(own_redis: RedisServer, clock: Clock) -> None:
    takeover = Takeover(BusOptions(own_redis.url, timeout_seconds=_SECONDS), "one")
    async with ears(own_redis.url, "one", "two", timeout_seconds=1000) as (one, two):
        said = meant()
        known = await takeover.take(ANNA, TRACK, said)
        assert known is not None
        own_redis.pause()
        with pytest.raises(Unavailable):
            await clock.within(2 * _SECONDS, takeover.retake(ANNA, known.generation, TRACK, said))
        own_redis.resume()  # what was given up is carried out now
        place = Where(ANNA, known.generation, frozenset({"region:x"}))

        async def raised() -> bool:
            return await two.bus.settle([place]) == {ANNA}

        await eventually(raised)
        assert await one.bus.settle([place]) == set()
        again = await takeover.retake(ANNA, known.generation, TRACK, said)
        assert again is not None
        assert again.generation > known.generation + 1
    await takeover.aclose()


async def test_many_nodes_that_take_a_rider_at_once_get_different_generations(own_redis: RedisServer) -> None:
    takeovers = [Takeover(options_of(own_redis.url)) for _ in range(10)]
    said = meant()
    taken = await asyncio.gather(*(takeover.take(ANNA, TRACK, said) for takeover in takeovers for _ in range(5)))
    assert len({each.generation for each in taken if each}) == 50
    for takeover in takeovers:
        await takeover.aclose()


async def test_a_takeover_that_is_carried_out_late_gives_way_to_the_phones_newer_connection(nodes: Nodes) -> None:
    """The later one never reached the paused Redis; its node has a generation of its own, and asks again."""
    first = await nodes.one.take(ANNA, TRACK, meant(connected=10, spoken=10))
    assert first is not None
    await nodes.carried_out_late(nodes.one.take(ANNA, TRACK, meant(connected=2, spoken=2)))
    provisional = first.generation + 1
    assert await nodes.two.retake(ANNA, provisional, TRACK, meant(connected=5, spoken=5)) is None
    assert await nodes.two.retake(ANNA, provisional, OTHER, meant()) is None
    assert await nodes.two.retake(ANNA, provisional, TRACK, meant()) is not None
    assert nodes.has() == "two"

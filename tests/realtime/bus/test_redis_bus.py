"""Publishing, keeping and settling rows: what the bus answers is what happened."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions
from realtime.bus.redis_bus import kept_in
from realtime.hub.records import Item, LiveRecord, Tombstone, outranks, pack, unpack
from server.stack import RedisServer
from tests.realtime.bus.ears import Ear, ears
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


def position(version: int, *, rider: int = 1, generation: int = 1, at: int = 1_000) -> LiveRecord:
    return LiveRecord(rider, generation, version, 4_820_000, 1_637_000, 45, 120, at, 0x891E15B46D7FFFF)


def rows(*items: Item) -> bytes:
    return b"".join(map(pack, items))


async def test_rows_reach_those_who_listen_and_not_their_sender(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "sender", "listener", "other") as (sender, listener, other):
        await listener.bus.subscribe("ride:1")
        await sender.bus.subscribe("ride:1")
        await other.bus.subscribe("ride:2")
        delivered = await sender.bus.publish({"ride:1": rows(position(1))})
        assert delivered["ride:1"].receivers == 2
        await eventually(lambda: listener.heard == [("ride:1", rows(position(1)))])
        assert sender.heard == other.heard == []


async def test_nodes_whose_names_begin_alike_hear_one_another(own_redis: RedisServer) -> None:
    machine = "a-machine-whose-name-is-forty-characters"
    async with ears(own_redis.url, f"{machine}-1a2b3c4d", f"{machine}-5e6f7a8b") as (one, two):
        await one.bus.subscribe("ride:1")
        await two.bus.subscribe("ride:1")
        await one.bus.publish({"ride:1": rows(position(1))})
        await eventually(lambda: two.heard == [("ride:1", rows(position(1)))])
        await two.bus.publish({"ride:1": rows(position(2))})
        await eventually(lambda: one.heard == [("ride:1", rows(position(2)))])


async def test_what_is_outranked_is_not_published_and_the_truth_is_answered(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two):
        await two.bus.subscribe("ride:1")
        newer = position(3, generation=2)
        await one.bus.publish({"ride:1": rows(newer)})
        delivered = await one.bus.publish({"ride:1": rows(position(9), position(1, rider=2))})
        assert delivered["ride:1"].outranked == rows(newer)
        await eventually(lambda: len(two.heard) == 2)
        assert two.heard[1] == ("ride:1", rows(position(1, rider=2)))
        assert set(unpack(await two.bus.snapshot("ride:1", 0))) == {newer, position(1, rider=2)}


async def test_publishing_the_same_again_is_harmless_and_counts_the_listeners(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two):
        await two.bus.subscribe("ride:1")
        for _ in range(3):
            delivered = await one.bus.publish({"ride:1": rows(position(1))})
            assert (delivered["ride:1"].receivers, delivered["ride:1"].outranked) == (1, b"")
        await one.bus.publish({"ride:1": rows(position(2))})
        await eventually(lambda: len(two.heard) == 2)


async def test_a_snapshot_leaves_out_what_is_too_old_and_forgets_it(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one") as (one,):
        await one.bus.publish({"ride:1": rows(position(1, at=1_000), position(1, rider=2, at=2_000))})
        assert list(unpack(await one.bus.snapshot("ride:1", 1_500))) == [position(1, rider=2, at=2_000)]
        assert list(unpack(await one.bus.snapshot("ride:1", 0))) == [position(1, rider=2, at=2_000)]


async def test_old_rows_go_as_others_are_put_whether_or_not_anybody_reads(own_redis: RedisServer) -> None:
    kept_ms = BusOptions(own_redis.url).keep_seconds * 1000
    async with ears(own_redis.url, "one") as (one,), Redis.from_url(own_redis.url) as client:
        old = [position(1, rider=rider, at=1_000) for rider in range(1, 201)]
        young = [position(1, rider=rider, at=1_001 + kept_ms) for rider in range(201, 221)]
        await one.bus.publish({"ride:1": rows(*old)})
        await one.bus.publish({"ride:1": rows(*young)})

        async def put_and_count() -> int:
            await one.bus.publish({"ride:1": rows(young[0])})
            return int(await client.hlen(kept_in("ride:1")))

        counts = [await put_and_count() for _ in range(10)]
        assert counts[-1] - len(young) >= 200 - 11 * 16, "each put looks at a few rows only"
        assert counts[-1] < counts[0]

        async def only_the_young_are_left() -> bool:
            return await put_and_count() == len(young)

        await eventually(only_the_young_are_left)
        assert set(unpack(await one.bus.snapshot("ride:1", 0))) == set(young)


_items = st.lists(
    st.one_of(
        st.builds(position, st.integers(1, 2**53), rider=st.integers(1, 2), generation=st.integers(1, 3)),
        st.builds(Tombstone, st.integers(1, 2), st.integers(1, 3), st.integers(1, 4), st.just(1_000)),
        st.builds(position, st.integers(1, 4), rider=st.integers(1, 2), generation=st.integers(1, 3)),
    ),
    min_size=1,
    max_size=12,
)


@given(_items)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_redis_keeps_the_highest_rank_whatever_the_order(redis_url: str, items: list[Item]) -> None:
    asyncio.run(_keep(redis_url, items))


async def _keep(url: str, items: list[Item]) -> None:
    bus = Ear(url, "one").bus
    await bus._link.call("DEL", "live:{ride:1}")
    best: dict[int, Item] = {}
    for item in items:
        await bus.publish({"ride:1": rows(item)})
        if item.rider not in best or outranks(item, best[item.rider]):
            best[item.rider] = item
    assert {item.rider: item for item in unpack(await bus.snapshot("ride:1", 0))} == best
    await bus._link.aclose()
    await bus._clock_link.aclose()


async def test_a_subscription_that_was_given_up_on_its_way_and_taken_again_is_heard(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two):
        for version in range(1, 20):
            first = asyncio.ensure_future(two.bus.subscribe("ride:1"))
            await asyncio.sleep(0)
            two.bus.unsubscribe("ride:1")
            await two.bus.subscribe("ride:1")
            with pytest.raises(Unavailable):
                await first
            delivered = await one.bus.publish({"ride:1": rows(position(version))})
            assert delivered["ride:1"].receivers == 1
            two.bus.unsubscribe("ride:1")


async def test_subscribing_without_redis_is_refused_at_once_and_made_good_later(own_redis: RedisServer) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two):
        own_redis.kill()
        await eventually(lambda: not one.bus.connected and not two.bus.connected)
        with pytest.raises(Unavailable):
            await two.bus.subscribe("ride:1")
        with pytest.raises(Unavailable):
            await one.bus.publish({"ride:1": rows(position(1))})
        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: two.restored == 2 and one.restored == 2)
        assert (await one.bus.publish({"ride:1": rows(position(1))}))["ride:1"].receivers == 1


@pytest.mark.parametrize("how", ["its output buffer was full", "it was killed by hand"])
async def test_a_subscriber_that_redis_has_cut_off_notices_at_once_and_hears_again(
    own_redis: RedisServer, how: str
) -> None:
    async with ears(own_redis.url, "one", "two") as (one, two), Redis.from_url(own_redis.url) as client:
        await two.bus.subscribe("ride:1")
        if how == "it was killed by hand":
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        else:
            await client.config_set("client-output-buffer-limit", "pubsub 65536 65536 1")
            many = b"".join(rows(position(1, rider=rider)) for rider in range(2, 5_000))
            await one.bus.publish({"ride:1": many})
        await eventually(lambda: two.bus.losses == 1)
        await eventually(lambda: two.restored == 2)
        assert (await one.bus.publish({"ride:1": rows(position(1))}))["ride:1"].receivers == 1
        await eventually(lambda: two.heard[-1:] == [("ride:1", rows(position(1)))])
        await eventually(lambda: two.bus.connected)

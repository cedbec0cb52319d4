"""One Redis, a master with sentinels, a cluster: everybody who uses Redis works on each, and says the same things."""

import asyncio
from uuid import uuid4

import pytest

from domain.kit.clock import ManualClock, SystemClock
from domain.kit.redis_clients import ask_masters, create_redis
from domain.tracks.entries import CLAIM_PREFIX, DEAD_LETTERS, TRACK_STREAM
from domain.tracks.lag import StreamLag, stream_lag
from realtime.bus.connections import RedisLink, Script
from realtime.bus.density import RegionCounts
from realtime.bus.nodes import Node, NodeList, NodeRegister
from realtime.bus.policy_cache import RedisPolicyCache
from realtime.bus.redis_bus import Where
from realtime.bus.takeover import Meant, Takeover
from realtime.bus.track_log import RedisTrackLog
from rest.limits import LimitOptions, RateLimits, Tier
from tests.realtime.bus.ears import ears, options_of
from tests.realtime.bus.test_control import LATER, Ears, listening
from tests.realtime.bus.test_redis_bus import position, rows
from tests.realtime.bus.test_rooms import X, asking, nodes
from tests.support.waiting import eventually
from workers.tracks.claims import ClaimExpiry
from workers.tracks.items import DeadLetter, Reason
from workers.tracks.source import StreamSource

pytestmark = pytest.mark.usefixtures("faultless")

CHANNELS = [f"ride:{number}" for number in range(8)]
"""On a cluster of three masters, on each of them."""


async def test_rows_are_published_heard_and_kept(any_redis_url: str) -> None:
    async with ears(any_redis_url, "one", "two") as (one, two):
        for channel in CHANNELS:
            await two.bus.subscribe(channel)
        delivered = await one.bus.publish({channel: rows(position(3, generation=2)) for channel in CHANNELS})
        assert [delivered[channel].receivers for channel in CHANNELS] == [1] * len(CHANNELS)
        await eventually(lambda: sorted(channel for channel, _ in two.heard) == CHANNELS)
        late = await one.bus.publish({channel: rows(position(9)) for channel in CHANNELS})
        assert {late[channel].outranked for channel in CHANNELS} == {rows(position(3, generation=2))}
        assert {await two.bus.snapshot(channel, 0) for channel in CHANNELS} == {rows(position(3, generation=2))}
        assert two.bus.connections == (3 if "cluster" in any_redis_url else 1)
        await eventually(lambda: two.bus.heard_seconds_ago() < 0.5)


async def test_dots_are_taken_over_and_settled(any_redis_url: str) -> None:
    options = options_of(any_redis_url)
    takeover = Takeover(options, "one")
    now = SystemClock().epoch_ms()
    async with ears(any_redis_url, "two") as (two,):
        taken = [await takeover.take(rider, "a track", Meant(now, now)) for rider in range(1, 7)]
        assert all(taken)
        places = [Where(rider, 1, frozenset()) for rider in range(1, 7)]
        assert await two.bus.settle(places) == set(range(1, 7)), "another node has them under later generations"
        await eventually(lambda: abs(two.bus.redis_clock.now_ms() - SystemClock().epoch_ms()) < 1000)
    await takeover.aclose()


async def test_rooms_are_told_and_answer(any_redis_url: str) -> None:
    async with nodes(any_redis_url, "one", "two") as (one, two):
        a, b = await one.join("a", "x"), await two.join("b", "x", "y")
        task = asyncio.create_task(one.emitter.ask(X, asking, within_seconds=30))
        await eventually(lambda: a.expected and b.expected)
        a.answer(1)
        b.answer(2)
        assert (await task).given == {a.sid: [1], b.sid: [2]}
        assert one.rooms.connected
        await eventually(lambda: two.rooms.heard_seconds_ago() < 1)


async def test_control_events_reach_the_other_node(any_redis_url: str) -> None:
    here, there = Ears(any_redis_url), Ears(any_redis_url)
    async with listening(here, there):
        session = uuid4()
        await here.log.session_revoked(session, LATER)
        await eventually(lambda: there.revoked == [session])


async def test_fixes_are_appended_read_and_settled(any_redis_url: str) -> None:
    log = RedisTrackLog(options_of(any_redis_url), stream_limit_bytes=1 << 30)
    redis = create_redis(any_redis_url, name="worker", timeout_seconds=10)
    source = StreamSource(redis, ManualClock(), consumer="w", entries=10, claim_idle_seconds=60, block_seconds=0.05)
    entries = [b"entry %d" % number for number in range(5)]
    tracks = [uuid4() for _ in range(6)]
    for _ in range(2):  # the second time replicas are waited for, where there are any
        await log.append(entries)
    for track in tracks:
        assert await log.claim_track(track, b"me") == b"me"
    read = await source.read(wait=True)
    assert [entry.data for entry in read] == entries * 2
    assert (await stream_lag(redis)).entries == 10
    await source.settle([entry.id for entry in read], [DeadLetter(read[0].id, Reason.UNDECODABLE, "", b"")])
    assert await redis.xlen(TRACK_STREAM) == 0
    assert await redis.xlen(DEAD_LETTERS) == 1
    assert await source.read(wait=True) == []
    assert await stream_lag(redis) == StreamLag(0, 0, 0.0)
    await ClaimExpiry(redis, ManualClock(), life_seconds=600).extend(tracks)
    assert min([await redis.ttl(f"{CLAIM_PREFIX}{track}") for track in tracks]) > 0
    await source.leave()
    await redis.aclose()
    await log.aclose()


async def test_policies_and_counts_are_kept(any_redis_url: str) -> None:
    options = options_of(any_redis_url)
    policies, rider = RedisPolicyCache(options), uuid4()
    await policies.write(rider, 2, b"sealed")
    assert await policies.read(rider) == b"sealed"
    counts = [RegionCounts(options, name, life_seconds=60, deadline_seconds=10) for name in ("one", "two")]
    for number, each in enumerate(counts):
        await each.put({1 << 40: 3 + number}, {"ride:1": {1: 1}, "ride:2": {2: 1}})
    assert await counts[1].read_others() == {1 << 40: 3}
    for each in counts:
        await each.aclose()
    await policies.aclose()


async def test_requests_are_counted_over_nodes(any_redis_url: str) -> None:
    clock, options = SystemClock(), LimitOptions(auth_per_minute=3)
    limits = [RateLimits(any_redis_url, clock, options) for _ in range(2)]
    names = [f"rider {number}" for number in range(6)]
    for name in names:
        allowances = [await limits[number % 2].hit(Tier.AUTH, name) for number in range(4)]
        assert [each.allowed for each in allowances] == [True, True, True, False]
        assert [each.remaining for each in allowances] == [2, 1, 0, 0]
    for each in limits:
        await each.close()


async def test_every_master_is_asked(any_redis_url: str) -> None:
    redis = create_redis(any_redis_url, name="looks", timeout_seconds=10)
    answers = await ask_masters(redis, "PING")
    assert len(answers) == (3 if "cluster" in any_redis_url else 1)
    assert set(map(bool, answers.values())) == {True}
    await redis.aclose()


async def test_a_batch_over_all_masters_is_answered_in_its_order(any_redis_url: str) -> None:
    script = Script("policy_put")
    link = RedisLink(options_of(any_redis_url), name="test", scripts=[script])
    keys = [f"key:{number}" for number in range(50)]
    commands = [("SET", key, number) for number, key in enumerate(keys)]
    assert await link.batch([*commands, ("TIME",), *[("GET", key) for key in keys]]) is not None
    assert await link.batch([("GET", key) for key in keys]) == [b"%d" % number for number in range(50)]
    puts = [script.call([f"policy:{number}"], 1, b"x", 60) for number in range(50)]
    assert await link.batch(puts) == [1] * 50, "loaded where it was not known, and run once"
    groups = link.together(keys, name=str)
    assert sorted(key for group in groups for key in group) == sorted(keys)
    await link.aclose()


async def test_what_asks_about_a_script_is_sent_again_with_it(any_redis_url: str) -> None:
    """As the WAIT behind an append: asked before the server knows the script, it says nothing of that write."""
    script = Script("policy_put")
    link = RedisLink(options_of(any_redis_url), name="test", scripts=[script])
    put = script.call(["policy:1"], 1, b"x", 60)
    assert await link.batch([("SET", "key", 1), put, ("SCRIPT", "EXISTS", script.sha)]) == [b"OK", 1, [1]]
    await link.aclose()


async def test_nodes_are_listed_and_leave_the_list(any_redis_url: str) -> None:
    options = options_of(any_redis_url)
    register, reader = NodeRegister(Node("one", "", 0), SystemClock(), options), NodeList(options)
    running = asyncio.create_task(register.run())
    await eventually(lambda: register.nodes == 1)
    assert [(listed.node.id, listed.silent) for listed in await reader.nodes()] == [("one", False)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await reader.nodes() == []
    await reader.aclose()

"""A rider's choice holds wherever a dot is left: of phones that have gone, while Redis or Postgres is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from domain.kit.errors import Unavailable
from domain.sharing.rules import Audience, PolicyChange, SharingPolicy
from geo.fix import Fix
from realtime.bus.takeover import where_key
from realtime.handlers.location import withdrawals
from realtime.handlers.location.dot import Dot
from server.stack import RedisServer
from tests.realtime.handlers.riding import REDIS_SECONDS, Node, Rider, Road, road
from tests.realtime.hub.riders import GRAZ, VIENNA
from tests.realtime.wire.transports import Clock, turned_clock
from tests.support.waiting import eventually


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    """That of the event loop, by which Redis is waited for."""
    with turned_clock() as clock:
        yield clock


@pytest.fixture
async def shared(own_redis: RedisServer, database_url: str, clock: Clock) -> AsyncIterator[Road]:
    async with road(own_redis.url, database_url) as shared:
        yield shared


async def assert_gone(shared: Road, rider: Rider) -> None:
    """Nobody who comes to either node now is shown the rider."""
    for node in (shared.one, shared.two):
        await node.told()
    for node in (shared.one, shared.two):
        watcher = await node.watcher(VIENNA, GRAZ)
        assert watcher.dots(rider.number) == []
        node.hub.hub.drop(watcher)


# Phones that have gone


@pytest.mark.parametrize("places", [(VIENNA,), (VIENNA, GRAZ)], ids=["first fix", "new region"])
async def test_a_phone_that_goes_in_the_tick_of_its_fix_can_be_taken_off_the_map(
    shared: Road, places: tuple[tuple[float, float], ...]
) -> None:
    rider = await shared.rider()
    await shared.one.ride(rider, places[0])
    for place in places[1:]:
        await shared.one.told()
        shared.one.move(rider, place)
    shared.one.leave(rider)
    await shared.one.told()
    assert shared.one.hub.hub.levels().riders == 0, "nothing is kept of those who have gone"
    await shared.two.sharing.set(rider.user_id, Audience.NOBODY, None)
    await assert_gone(shared, rider)


async def test_a_choice_in_the_tick_of_the_last_fix_holds(shared: Road) -> None:
    for node in (shared.one, shared.two):
        rider = await shared.rider()
        await shared.one.ride(rider)
        shared.one.leave(rider)
        await node.sharing.set(rider.user_id, Audience.NOBODY, None)
        await assert_gone(shared, rider)


async def test_a_track_that_ends_on_another_node_takes_the_dot_of_the_same_tick_along(shared: Road) -> None:
    rider = await shared.rider()
    await shared.one.ride(rider)
    shared.one.leave(rider)
    await shared.two.dots.withdraw(rider.number, mover=rider.track)
    await assert_gone(shared, rider)


class Asked:
    """Which of a node's stores in Redis were asked to go by a choice."""

    def __init__(self, node: Node) -> None:
        self.stores: set[str] = set()
        self._write, self._withdraw = node.cache.write, node.dots.withdraw_older
        node.cache.write = self.write  # type: ignore[method-assign]
        node.dots.withdraw_older = self.withdraw_older  # type: ignore[method-assign]

    async def write(self, *kept: Any) -> None:
        self.stores.add("copies")
        await self._write(*kept)

    async def withdraw_older(self, *change: Any) -> Any:
        self.stores.add("dots")
        return await self._withdraw(*change)


async def test_without_redis_a_choice_hides_the_dot_here_at_once_and_everywhere_later(
    shared: Road, own_redis: RedisServer, clock: Clock
) -> None:
    rider = await shared.rider()
    await shared.one.ride(rider)
    await shared.one.told()
    shared.one.leave(rider)
    asked = Asked(shared.one)
    watcher = await shared.one.watcher(VIENNA)
    assert watcher.shows(rider.number, VIENNA)
    own_redis.pause()
    try:
        choosing = asyncio.create_task(shared.one.sharing.set(rider.user_id, Audience.NOBODY, None))
        await eventually(lambda: asked.stores == {"copies", "dots"})  # side by side: neither of them answers
        await clock.turn(2 * REDIS_SECONDS)
        await eventually(choosing.done)
        chosen = await choosing
        await shared.one.hub.hub.tick()
        assert watcher.dots(rider.number) == []
        await clock.within(2 * REDIS_SECONDS, shared.one.settle())
        assert len(shared.one.withdrawals) == 1
        # The other node heard of it from Postgres.
        far = await shared.two.watcher(VIENNA)
        shared.two.follower.policy_found(PolicyChange(rider.user_id, rider.number, chosen.version))
        await clock.within(2 * REDIS_SECONDS, shared.two.settle())
        await shared.two.hub.hub.tick()
        assert far.dots(rider.number) == []
    finally:
        own_redis.resume()

    async def settled() -> bool:
        await shared.one.settle()
        return len(shared.one.withdrawals) == 0

    await eventually(settled)
    await assert_gone(shared, rider)


async def test_a_choice_whose_node_died_is_seen_to_by_any_other(shared: Road) -> None:
    rider = await shared.rider()
    await shared.one.ride(rider)
    await shared.one.told()
    shared.one.leave(rider)
    change = await shared.commit(rider, Audience.NOBODY)
    shared.two.follower.policy_found(change)
    await shared.two.settle()
    await assert_gone(shared, rider)


async def test_a_dot_that_is_shown_under_the_new_policy_stays(shared: Road, own_redis: RedisServer) -> None:
    """Also where nobody may see it now: the phone's node need not ask for it again."""
    redis = Redis.from_url(own_redis.url)
    zoned = await shared.rider(Audience.NOBODY)
    for rider, audience in ((await shared.rider(), Audience.FOLLOWERS), (zoned, Audience.NOBODY)):
        await shared.one.ride(rider)
        await shared.one.told()
        change = await shared.commit(rider, audience)
        shared.one.follower.policy_found(change)
        dot = rider.dot
        assert dot is not None
        await eventually(lambda dot=dot, change=change: dot.policy and dot.policy.version == change.version)
        await shared.one.told()
        shared.two.follower.policy_found(change)
        generation = dot.generation
        for node in (shared.two, shared.one):
            await node.settle()
            assert len(node.withdrawals) == 0
        shared.one.move(rider, GRAZ)
        await shared.one.told()
        assert int(await redis.hget(where_key(rider.number), "generation") or 0) == dot.generation == generation
        assert bool(dot.channels) == (audience is Audience.FOLLOWERS)
    await redis.aclose()


async def test_what_waits_is_bounded_and_the_newest_change_of_a_rider_counts(shared: Road) -> None:
    waiting, rider = shared.one.withdrawals, uuid4()
    for version in (2, 1):
        waiting.add(PolicyChange(rider, 1, version))
    assert len(waiting) == 1
    for number in range(withdrawals.MOST_WAITING):
        waiting.add(PolicyChange(uuid4(), number, 1))
    assert len(waiting) == withdrawals.MOST_WAITING


# Policies that are older than one that is known


class Held:
    """The service, whose answer to the next question comes late."""

    def __init__(self, node: Node) -> None:
        self._sharing = node.policies._sharing
        self._cache = node.policies._cache
        self.read, self.go_on = asyncio.Event(), asyncio.Event()
        node.policies._cache = self  # type: ignore[assignment]

    async def write(self, *kept: object) -> None:
        """The first one waits, after Postgres was read."""
        if not self.read.is_set():
            self.read.set()
            await self.go_on.wait()
        await self._cache.write(*kept)  # type: ignore[arg-type]


async def test_a_policy_that_was_read_before_the_change_does_not_replace_the_newer_one(shared: Road) -> None:
    rider, held = await shared.rider(), Held(shared.one)
    taking = asyncio.create_task(shared.one.ride(rider))
    await held.read.wait()
    dot = rider.dot
    assert dot is not None
    assert dot.hear((await shared.commit(rider, Audience.NOBODY)).version)
    held.go_on.set()
    await taking
    assert dot.policy is not None
    assert (dot.policy.audience, dot.channels) == (Audience.NOBODY, frozenset())


async def test_a_change_that_is_heard_while_the_phone_arrives_holds(shared: Road) -> None:
    rider, held = await shared.rider(), Held(shared.one)
    taking = asyncio.create_task(shared.one.ride(rider))
    await held.read.wait()
    shared.one.follower.policy_found(await shared.commit(rider, Audience.NOBODY))
    dot = rider.dot
    assert dot is not None
    await eventually(lambda: dot.policy is not None)
    held.go_on.set()
    await taking
    assert dot.policy is not None
    assert (dot.policy.audience, dot.channels) == (Audience.NOBODY, frozenset())


async def test_who_was_refused_shows_nothing_once_the_policy_is_known_at_last(shared: Road) -> None:
    """The phone has come back meanwhile: what it said on the connection before is old."""
    rider, held, dots = await shared.rider(), Held(shared.one), shared.one.dots
    now_ms, phone = dots.now_ms(), object()
    elsewhere = shared.two.dots.arrive(rider.number, rider.user_id)
    await shared.two.dots.take(elsewhere, rider.track, phone, connected_ms=now_ms - 5_000)
    dot, said = dots.arrive(rider.number, rider.user_id), [Fix(seq, now_ms, *VIENNA) for seq in (1, 2)]
    late = dots.take(dot, rider.track, phone, connected_ms=now_ms - 10_000, fix=said[0], heard_ms=now_ms)
    taking = asyncio.create_task(late)
    await held.read.wait()
    await eventually(lambda: dot.superseded)
    await dots.take(dot, rider.track, rider, connected_ms=now_ms, fix=said[1], heard_ms=now_ms)
    held.go_on.set()
    await taking
    assert (dot.superseded, dot.fix) == (False, said[1])


def test_a_dot_never_goes_back_to_an_older_policy() -> None:
    one, two, three = [SharingPolicy(Audience.PUBLIC, None, (), version) for version in (1, 2, 3)]
    dot = Dot(1, uuid4())
    dot.learn(two)
    dot.learn(one)
    assert dot.policy == two
    assert not dot.hear(2)
    assert dot.hear(3)
    dot.learn(two)
    assert dot.policy is None
    dot.learn(three)
    assert dot.policy == three


# Copies for the time without Postgres


async def test_a_copy_that_could_not_be_renewed_does_not_outlive_the_change(
    shared: Road, own_redis: RedisServer
) -> None:
    rider = await shared.rider()
    assert await shared.one.policies.find(rider.user_id)
    own_redis.refuse()
    try:
        await shared.one.sharing.set(rider.user_id, Audience.NOBODY, None)
    finally:
        own_redis.start()

    async def renewed() -> bool:
        await shared.one.settle()
        return len(shared.one.withdrawals) == 0

    await eventually(renewed)
    kept = await shared.two.policies._kept(rider.user_id)
    assert kept is not None
    assert kept.audience is Audience.NOBODY


async def test_an_older_copy_is_dropped_and_one_that_is_written_late_is_refused(shared: Road) -> None:
    rider, cache = await shared.rider(), shared.one.cache
    older = await shared.one.policies.find(rider.user_id)
    assert older is not None
    sealed = await cache.read(rider.user_id)
    assert sealed is not None
    assert await cache.drop_older(rider.user_id, older.version + 1)
    assert await cache.read(rider.user_id) is None
    await cache.write(rider.user_id, older.version, sealed)
    assert await cache.read(rider.user_id) is None
    await cache.write(rider.user_id, older.version + 1, sealed)
    assert not await cache.drop_older(rider.user_id, older.version + 1)
    assert await cache.read(rider.user_id) == sealed


async def test_a_choice_is_announced_though_postgres_dies_after_the_commit(shared: Road) -> None:
    rider = await shared.rider()
    await shared.one.ride(rider)
    await shared.one.told()
    shared.one.leave(rider)
    change = await shared.commit(rider, Audience.NOBODY)

    class Gone:
        async def policy_of(self, _user_id: object) -> SharingPolicy:
            raise Unavailable("Postgres is away")

    shared.two.policies._sharing = Gone()  # type: ignore[assignment]
    await shared.two.sharing._policy.policy_changed(change)
    assert shared.two.hints.told == [(rider.user_id, change.version)]
    await assert_gone(shared, rider)

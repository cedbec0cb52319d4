"""Two nodes over a real Redis: one map, whoever is connected where."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions
from realtime.bus.takeover import Meant, Taken, Takeover
from server.stack import RedisServer
from tests.realtime.hub.riders import (
    GRAZ,
    VIENNA,
    Ahead,
    Node,
    Phone,
    make_node,
    now_ms,
    record,
    region,
    running,
    tombstone,
    topics_around,
    two_nodes,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

NEXT_DOOR = (48.2083, 16.3900)


@pytest.fixture
async def nodes(own_redis: RedisServer) -> AsyncIterator[tuple[Node, Node]]:
    async with two_nodes(own_redis.url) as pair:
        yield pair


@pytest.fixture
async def redis(own_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url, protocol=2) as client:
        yield client


@pytest.fixture
async def takeover(own_redis: RedisServer) -> AsyncIterator[Takeover]:
    takeover = Takeover(BusOptions(own_redis.url))
    yield takeover
    await takeover.aclose()


def put(node: Node, version: int, place: tuple[float, float], *, rider: int = 1, generation: int = 1) -> None:
    node.hub.put(region(place), record(rider, version, place, generation=generation, received_ms=now_ms()))


async def test_a_rider_on_one_node_is_seen_by_a_watcher_on_the_other(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    phone = Phone()
    await there.hub.listen(phone, topics_around(VIENNA))
    for version in range(1, 5):
        place = (48.2082 + version * 1e-4, 16.3738)
        put(here, version, place)
        await eventually(lambda place=place: phone.shows(1, place))


async def test_a_late_watcher_gets_the_other_nodes_riders_in_its_snapshot(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    put(here, 1, VIENNA)
    await eventually(lambda: here.hub.levels().unpublished == 0)
    phone = Phone()
    await there.hub.listen(phone, topics_around(VIENNA))
    assert phone.frames[0]["snapshot"]
    assert phone.shows(1, VIENNA)


async def test_a_channel_is_subscribed_only_while_somebody_listens(nodes: tuple[Node, Node], redis: Redis) -> None:
    here, there = nodes
    channel = f"bus:{{{region(VIENNA)}}}".encode()

    async def subscribed() -> bool:
        return channel in await redis.execute_command("PUBSUB", "SHARDCHANNELS")

    put(here, 1, VIENNA)
    assert not await subscribed()
    phone = Phone()
    await there.hub.listen(phone, topics_around(VIENNA))
    assert await subscribed()
    there.hub.drop(phone)
    await eventually(lambda: _not(subscribed()))
    assert there.hub.levels().channels == 0


async def _not(condition: object) -> bool:
    return not await condition  # type: ignore[misc]


async def test_a_rider_knows_that_somebody_on_another_node_watches(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    put(here, 1, VIENNA)
    await eventually(lambda: here.hub.levels().unpublished == 0)
    assert not here.hub.watched(1)
    phone = Phone()
    await there.hub.listen(phone, topics_around(VIENNA))
    put(here, 2, VIENNA)
    await eventually(lambda: here.hub.watched(1))
    there.hub.drop(phone)
    await eventually(lambda: there.bus.subscriptions == 0)
    put(here, 3, VIENNA)
    await eventually(lambda: not here.hub.watched(1))


async def test_a_rider_between_regions_is_one_dot_on_the_other_node_at_every_frame(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    phone = Phone()
    await there.hub.listen(phone, topics_around(VIENNA, GRAZ))
    put(here, 1, GRAZ)
    await eventually(lambda: phone.shows(1, GRAZ))
    nowhere = 0

    def look() -> None:
        nonlocal nowhere
        nowhere += not phone.dots(1)

    phone.on_frame = look
    for version in range(2, 12):
        place = (GRAZ, VIENNA)[version % 2]
        put(here, version, place)
        await eventually(lambda place=place: phone.shows(1, place))
    assert nowhere == 0


async def test_no_update_is_lost_between_the_subscription_and_the_snapshot(nodes: tuple[Node, Node]) -> None:
    """Positions stream in while watchers come: each sees the newest in the end, and never goes back to an older one."""
    here, there = nodes
    phones: list[Phone] = []
    version = 0

    async def ride() -> None:
        nonlocal version
        while True:
            version += 1
            put(here, version, (48.2 + version * 1e-5, 16.37))
            await asyncio.sleep(0)

    riding = asyncio.ensure_future(ride())
    for number in range(40):
        phone = Phone(f"phone-{number}")
        phones.append(phone)
        await there.hub.listen(phone, topics_around((48.2, 16.37), resolution=5))
        if number % 3 == 0:
            there.hub.drop(phones.pop(0))
    riding.cancel()
    newest = (48.2 + version * 1e-5, 16.37)
    await eventually(lambda: all(phone.shows(1, newest) for phone in phones))
    for phone in phones:
        norths = [row[1] for frame in phone.frames for row in frame.get("riders", ())]
        assert norths == sorted(norths)


async def taken_by(takeover: Takeover) -> Taken:
    """A phone of rider 1 connects now, and speaks up."""
    taken = await takeover.take(1, "a track", Meant(now_ms(), now_ms()))
    assert taken is not None
    return taken


async def test_a_takeover_leaves_one_dot_and_the_old_node_cannot_bring_it_back(
    nodes: tuple[Node, Node], takeover: Takeover
) -> None:
    old, new = nodes
    phone = Phone()
    await new.hub.listen(phone, topics_around(VIENNA, GRAZ))
    first = await taken_by(takeover)
    put(old, 1, VIENNA, generation=first.generation)
    await eventually(lambda: phone.shows(1, VIENNA))

    second = await taken_by(takeover)
    assert second.generation > first.generation
    assert second.left == {region(VIENNA)}
    new.hub.put(region(GRAZ), record(1, 1, GRAZ, generation=second.generation, received_ms=now_ms()), left=second.left)
    await eventually(lambda: phone.shows(1, GRAZ))
    put(old, 2, VIENNA, generation=first.generation)
    await eventually(lambda: old.hub.levels().unpublished == 0)
    late = Phone("late")
    await old.hub.listen(late, topics_around(VIENNA, GRAZ))
    await eventually(lambda: late.shows(1, GRAZ))
    assert phone.shows(1, GRAZ)


async def test_a_node_that_was_passed_cannot_put_the_dot_where_it_never_was(
    nodes: tuple[Node, Node], takeover: Takeover
) -> None:
    old, new = nodes
    berlin = (52.52, 13.405)
    phone = Phone()
    await new.hub.listen(phone, topics_around(VIENNA, berlin))
    first = await taken_by(takeover)
    put(old, 1, GRAZ, generation=first.generation)
    await eventually(lambda: old.hub.levels().unpublished == 0)
    second = await taken_by(takeover)
    new.hub.put(
        region(VIENNA), record(1, 1, VIENNA, generation=second.generation, received_ms=now_ms()), left=second.left
    )
    await eventually(lambda: new.hub.levels().unpublished == 0)
    put(old, 2, berlin, generation=first.generation)
    await eventually(lambda: old.superseded == [1])
    assert old.hub.channels_of(1) == frozenset()
    await eventually(lambda: old.hub.levels().unpublished == 0)
    assert phone.shows(1, VIENNA)


async def test_a_node_that_was_paused_asks_before_it_publishes(own_redis: RedisServer, takeover: Takeover) -> None:
    """Also on a channel where it was before, after every trace of the takeover there has grown old."""
    clock = SystemClock()
    old, new = make_node(own_redis.url, clock, name="old"), make_node(own_redis.url, clock, name="new")
    async with running(old, new):
        phone = Phone()
        await new.hub.listen(phone, topics_around(VIENNA))
        first = await taken_by(takeover)
        put(old, 1, VIENNA, generation=first.generation)
        await eventually(lambda: phone.shows(1, VIENNA))
        second = await taken_by(takeover)
        put(new, 1, GRAZ, generation=second.generation)
        new.hub.remove(region(VIENNA), tombstone(1, 1, generation=second.generation, at_ms=now_ms()))
        await eventually(lambda: phone.dots(1) == [])
        async with Redis.from_url(own_redis.url) as client:
            await client.delete(f"live:{{{region(VIENNA)}}}")
        new.hub.drop(phone)
        old.hub._standstill._alive_at -= 10  # it did not run for ten seconds
        put(old, 2, VIENNA, generation=first.generation)
        await eventually(lambda: old.superseded == [1])
        await new.hub.listen(phone, topics_around(VIENNA))
        assert phone.dots(1) == []


async def test_a_dead_nodes_dots_go_when_their_age_ends_them(own_redis: RedisServer) -> None:
    clock = Ahead()
    alive = make_node(own_redis.url, clock, name="alive")
    dead = make_node(own_redis.url, clock, name="dead")
    phone = Phone()
    async with running(alive):
        async with running(dead):
            old = now_ms() - 200_000
            dead.hub.put(region(VIENNA), record(1, 1, VIENNA, received_ms=old))
            await eventually(lambda: dead.hub.levels().unpublished == 0)
        await alive.hub.listen(phone, topics_around(VIENNA))
        assert phone.shows(1, VIENNA)
        clock.ahead_ms = 100_001
        await eventually(lambda: phone.dots(1) == [])


async def test_a_rider_of_a_closed_circle_is_seen_only_by_those_who_listen_to_it(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    friend, stranger = Phone("friend"), Phone("stranger")
    await there.hub.listen(friend, {"rider:1"})
    await there.hub.listen(stranger, topics_around(VIENNA) | {"rider:2"})
    here.hub.put("rider:1", record(1, 1, VIENNA, received_ms=now_ms()))
    await eventually(lambda: friend.shows(1, VIENNA))
    assert stranger.dots(1) == []


async def test_nothing_is_left_when_everybody_has_gone(nodes: tuple[Node, Node], redis: Redis) -> None:
    here, there = nodes
    phones = [Phone(f"phone-{number}") for number in range(20)]
    await asyncio.gather(*(there.hub.listen(phone, topics_around(VIENNA, NEXT_DOOR, GRAZ)) for phone in phones))
    put(here, 1, VIENNA)
    await eventually(lambda: all(phone.shows(1, VIENNA) for phone in phones))
    for phone in phones:
        there.hub.drop(phone)
    levels = there.hub.levels()
    assert (levels.listeners, levels.topics, levels.channels, levels.out_of_step) == (0, 0, 0, 0)
    await eventually(lambda: _only_proofs(redis))


async def _only_proofs(redis: Redis) -> bool:
    channels = await redis.execute_command("PUBSUB", "SHARDCHANNELS")
    return all(channel.startswith(b"proof:") for channel in channels)

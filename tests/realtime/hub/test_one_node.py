"""What one node does for its own riders and listeners; no Redis is needed for any of it."""

import asyncio

import pytest

from domain.kit.clock import ManualClock
from realtime.hub.options import HubOptions
from realtime.wire.packets import Lane
from tests.realtime.hub.riders import (
    GRAZ,
    NEXT_DOOR,
    NOBODY_THERE,
    VIENNA,
    Node,
    Phone,
    make_node,
    record,
    region,
    tombstone,
    topics_around,
)

BOTH = topics_around(VIENNA, NEXT_DOOR)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def node(clock: ManualClock) -> Node:
    return make_node(NOBODY_THERE, clock, options=HubOptions(slow_packets=10, stall_seconds=1000))


def _put(node: Node, clock: ManualClock, version: int, place: tuple[float, float], rider: int = 1) -> None:
    node.hub.put(region(place), record(rider, version, place, received_ms=clock.epoch_ms()))


async def test_a_listener_gets_a_snapshot_first_and_then_what_changes(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    _put(node, clock, 1, VIENNA)
    await node.hub.listen(phone, BOTH)
    assert all(frame["snapshot"] for frame in phone.frames)
    assert {frame["topic"] for frame in phone.frames} == BOTH
    assert phone.shows(1, VIENNA)
    await node.hub.tick()
    phone.frames.clear()
    _put(node, clock, 2, (48.2083, 16.3738))
    await node.hub.tick()
    (frame,) = phone.frames
    assert "snapshot" not in frame
    assert "origin" not in frame
    assert phone.shows(1, (48.2083, 16.3738))


async def test_a_tick_without_news_sends_nothing(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    _put(node, clock, 1, VIENNA)
    await node.hub.listen(phone, BOTH)
    await node.hub.tick()
    phone.packets.clear()
    await node.hub.tick()
    _put(node, clock, 1, VIENNA)
    await node.hub.tick()
    assert phone.packets == []


async def test_each_frame_is_encoded_once_for_all_listeners(node: Node, clock: ManualClock) -> None:
    phones = [Phone(f"phone-{number}") for number in range(50)]
    for phone in phones:
        await node.hub.listen(phone, BOTH)
        phone.packets.clear()
    for rider in range(20):
        _put(node, clock, 1, VIENNA, rider)
    await node.hub.tick()
    assert all(len(phone.packets) == 1 for phone in phones)
    assert len({id(phone.packets[0]) for phone in phones}) == 1
    assert phones[0].packets[0].lane is Lane.LIVE


async def test_a_rider_between_cells_is_one_dot_at_every_frame_boundary(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    await node.hub.listen(phone, BOTH)
    for version in range(1, 9):
        place = (VIENNA, NEXT_DOOR)[version % 2]
        _put(node, clock, version, place)
        phone.on_frame = lambda: _assert_present(phone)
        await node.hub.tick()
        assert phone.shows(1, place)


def _assert_present(phone: Phone) -> None:
    """Arrivals come before departures: a moving dot is never nowhere."""
    assert phone.dots(1)


async def test_a_rider_between_regions_is_one_dot(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    await node.hub.listen(phone, topics_around(VIENNA, GRAZ))
    for version in range(1, 7):
        place = (VIENNA, GRAZ)[version % 2]
        _put(node, clock, version, place)
        await node.hub.tick()
        assert phone.shows(1, place)
        assert node.hub.channels_of(1) == {region(place)}


async def test_a_removed_rider_is_gone_and_stays_gone_for_older_news(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    await node.hub.listen(phone, BOTH)
    _put(node, clock, 5, VIENNA)
    await node.hub.tick()
    node.hub.remove(region(VIENNA), tombstone(1, 6, at_ms=clock.epoch_ms()))
    await node.hub.tick()
    assert phone.frames[-1]["gone"] == [1]
    node.hub.merge(region(VIENNA), [record(1, 5, VIENNA, received_ms=clock.epoch_ms())])
    await node.hub.tick()
    assert phone.dots(1) == []
    assert node.hub.channels_of(1) == frozenset()


async def test_after_standing_still_for_longer_than_a_position_lives_news_is_read_before_dots_are_forgotten(
    node: Node, clock: ManualClock
) -> None:
    """A node that was paused: what came meanwhile is in its buffers, and nobody may vanish until it has been read."""
    phone = Phone()
    for rider in (1, 2):
        _put(node, clock, 1, VIENNA, rider)
    await node.hub.listen(phone, BOTH)
    await clock.turn(1200)
    for _ in range(4):
        await node.hub.tick()
        assert phone.shows(1, VIENNA)
        assert phone.shows(2, VIENNA)
        await clock.turn(1)
    node.hub.merge(region(VIENNA), [record(1, 2, VIENNA, received_ms=clock.epoch_ms())])
    await clock.turn(1)
    await node.hub.tick()
    assert phone.shows(1, VIENNA)
    assert not phone.dots(2)


async def test_a_rider_whom_another_node_has_taken_over_is_shown_until_that_node_can_be_heard(
    node: Node, clock: ManualClock
) -> None:
    """Redis said so, and the channel with the new place is on a master that is away, or has not been read yet."""
    phone = Phone()
    _put(node, clock, 1, VIENNA)
    await node.hub.listen(phone, BOTH)
    node.hub._superseded(1, 1)
    await node.hub.tick()
    assert phone.shows(1, VIENNA)
    assert node.hub.channels_of(1) == frozenset()
    node.hub.merge(region(NEXT_DOOR), [record(1, 1, NEXT_DOOR, generation=2, received_ms=clock.epoch_ms())])
    await node.hub.tick()
    assert phone.shows(1, NEXT_DOOR)
    assert node.superseded == [1]


async def test_a_dot_without_news_goes_after_its_age_limit(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    await node.hub.listen(phone, BOTH)
    _put(node, clock, 1, VIENNA)
    await node.hub.tick()
    await clock.turn(300)
    await node.hub.tick()
    assert phone.shows(1, VIENNA)
    await clock.turn(1.5)
    await node.hub.tick()
    assert phone.dots(1) == []
    node.hub.drop(phone)
    assert node.hub.levels().riders == node.hub.levels().channels == node.hub.levels().unpublished == 0


async def test_a_slow_listener_is_passed_over_and_then_gets_one_snapshot_a_topic(
    node: Node, clock: ManualClock
) -> None:
    slow, quick = Phone("slow"), Phone("quick")
    for phone in (slow, quick):
        await node.hub.listen(phone, BOTH)
    slow.reads = False
    slow.unread = 11
    for version in range(1, 200):
        _put(node, clock, version, (VIENNA, NEXT_DOOR)[version % 2])
        await node.hub.tick()
    assert quick.shows(1, NEXT_DOOR)
    assert slow.unread == 11, "nothing more was queued for it"
    assert node.hub.levels().slow_listeners == 1
    slow.frames.clear()
    slow.read_all()
    await node.hub.tick()
    assert sorted(frame["topic"] for frame in slow.frames) == sorted(BOTH)
    assert all(frame["snapshot"] for frame in slow.frames)
    assert slow.shows(1, NEXT_DOOR)
    assert node.hub.levels().slow_listeners == 0


async def test_a_slow_listener_that_leaves_is_forgotten(node: Node, clock: ManualClock) -> None:
    slow = Phone("slow")
    await node.hub.listen(slow, BOTH)
    slow.unread = 11
    _put(node, clock, 1, VIENNA)
    await node.hub.tick()
    node.hub.drop(slow)
    levels = node.hub.levels()
    assert (levels.listeners, levels.slow_listeners, levels.topics) == (0, 0, 0)


async def test_news_during_a_tick_belong_to_the_next_one(clock: ManualClock) -> None:
    node = make_node(NOBODY_THERE, clock, options=HubOptions(slice_seconds=0))
    phone = Phone()
    await node.hub.listen(phone, topics_around(VIENNA, NEXT_DOOR, GRAZ))
    for place, rider in ((VIENNA, 1), (NEXT_DOOR, 2), (GRAZ, 3)):
        _put(node, clock, 1, place, rider)
    tick = asyncio.ensure_future(node.hub.tick())
    await asyncio.sleep(0)
    assert not tick.done(), "with slices of no length it rests after each topic"
    _put(node, clock, 2, NEXT_DOOR, 1)
    await tick
    assert phone.shows(1, VIENNA)
    await node.hub.tick()
    assert phone.shows(1, NEXT_DOOR)


async def test_a_tick_lets_the_loop_turn_between_slices(clock: ManualClock) -> None:
    node = make_node(NOBODY_THERE, clock, options=HubOptions(slice_seconds=0))
    for number in range(300):
        await node.hub.listen(Phone(f"phone-{number}"), BOTH)
    _put(node, clock, 1, VIENNA)
    turns = 0
    tick = asyncio.ensure_future(node.hub.tick())
    while not tick.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 300 // 64


async def test_leaving_ends_everything_that_listening_began(node: Node, clock: ManualClock) -> None:
    phone, other = Phone("one"), Phone("other")
    await node.hub.listen(phone, BOTH)
    await node.hub.listen(other, topics_around(VIENNA))
    node.hub.unlisten(phone, BOTH)
    assert node.hub.levels().topics == 1
    node.hub.drop(other)
    levels = node.hub.levels()
    assert (levels.topics, levels.listeners, levels.channels, levels.out_of_step) == (0, 0, 0, 0)
    assert node.bus.subscriptions == 0


async def test_listening_again_to_the_same_topic_changes_nothing(node: Node) -> None:
    phone = Phone()
    await node.hub.listen(phone, BOTH)
    phone.frames.clear()
    await node.hub.listen(phone, BOTH)
    assert phone.frames == []


async def test_a_cell_that_cannot_be_watched_is_refused(node: Node) -> None:
    for topic in ("cell:nonsense", "cell:8428309ffffffff", "cell:"):
        with pytest.raises(ValueError, match=r"cell|resolution"):
            await node.hub.listen(Phone(), {topic})


async def test_watched_is_true_while_somebody_here_listens_to_the_riders_cell(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    _put(node, clock, 1, VIENNA)
    assert not node.hub.watched(1)
    await node.hub.listen(phone, topics_around(NEXT_DOOR))
    assert not node.hub.watched(1)
    await node.hub.listen(phone, topics_around(VIENNA))
    assert node.hub.watched(1)
    node.hub.drop(phone)
    assert not node.hub.watched(1)


async def test_a_topic_of_one_rider_has_the_riders_first_place_as_origin(node: Node, clock: ManualClock) -> None:
    phone = Phone()
    await node.hub.listen(phone, {"rider:1"})
    assert phone.frames == [{"topic": "rider:1", "snapshot": True}]
    node.hub.put("rider:1", record(1, 1, VIENNA, received_ms=clock.epoch_ms()))
    await node.hub.tick()
    assert phone.frames[-1]["origin"] == list(VIENNA)
    assert phone.shows(1, VIENNA)


async def test_the_origin_follows_a_rider_who_rides_far_also_across_the_antimeridian(
    node: Node, clock: ManualClock
) -> None:
    phone = Phone()
    await node.hub.listen(phone, {"rider:1"})
    for version in range(1, 30):
        longitude = 179.0 + version * 0.1
        place = (-17.0, longitude if longitude <= 180 else longitude - 360)
        node.hub.put("rider:1", record(1, version, place, received_ms=clock.epoch_ms()))
        await node.hub.tick()
        ((_, east),) = phone.dots(1)
        assert (east - round(place[1] * 1e5)) % 36_000_000 == 0
        offset = phone.frames[-1]["riders"][0][2]
        assert abs(offset) <= 50_000
    assert sum(frame.get("snapshot", False) for frame in phone.frames) < 10


async def test_riders_far_apart_on_one_topic_do_not_move_its_origin_at_every_tick(
    node: Node, clock: ManualClock
) -> None:
    phone = Phone()
    await node.hub.listen(phone, {"group:1"})
    for version in range(1, 20):
        for rider, place in ((1, VIENNA), (2, (40.4, -3.7))):
            node.hub.put("group:1", record(rider, version, place, received_ms=clock.epoch_ms()))
        await node.hub.tick()
    assert sum(frame.get("snapshot", False) for frame in phone.frames) == 2


async def test_ticks_keep_to_the_clock_and_leave_out_what_they_missed(clock: ManualClock) -> None:
    node = make_node(NOBODY_THERE, clock, options=HubOptions(tick_seconds=0.2))
    phone = Phone()
    await node.hub.listen(phone, BOTH)
    phone.frames.clear()
    ticking = asyncio.ensure_future(node.hub._tick_for_ever())
    await asyncio.sleep(0)
    for version in range(1, 26):
        _put(node, clock, version, VIENNA)
        await clock.turn(0.2)
    assert len(phone.frames) == 25
    await clock.turn(60)
    _put(node, clock, 26, VIENNA)
    await clock.turn(0.2)
    assert len(phone.frames) == 26
    ticking.cancel()

"""Where a crowd moves, every other tick is enough; who comes or goes is shown at once all the same."""

import pytest

from domain.kit.clock import ManualClock
from realtime.hub.options import HubOptions
from tests.realtime.hub.riders import (
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

CROWD = 3


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def crowd(clock: ManualClock) -> tuple[Node, Phone]:
    """A crowd in one cell, watched with the cell next to it; its snapshot has been sent, and one tick has passed."""
    node = make_node(NOBODY_THERE, clock, options=HubOptions(crowd_riders=CROWD))
    phone = Phone()
    move(node, clock, 1)
    await node.hub.listen(phone, topics_around(VIENNA, NEXT_DOOR))
    await node.hub.tick()
    phone.frames.clear()
    return node, phone


def move(node: Node, clock: ManualClock, version: int, riders: int = CROWD) -> None:
    for rider in range(riders):
        place = (VIENNA[0] + version / 10_000, VIENNA[1])
        node.hub.put(region(VIENNA), record(rider, version, place, received_ms=clock.epoch_ms()))


async def test_a_crowd_that_moves_is_sent_every_other_tick(crowd: tuple[Node, Phone], clock: ManualClock) -> None:
    node, phone = crowd
    sent = []
    for version in range(2, 8):
        move(node, clock, version)
        await node.hub.tick()
        sent.append(len(phone.frames))
        phone.frames.clear()
    assert sorted(sent) == [0, 0, 0, 1, 1, 1]
    assert sent in ([0, 1] * 3, [1, 0] * 3)
    await node.hub.tick()
    assert phone.shows(1, (VIENNA[0] + 7 / 10_000, VIENNA[1]))


async def test_who_leaves_a_crowd_is_gone_at_the_next_tick(crowd: tuple[Node, Phone], clock: ManualClock) -> None:
    node, phone = crowd
    for rider in range(2):  # in either kind of tick
        node.hub.remove(region(VIENNA), tombstone(rider, 9, at_ms=clock.epoch_ms()))
        await node.hub.tick()
        assert phone.dots(rider) == []


async def test_who_crosses_from_a_crowd_is_one_dot_at_every_tick(crowd: tuple[Node, Phone], clock: ManualClock) -> None:
    node, phone = crowd
    for version, place in enumerate((NEXT_DOOR, VIENNA, NEXT_DOOR, VIENNA), 2):
        node.hub.put(region(place), record(1, version, place, received_ms=clock.epoch_ms()))
        await node.hub.tick()
        assert phone.shows(1, place)

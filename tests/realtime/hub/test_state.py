"""Merging: in any order, any number of times, the highest rank is the truth and a rider is in one region."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.hub.records import Item, LiveRecord, outranks
from realtime.hub.state import LiveState
from realtime.hub.topics import region_of
from tests.realtime.hub.riders import GRAZ, VIENNA, record, tombstone

BERLIN = (52.52, 13.405)
_PLACES = (VIENNA, GRAZ, BERLIN)


def _nobody(channel: str, item: Item) -> None:
    raise AssertionError("nothing here is this node's own")


def _region(place: tuple[float, float]) -> str:
    return region_of(record(0, 0, place, received_ms=0).cell)


@st.composite
def journeys(draw: st.DrawFn) -> list[tuple[str, Item]]:
    """What nodes publish for a few riders who move between regions, vanish and are taken over."""
    published: list[tuple[str, Item]] = []
    for rider in range(draw(st.integers(1, 3))):
        region: str | None = None
        generation = 1
        for version in range(1, draw(st.integers(1, 6)) + 1):
            generation += draw(st.booleans())
            if draw(st.integers(0, 3)) == 0:
                if region is not None:
                    published.append((region, tombstone(rider, version, generation=generation, at_ms=0)))
                region = None
                continue
            item = record(rider, version, draw(st.sampled_from(_PLACES)), generation=generation, received_ms=0)
            target = region_of(item.cell)
            if region not in (None, target):
                published.append((region, item))
            published.append((target, item))
            region = target
    return published


def _final(published: list[tuple[str, Item]]) -> dict[tuple[str, int], Item]:
    """The highest rank of each rider in each region."""
    best: dict[tuple[str, int], Item] = {}
    for region, item in published:
        known = best.get((region, item.rider))
        if known is None or outranks(item, known):
            best[region, item.rider] = item
    return best


@given(journeys(), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_any_order_and_any_repetition_ends_the_same(published: list[tuple[str, Item]], chance: random.Random) -> None:
    arrivals = published + chance.sample(published, len(published) // 2)
    chance.shuffle(arrivals)
    state = LiveState(_nobody)
    for region in map(_region, _PLACES):
        state.channel(region)
    for region, item in arrivals:
        state.apply(region, item, own=False)
        _assert_one_region_each(state)
    for (region, rider), item in _final(published).items():
        channel = state.channels[region]
        kept = channel.items[rider]
        assert not outranks(item, kept)
        assert channel.position(kept) == channel.position(item)


def _assert_one_region_each(state: LiveState) -> None:
    shown = [
        item.rider
        for channel in state.channels.values()
        for item in channel.items.values()
        if channel.position(item) is not None
    ]
    assert len(shown) == len(set(shown))


def test_a_position_in_another_region_is_a_departure_here_and_an_arrival_there() -> None:
    state = LiveState(_nobody)
    here, there = _region(VIENNA), _region(GRAZ)
    state.channel(there)
    state.apply(here, record(1, 1, VIENNA, received_ms=0), own=False)
    moved = record(1, 2, GRAZ, received_ms=0)
    state.apply(here, moved, own=False)
    assert state.channels[here].position(state.channels[here].items[1]) is None
    assert state.channels[there].items[1] == moved


def test_what_was_put_here_is_to_be_told_on_every_channel_that_it_changes() -> None:
    told: list[tuple[str, Item]] = []
    state = LiveState(lambda channel, item: told.append((channel, item)))
    here, there = _region(VIENNA), _region(GRAZ)
    first, second = record(1, 1, VIENNA, received_ms=0), record(1, 2, GRAZ, received_ms=0)
    state.apply(here, first, own=True)
    state.apply(there, second, own=True)
    assert told == [(here, first), (here, second), (there, second)]
    assert all(isinstance(item, LiveRecord) for _, item in told)


def test_what_another_node_knows_better_is_not_ours_any_more() -> None:
    state = LiveState(lambda channel, item: None)
    here = _region(VIENNA)
    state.apply(here, record(1, 1, received_ms=0), own=True)
    state.apply(here, record(1, 1, generation=2, received_ms=0), own=False)
    assert state.channels[here].own == set()


def test_a_channel_without_items_and_listeners_is_let_go() -> None:
    state = LiveState(lambda channel, item: None)
    here = _region(VIENNA)
    state.apply(here, record(1, 1, received_ms=1_000), own=True)
    state.expire(state.channels[here], 1_000)
    assert here in state.channels
    assert state.expire(state.channels[here], 1_001) == [1]
    assert state.channels == {}

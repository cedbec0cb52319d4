"""Frames to places, places to fixes, fixes to latencies."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtests.replay.ledger import Sighting
from loadtests.replay.sight import FrameReader, Sight, place_of, same_place
from loadtests.replay.watcher import View, view_around


def _expect(sight: Sight, seq: int, sent_at: float, place: tuple[int, int]) -> Sighting:
    sighting = Sighting(seq, sent_at, watched=True, older=False)
    sight.expect(place, sighting)
    return sighting


def test_a_position_is_seen_when_a_frame_shows_it() -> None:
    sight = Sight()
    first = _expect(sight, 0, 10.0, (1, 1))
    second = _expect(sight, 1, 11.0, (50, 50))
    sight.saw((1, 2), 0, 10.3)
    assert (first.seen_at, first.conflated) == (10.3, False)
    assert second.seen_at is None


def test_a_newer_one_counts_for_those_before() -> None:
    sight = Sight()
    first = _expect(sight, 0, 10.0, (1, 1))
    second = _expect(sight, 1, 10.1, (50, 50))
    sight.saw((50, 50), 0, 10.3)
    assert (first.seen_at, first.conflated) == (10.3, True)
    assert (second.seen_at, second.conflated) == (10.3, False)
    assert sight.pending == 0


def test_a_frame_older_than_the_sending_does_not_show_it() -> None:
    sight = Sight(tick=0.2)
    old = _expect(sight, 0, 10.0, (1, 1))
    again = _expect(sight, 1, 11.0, (1, 1))
    sight.saw((1, 1), 1, 11.1)
    assert old.seen_at == 11.1
    assert again.seen_at is None, "the dot was a tick old, so it was there before the second was sent"
    sight.saw((1, 1), 0, 11.3)
    assert again.seen_at == 11.3


def test_another_place_shows_nothing() -> None:
    sight = Sight()
    _expect(sight, 0, 10.0, (1, 1))
    sight.saw((4, 1), 0, 10.3)
    assert sight.pending == 1


def test_frames_are_read_from_the_origin_of_their_snapshot() -> None:
    reader = FrameReader()
    snapshot = {"topic": "cell:a", "origin": [46.5, 11.25], "riders": [[7, 100, -50, 10, 30, 2]], "snapshot": True}
    assert reader.read(snapshot) == [(7, (4_650_100, 1_124_950), 2)]
    assert reader.read({"topic": "cell:a", "riders": [[7, 101, -50, 10, 30, 0]]}) == [(7, (4_650_101, 1_124_950), 0)]
    assert reader.read({"topic": "cell:b", "riders": [[7, 1, 1, 0, 0, 0]]}) == []
    assert reader.without_origin == 1


def test_places_across_the_antimeridian_are_the_same() -> None:
    reader = FrameReader()
    (seen,) = reader.read({"topic": "t", "origin": [0.0, 179.99], "riders": [[1, 0, 2_000, -1, -1, 0]]})
    assert same_place(seen[1], place_of(0.0, -179.99))
    assert same_place(place_of(0.0, 180.0), place_of(0.0, -180.0))


places = st.tuples(st.floats(-89, 89), st.floats(-180, 180))


@given(st.lists(places, min_size=1, max_size=20))
def test_a_view_holds_the_first_place_and_stays_small(path: list[tuple[float, float]]) -> None:
    view = view_around(path)
    assert view.holds(*path[0])
    assert -90 <= view.south < view.north <= 90
    assert view.north - view.south < 0.5
    assert 0 <= view.zoom <= 20


@given(places, st.lists(st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)), max_size=10))
def test_a_view_holds_a_short_path(start: tuple[float, float], steps: list[tuple[float, float]]) -> None:
    path = [start] + [(start[0] + up, math.remainder(start[1] + right, 360)) for up, right in steps]
    view = view_around(path)
    assert all(view.holds(*place) for place in path)


def test_a_view_across_the_antimeridian() -> None:
    view = View(179.9, -1, -179.9, 1)
    assert view.holds(0, 180)
    assert view.holds(0, -179.95)
    assert not view.holds(0, 0)

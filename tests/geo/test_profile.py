"""Profiles: few points, and every summit among them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.profile import profile
from geo.track import TrackArrays


def track_of(altitude: list[float | None], speed: list[float | None] | None = None) -> TrackArrays:
    count = len(altitude)
    return TrackArrays.from_columns(
        range(count), np.arange(count) * 1000, 45 + np.arange(count) * 1e-4, np.full(count, 9.0), altitude, None, speed
    )


def none(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.bool_)


values = st.one_of(st.none(), st.floats(-100, 5000))


@settings(max_examples=60, deadline=None)
@given(altitude=st.lists(values, max_size=300), most=st.integers(10, 100))
def test_the_extremes_and_the_ends_stay(altitude: list[float | None], most: int) -> None:
    track = track_of(altitude)

    found = profile(track, none(len(track)), none(len(track)), most)

    assert len(found.timestamp) <= max(most, 0)
    assert (np.diff(found.timestamp) > 0).all()
    known = [each for each in altitude if each is not None]
    if known:
        assert np.nanmin(found.altitude) == min(known)
        assert np.nanmax(found.altitude) == max(known)
    if altitude:
        assert (found.timestamp[0], found.timestamp[-1]) == (track.timestamp[0], track.timestamp[-1])


def test_the_distance_leaves_out_the_way_that_is_hidden() -> None:
    track = track_of([None] * 10)
    hidden = none(10)
    hidden[5] = True

    found = profile(track, hidden, hidden, 100)

    assert found.distance[4] == found.distance[5]
    assert found.distance[-1] == pytest.approx(8 * 11.115, rel=1e-3)
    assert np.flatnonzero(found.starts).tolist() == [5]


def test_speed_is_measured_where_it_can_be_trusted_and_else_computed() -> None:
    measured = profile(track_of([None] * 60, [11.0] * 60), none(60), none(60), 100).speed
    stuck = profile(track_of([None] * 60, [0.0] * 60), none(60), none(60), 100).speed
    unknown = profile(track_of([None] * 60), none(60), none(60), 100).speed

    assert measured.tolist() == [11.0] * 60
    for computed in (stuck, unknown):
        assert computed[1:] == pytest.approx([11.115] * 59, rel=1e-2)
    assert np.isfinite(unknown).all()

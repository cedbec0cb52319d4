"""The standing-jitter anchor over whole tracks, and stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.filters import final_flags
from geo.fix import Flag
from geo.geodesics import cartesian, chords
from geo.stays import stays
from geo.steps import Steps
from tests.geo.rides import Ride, ride, stand, then


def standing(made: Ride, **optional: object) -> list[int]:
    track = made.track(**optional)
    return np.flatnonzero(final_flags(track)[np.argsort(track.seq)] == Flag.STANDING).tolist()


@pytest.mark.parametrize("doppler", [True, False])
@pytest.mark.parametrize("rate_hz", [0.1, 1.0, 10.0])
def test_jitter_at_a_stop_is_held(doppler: bool, rate_hz: float) -> None:
    start = ride(200.0, rate_hz=rate_hz, doppler=doppler)
    stop = stand(start, 600.0, rate_hz=rate_hz)
    held = standing(then(start, stop, pause_seconds=1 / rate_hz))
    assert len(held) >= 0.97 * len(stop) - 2
    assert min(held) >= len(start) - 2 - rate_hz  # the last second of a ride at 20 m/s is within reach of its end


def test_a_short_wait_is_held_only_by_doppler() -> None:
    start, measured = ride(200.0), ride(200.0, doppler=True)
    assert not standing(then(start, stand(start, 20.0)))
    assert len(standing(then(measured, stand(measured, 20.0)))) >= 18


@pytest.mark.parametrize("speed", [0.8, 1.4, 5.0])
def test_going_slowly_is_not_standing(speed: float) -> None:
    assert not standing(ride(1200.0, speed=speed).noisy(1.0))


def test_a_poor_accuracy_widens_the_reach() -> None:
    start = ride(100.0)
    made = then(start, stand(start, 600.0, jitter_metres=14.0))
    sharp, blurred = standing(made), standing(made, accuracy=np.full(len(made), 80.0))
    assert len(blurred) > 500 > len(sharp)


def test_doppler_that_drifts_away_makes_new_anchors() -> None:
    drift = ride(400.0, speed=0.4, doppler=True)
    flags = standing(drift)
    assert 0.9 * len(drift) < len(flags) < len(drift) - 4


def test_the_anchor_itself_counts() -> None:
    start = ride(100.0, doppler=True)
    held = standing(then(start, stand(start, 300.0)))
    assert held[0] >= len(start)
    assert len(start) not in held or len(start) - 1 not in held


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 300), st.integers(0, 1000), st.floats(5, 300), st.floats(1, 120))
def test_stays_are_what_they_say(count: int, seed: int, radius: float, least_seconds: float) -> None:
    random = np.random.default_rng(seed)
    steps = random.normal(0, 20, (2, count)) * (random.random(count) < 0.3)
    latitudes, longitudes = 47.0 + np.cumsum(steps[0]) / 111_195, 8.0 + np.cumsum(steps[1]) / 76_000
    seconds = np.cumsum(random.exponential(3.0, count))
    points, radii = cartesian(latitudes, longitudes), np.full(count, radius)
    found = stays(seconds, points, radii, least_seconds)
    after = 0
    for start, end in found:
        assert after <= start <= end
        assert seconds[end] - seconds[start] >= least_seconds
        assert (chords(points[start], points[start : end + 1]) < radius).all()
        if end + 1 < count:
            assert chords(points[start], points[end + 1]) >= radius
        after = end + 1
    assert {start for start, _ in found} == set(_plainly(seconds, points, radius, least_seconds))


def _plainly(seconds: np.ndarray, points: np.ndarray, radius: float, least_seconds: float) -> list[int]:
    """Where stays begin, without any of the shortcuts: the window up to the first fix at or after its end is inside."""
    begins, at = [], 0
    while at < len(seconds):
        window_end = int(np.searchsorted(seconds, seconds[at] + least_seconds))
        outside = np.flatnonzero(chords(points[at], points[at:]) >= radius)
        end = at + int(outside[0]) - 1 if len(outside) else len(seconds) - 1
        if window_end < len(seconds) and end >= window_end:
            begins.append(at)
            at = end
        at += 1
    return begins


def test_steps_know_their_own_limit() -> None:
    slow, fast = Steps.of(ride(speed=10.0).track()), Steps.of(ride(speed=60.0).track())
    assert slow.speed_limit == pytest.approx(300 / 3.6)
    assert fast.speed_limit == pytest.approx(180.0, rel=0.01)

"""The figures of a track."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.ascent import climb
from geo.filters import final_flags
from geo.statistics import TrackStatistics, summarise
from geo.track import TrackArrays
from tests.geo.rides import START_MS, Ride, ride, stand, then


def statistics(made: Ride, **optional: object) -> TrackStatistics:
    track = made.track(**optional)
    return summarise(track, final_flags(track))


def test_an_empty_track_has_figures() -> None:
    empty = TrackArrays.from_rows([])
    figures = summarise(empty, final_flags(empty))
    assert figures == TrackStatistics(0, 0, 0, 0, 0, 0, 0, 0, [], 0, 0, 0, 0)


def test_a_single_fix_goes_nowhere() -> None:
    figures = statistics(ride().head(1))
    assert (figures.distance_metres, figures.duration_seconds, figures.fixes) == (0.0, 0.0, 1)


@pytest.mark.parametrize("rate_hz", [0.2, 1.0, 25.0])
def test_a_steady_ride(rate_hz: float) -> None:
    figures = statistics(ride(1000.0, rate_hz=rate_hz, speed=20.0))
    assert figures.distance_metres == pytest.approx(20_000, rel=0.02)
    assert figures.duration_seconds == pytest.approx(1000.0)
    assert figures.moving_seconds == pytest.approx(1000.0, abs=10)
    assert figures.average_speed == pytest.approx(20.0, rel=0.02)
    assert figures.max_speed == pytest.approx(20.0, rel=0.05)
    assert figures.stops == []


def test_rounded_coordinates_at_25_hz_are_under_way_throughout() -> None:
    figures = statistics(ride(300.0, rate_hz=25.0, speed=12.0).noisy(0.0, 5))
    assert figures.moving_seconds == pytest.approx(300.0, abs=3)


def test_a_stop_in_between() -> None:
    first = ride(600.0)
    made = then(then(first, stand(first, 900.0)), _onward(first, 600.0))
    figures = statistics(made)
    assert figures.distance_metres == pytest.approx(24_000, rel=0.02)
    assert figures.moving_seconds == pytest.approx(1200, abs=30)
    assert figures.stopped_seconds == pytest.approx(900, abs=30)
    (stop,) = figures.stops
    assert stop.began_ms == pytest.approx(START_MS + 600_000, abs=15_000)
    assert stop.ended_ms == pytest.approx(START_MS + 1_500_000, abs=15_000)
    assert stop.latitude == pytest.approx(first.latitude[-1], abs=1e-4)
    assert stop.longitude == pytest.approx(first.longitude[-1], abs=1e-4)


def test_a_silent_night_at_one_place_is_a_stop() -> None:
    first = ride(600.0)
    figures = statistics(then(first, _onward(first, 600.0), pause_seconds=8 * 3600.0))
    assert figures.stopped_seconds == pytest.approx(8 * 3600, abs=60)
    assert len(figures.stops) == 1


def test_of_a_long_gap_that_ends_elsewhere_nothing_is_known() -> None:
    figures = statistics(then(ride(600.0), ride(600.0, latitude=47.5), pause_seconds=5 * 3600.0))
    assert figures.duration_seconds == pytest.approx(1200 + 5 * 3600)
    assert figures.moving_seconds == pytest.approx(1200, abs=5)
    assert figures.stopped_seconds == pytest.approx(0, abs=5)
    assert figures.average_speed == pytest.approx(20.0, rel=0.02)
    assert figures.distance_metres > 24_000 + 30_000  # the gap counts for the distance


def test_a_clock_that_was_set_by_years_is_no_duration() -> None:
    figures = statistics(ride(600.0).clock(slice(0, 5), -1024 * 7 * 86_400.0))
    assert figures.duration_seconds == pytest.approx(600.0, abs=10)


def test_the_top_speed_is_not_one_displaced_fix() -> None:
    figures = statistics(ride(600.0, speed=10.0, rate_hz=0.5).moved([100], 60.0))
    assert figures.max_speed < 15.0


def test_flags_are_counted_and_teleports_add_no_distance() -> None:
    start = ride(600.0)
    made = then(start, stand(start, 300.0)).moved([100, 200], 70_000.0)
    timestamp = made.timestamp.copy()
    timestamp[301] = timestamp[300]
    figures = statistics(Ride(timestamp, made.latitude, made.longitude, made.seq))
    assert (figures.implausible, figures.repeated, figures.fixes) == (2, 1, len(made))
    assert figures.standing > 280
    assert figures.distance_metres == pytest.approx(12_000, rel=0.02)


def test_a_stop_on_the_antimeridian_is_there() -> None:
    start = ride(100.0, latitude=-17.0, longitude=179.98)
    made = then(start, stand(start, 900.0))
    shifted = made.longitude + (180.0 - made.longitude[-1])
    (stop,) = statistics(Ride(made.timestamp, made.latitude, (shifted + 180.0) % 360.0 - 180.0, made.seq)).stops
    assert abs(abs(stop.longitude) - 180.0) < 1e-3


def test_a_steady_climb() -> None:
    assert climb(np.linspace(1000.0, 1500.0, 600)) == (pytest.approx(500.0), 0.0)
    assert climb(np.linspace(1500.0, 1000.0, 600)) == (0.0, pytest.approx(500.0))


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
def test_round_a_lake_there_is_no_climb(noise: float) -> None:
    heights = 400.0 + np.random.default_rng(1).normal(0, noise, 5000)
    assert climb(heights) == (0.0, 0.0)


def test_a_climb_with_noise_is_still_that_climb() -> None:
    heights = np.linspace(1000.0, 1500.0, 3000) + np.random.default_rng(2).normal(0, 3.0, 3000)
    ascent, descent = climb(heights)
    assert ascent == pytest.approx(500.0, rel=0.03)
    assert descent == 0.0


def test_a_pass_up_and_down() -> None:
    heights = np.concatenate((np.linspace(600.0, 2300.0, 900), np.linspace(2300.0, 450.0, 900)))
    assert climb(heights) == (pytest.approx(1700.0, abs=5), pytest.approx(1850.0, abs=5))


@pytest.mark.parametrize("glitch", [-48.0, 9000.0])
def test_single_wrong_heights_do_not_count(glitch: float) -> None:
    heights = np.linspace(100.0, 200.0, 500)
    heights[[50, 250, 251]] = glitch
    assert climb(heights)[0] == pytest.approx(100.0, abs=1)


def test_rolling_hills_below_the_channel_do_not_count() -> None:
    assert climb(300.0 + 4.5 * np.sin(np.arange(2000) / 20)) == (0.0, 0.0)


@given(st.lists(st.one_of(st.floats(-400, 5000), st.just(math.nan)), max_size=60))
def test_climbs_add_up_to_the_difference_in_height_within_the_channel(heights: list[float]) -> None:
    ascent, descent = climb(np.array(heights, dtype=float))
    known = [height for height in heights if not math.isnan(height)]
    assert ascent >= 0
    assert descent >= 0
    if known:
        assert ascent - descent == pytest.approx(known[-1] - known[0], abs=20.0)


def test_a_million_fixes_take_seconds() -> None:
    random = np.random.default_rng(1)
    count = 1_000_000
    made = ride(count - 1, speed=15.0, circle_seconds=7200.0).noisy(2.0)
    height = 500 + np.cumsum(random.normal(0, 0.2, count))
    track = made.track(altitude=height)
    began = time.process_time()
    summarise(track, final_flags(track))
    assert time.process_time() - began < 5.0


def _onward(first: Ride, seconds: float) -> Ride:
    return ride(seconds, latitude=float(first.latitude[-1]), longitude=float(first.longitude[-1]))

"""Final flags on made rides: what is a teleport, and what only looks like one."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.filters import final_flags
from geo.fix import IMPLAUSIBLE, Flag
from geo.statistics import summarise
from geo.track import FlagArray, TrackArrays
from tests.geo.rides import START_MS, Ride, ride, stand, then

NEVER_FLAGGED = 0


def flags_by_seq(made: Ride, **optional: object) -> FlagArray:
    track = made.track(**optional)
    return np.asarray(final_flags(track)[np.argsort(track.seq)])


def implausible(flags: FlagArray) -> list[int]:
    return np.flatnonzero(flags & IMPLAUSIBLE).tolist()


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_a_track(count: int) -> None:
    assert final_flags(ride().head(count).track()).tolist() == [NEVER_FLAGGED] * count


@pytest.mark.parametrize("speed", [3.0, 12.0, 35.0, 70.0])
def test_a_clean_ride_has_no_flags(speed: float) -> None:
    assert not flags_by_seq(ride(speed=speed).noisy(3.0)).any()


@pytest.mark.parametrize("position", [0, 1, 600, 1199, 1200])
@pytest.mark.parametrize("metres", [300.0, 5_000.0, 5_000_000.0])
def test_a_single_teleport_and_only_it_is_a_spike(position: int, metres: float) -> None:
    flags = flags_by_seq(ride().moved([position], metres))
    assert flags[position] == Flag.SPIKE
    assert implausible(flags) == [position]


@pytest.mark.parametrize("first", [0, 500, 1181])
@pytest.mark.parametrize("count", [2, 5, 20])
def test_a_run_of_teleports_is_flagged_whole(first: int, count: int) -> None:
    flags = flags_by_seq(ride().moved(slice(first, first + count), 400_000.0))
    assert implausible(flags) == list(range(first, first + count))


def test_a_long_stay_at_an_impossible_place_is_flagged_whole() -> None:
    flags = flags_by_seq(ride().moved(slice(300, 700), 4_000_000.0))
    assert implausible(flags) == list(range(300, 700))


def test_going_back_and_forth_between_two_places_keeps_the_one_with_more_fixes() -> None:
    away = [position for position in range(100, 1100) if position % 10 in (3, 4, 7)]
    assert implausible(flags_by_seq(ride().moved(away, 90_000.0))) == away


def test_scattered_teleports_do_not_hide_each_other() -> None:
    made = ride()
    away = list(range(50, 1150, 25))
    for position in away:
        made = made.moved([position], 3_000.0 * (1 + position), azimuth=float(position))
    assert implausible(flags_by_seq(made)) == away


def test_a_ferry_or_a_tunnel_is_no_teleport() -> None:
    made = then(ride(600.0), ride(600.0, latitude=47.6, longitude=8.4), pause_seconds=3600.0)
    assert not flags_by_seq(made).any()


def test_a_move_for_good_is_believed_although_it_is_impossible() -> None:
    made = then(ride(600.0), ride(600.0, latitude=40.0, longitude=-74.0), pause_seconds=5.0)
    assert not implausible(flags_by_seq(made))


def test_a_snap_after_a_tunnel_costs_a_few_fixes_at_most() -> None:
    made = ride().moved(slice(600, None), 400.0)
    assert len(implausible(flags_by_seq(made))) <= 400.0 / 83.0 + 2


@pytest.mark.parametrize("decimals", [None, 6, 5])
@pytest.mark.parametrize("noise", [0.3, 1.5, 4.0])
def test_jitter_at_25_hz_is_no_speed(decimals: int | None, noise: float) -> None:
    made = ride(400.0, rate_hz=25.0).noisy(noise, decimals)
    assert not implausible(flags_by_seq(made))


def test_teleports_at_25_hz_are_flagged() -> None:
    away = [0, 1, 2000, *range(5000, 5010)]
    made = ride(400.0, rate_hz=25.0).noisy(1.0).moved(away, 150.0)
    assert implausible(flags_by_seq(made)) == away


def test_times_in_whole_seconds_at_10_hz_repeat_and_jump_nowhere() -> None:
    made = ride(300.0, rate_hz=10.0)
    flags = flags_by_seq(Ride(made.timestamp // 1000 * 1000, made.latitude, made.longitude, made.seq))
    assert not implausible(flags)
    assert np.flatnonzero(flags == 0).tolist() == list(range(0, 3001, 10))
    assert np.count_nonzero(flags == Flag.REPEATED) == 2700


def test_the_later_of_two_with_the_same_time_is_flagged() -> None:
    made = ride(100.0)
    timestamp = made.timestamp.copy()
    timestamp[51] = timestamp[50]
    flags = flags_by_seq(Ride(timestamp, made.latitude, made.longitude, made.seq))
    assert np.flatnonzero(flags).tolist() == [51]
    assert flags[51] == Flag.REPEATED


def test_a_believable_twin_stands_in_for_a_teleport() -> None:
    made = ride(100.0).moved([50], 9_000.0)
    timestamp, latitude, longitude = (np.append(column, value) for column, value in (
        (made.timestamp, made.timestamp[50]),
        (made.latitude, (made.latitude[49] + made.latitude[51]) / 2),
        (made.longitude, (made.longitude[49] + made.longitude[51]) / 2),
    ))  # fmt: skip
    flags = flags_by_seq(Ride(timestamp, latitude, longitude, np.arange(len(timestamp))))
    assert flags[50] == Flag.SPIKE
    assert flags[101] == NEVER_FLAGGED


def test_a_sparse_track_has_no_flags() -> None:
    assert not flags_by_seq(ride(7200.0, rate_hz=1 / 82, speed=30.0)).any()


def test_inaccurate_fixes_are_flagged_and_not_asked_for_the_path() -> None:
    accuracy = np.full(1201, 8.0)
    accuracy[[400, 401]] = 100.1
    accuracy[402] = 100.0
    flags = flags_by_seq(ride().moved([401], 50_000.0), accuracy=accuracy)
    assert np.flatnonzero(flags).tolist() == [400, 401]
    assert (flags[[400, 401]] == Flag.INACCURATE).all()


def test_a_jump_is_what_doppler_contradicts() -> None:
    made = ride(600.0, rate_hz=0.5, speed=4.0, doppler=True).moved([150], 120.0)
    flags = flags_by_seq(made)
    assert implausible(flags) == [150]
    assert flags[150] == Flag.JUMP


def test_without_doppler_the_same_fix_is_believed() -> None:
    made = ride(600.0, rate_hz=0.5, speed=4.0).moved([150], 120.0)
    assert not implausible(flags_by_seq(made))


def test_a_phone_that_always_reads_standstill_flags_nothing() -> None:
    made = ride(speed=30.0)
    flags = flags_by_seq(made, speed=np.zeros(len(made)))
    assert not flags.any()


def test_a_ride_over_the_antimeridian_and_by_the_pole_has_no_flags() -> None:
    across = ride(latitude=-17.0, longitude=179.9)
    wrapped = (across.longitude + 180.0) % 360.0 - 180.0
    assert wrapped.min() < -179.0
    assert not flags_by_seq(Ride(across.timestamp, across.latitude, wrapped, across.seq)).any()
    assert not flags_by_seq(ride(600.0, latitude=89.9, speed=10.0).head(300)).any()


def test_a_teleport_while_parked_does_not_hide_among_standing_fixes() -> None:
    start = ride(100.0)
    made = then(start, stand(start, 3600.0))
    flags = flags_by_seq(made.moved([2000], 2_000.0))
    assert implausible(flags) == [2000]
    assert np.count_nonzero(flags == Flag.STANDING) > 3400


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 50_000), st.floats(-90, 90), st.floats(-180, 180)), max_size=60))
def test_whatever_comes_the_unflagged_times_ascend(points: list[tuple[int, float, float]]) -> None:
    rows = [(seq, START_MS + ms, lat, lon, None, None, None) for seq, (ms, lat, lon) in enumerate(points)]
    track = TrackArrays.from_rows(rows)
    flags = final_flags(track)
    assert flags.shape == (len(points),)
    assert (np.diff(track.timestamp[flags == 0]) > 0).all()
    assert summarise(track, flags).fixes == len(points)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_teleport_anywhere_is_found(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 590))
    count = data.draw(st.integers(1, 10))
    made = ride(600.0, seed=data.draw(st.integers(0, 99))).noisy(2.0)
    away = range(first, min(first + count, len(made)))
    flags = flags_by_seq(made.moved(list(away), data.draw(st.floats(10_000, 19_000_000))))
    assert implausible(flags) == list(away)


def test_flags_do_not_depend_on_the_order_in_which_rows_are_given() -> None:
    made = ride(300.0).moved([100], 9_000.0)
    rows = [
        (*row, None, None, None) for row in zip(made.seq, made.timestamp, made.latitude, made.longitude, strict=True)
    ]
    forwards, backwards = TrackArrays.from_rows(rows), TrackArrays.from_rows(rows[::-1])
    assert final_flags(forwards).tolist() == final_flags(backwards).tolist()


def test_a_hundred_thousand_fixes_of_noise_end_in_bounded_time() -> None:
    random = np.random.default_rng(5)
    count = 100_000
    noise = Ride(
        START_MS + np.arange(count) * 1000,
        random.uniform(-80, 80, count),
        random.uniform(-180, 180, count),
        np.arange(count),
    )
    began = time.process_time()
    flags = final_flags(noise.track())
    assert time.process_time() - began < 20.0
    assert np.count_nonzero(flags == 0) < 100

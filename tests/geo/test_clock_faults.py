"""Clocks that were wrong: what fits is not flagged, and no total runs back and forth between two stretches."""

import numpy as np
import pytest

from geo.filters import final_flags
from geo.fix import IMPLAUSIBLE, Flag
from geo.statistics import summarise
from geo.track import FlagArray
from tests.geo.rides import Ride, ride, then

HOUR, DAY = 3600.0, 86_400.0
WEEK_ROLLOVER = 1024 * 7 * DAY
"""Receivers that count weeks in ten bits fall back by this many seconds."""


def judged(made: Ride) -> tuple[FlagArray, float]:
    """Flags in order of recording, and the distance."""
    track = made.track()
    flags = final_flags(track)
    return np.asarray(flags[np.argsort(track.seq)]), summarise(track, flags).distance_metres


def share_implausible(flags: FlagArray) -> float:
    return float(np.count_nonzero(flags & IMPLAUSIBLE) / len(flags))


@pytest.mark.parametrize("behind", [HOUR, 400 * DAY, WEEK_ROLLOVER])
@pytest.mark.parametrize("count", [1, 5, 60])
def test_first_fixes_with_a_clock_behind_only_leave_a_gap(count: int, behind: float) -> None:
    flags, distance = judged(ride(3600.0).clock(slice(0, count), -behind))
    assert not flags.any()
    assert distance == pytest.approx(judged(ride(3600.0))[1], rel=1e-3)


@pytest.mark.parametrize("ahead", [900.3, HOUR / 2, 5 * HOUR, 400 * DAY])
@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_first_fixes_with_a_clock_ahead_lose_their_time(count: int, ahead: float) -> None:
    flags, distance = judged(ride(3600.0).clock(slice(0, count), ahead))
    assert flags[:count].all()
    assert not flags[count + 2 :].any()
    assert share_implausible(flags) < 0.01
    assert distance == pytest.approx(judged(ride(3600.0))[1], rel=0.03)


@pytest.mark.parametrize("back", [30.0, 30.4, 300.0, 1200.5])
@pytest.mark.parametrize("rate_hz", [1.0, 10.0])
def test_where_a_clock_was_set_back_the_second_passage_loses_its_time(back: float, rate_hz: float) -> None:
    clean = ride(3600.0, rate_hz=rate_hz)
    middle = len(clean) // 2
    flags, distance = judged(clean.clock(slice(middle, None), -back))
    assert share_implausible(flags) < 0.01
    repeated = np.flatnonzero(flags == Flag.REPEATED)
    assert len(repeated) == pytest.approx(back * rate_hz, abs=5 + 0.02 * back * rate_hz)
    assert repeated.min() >= middle
    assert distance <= judged(clean)[1] * 1.01


@pytest.mark.parametrize("back", [1.0, 2.0, 5.5])
def test_a_clock_set_back_by_seconds_hardly_matters(back: float) -> None:
    clean = ride(3600.0)
    flags, distance = judged(clean.clock(slice(1800, None), -back))
    assert np.count_nonzero(flags) <= 2 * back + 2
    assert distance == pytest.approx(judged(clean)[1], rel=0.01)


def test_a_clock_set_back_by_years_splits_the_ride_and_flags_nothing() -> None:
    flags, _ = judged(ride(3600.0).clock(slice(1800, None), -400 * DAY))
    assert not flags.any()


def test_a_single_fix_with_a_time_of_its_own_is_left_out() -> None:
    flags, distance = judged(ride(3600.0).clock([1000], 1500.0))
    assert np.flatnonzero(flags).tolist() == [1000]
    assert distance == pytest.approx(judged(ride(3600.0))[1], rel=1e-3)


def test_a_stretch_with_the_clock_ahead_that_is_put_right_again() -> None:
    flags, distance = judged(ride(3600.0).clock(slice(500, 600), 1200.0))
    assert flags[500:600].all()
    assert share_implausible(flags) < 0.01
    assert distance == pytest.approx(judged(ride(3600.0))[1], rel=0.01)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_points_logged_out_of_order_are_all_believed(share: float) -> None:
    made = ride(3600.0)
    random, seq = np.random.default_rng(3), np.arange(len(made))
    for position in random.choice(len(made) - 1, round(share * len(made)), replace=False):
        seq[[position, position + 1]] = seq[[position + 1, position]]
    flags, distance = judged(Ride(made.timestamp, made.latitude, made.longitude, seq))
    assert not flags.any()
    assert distance == pytest.approx(judged(made)[1])


@pytest.mark.parametrize("order", ["backwards", "blocks", "late"])
def test_stretches_stored_in_another_order_are_all_believed(order: str) -> None:
    made = ride(3600.0)
    positions = np.arange(len(made))
    if order == "backwards":
        positions = positions[::-1]
    elif order == "blocks":
        positions = np.concatenate([np.array_split(positions, 7)[block] for block in (3, 0, 6, 1, 5, 2, 4)])
    else:
        positions = np.concatenate((positions[:1000], positions[1200:], positions[1000:1200]))
    seq = np.empty(len(made), dtype=np.int64)
    seq[positions] = np.arange(len(made))
    flags, _ = judged(Ride(made.timestamp, made.latitude, made.longitude, seq))
    assert not flags.any()


def test_two_recordings_of_the_same_hours_in_one_file_count_once() -> None:
    first, second = ride(3600.0), ride(3600.0, latitude=47.3, seed=4)
    flags, distance = judged(then(first, second, pause_seconds=-3600.3))
    assert np.count_nonzero(flags == Flag.REPEATED) == pytest.approx(len(second), abs=5)
    assert distance < judged(first)[1] * 1.1 + 60_000


def test_the_same_stretch_stored_twice_counts_once() -> None:
    made = ride(1800.0)
    flags, distance = judged(then(made, made, pause_seconds=-1800.0))
    assert np.count_nonzero(flags == Flag.REPEATED) == len(made)
    assert distance == pytest.approx(judged(made)[1], rel=1e-3)


def test_a_clock_set_back_while_parked_does_not_matter() -> None:
    still = ride(1200.0, speed=0.0).noisy(2.0)
    flags, distance = judged(still.clock(slice(600, None), -300.0))
    assert share_implausible(flags) == 0.0
    assert distance < 200.0


def test_a_recording_in_random_order_ends_and_is_not_shredded() -> None:
    made = ride(3600.0)
    seq = np.random.default_rng(8).permutation(len(made))
    flags, _ = judged(Ride(made.timestamp, made.latitude, made.longitude, seq))
    assert np.count_nonzero(flags) < 0.05 * len(made)

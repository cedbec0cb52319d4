"""Final flags and statistics on real recordings, and on what faulty clocks and receivers would have made of them."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from geo import geodesics
from geo.filters import final_flags
from geo.fix import IMPLAUSIBLE, Flag
from geo.statistics import summarise
from geo.steps import NOISE_METRES, SPEED_LIMIT, Steps
from geo.track import FlagArray, TrackArrays
from tests.geo.real_tracks import TRACKS, load, names, needs_data
from tests.geo.rides import Ride

pytestmark = needs_data()

WITH_OUTLIERS = {
    "mixed_swiss_posmo.csv",
    "outlier_garmin-crap.gpx",
    "outlier_goteborg_mtk.gpx",
    "outlier_kalman_in.gpx",
}
"""Recordings whose notes name teleports beyond a single one."""

TELEPORTS = [
    ("moto_chrishunt_2015-04-10.gpx", 545),
    ("moto_chrishunt_2015-05-02.gpx", 9020),
    ("moto_chrishunt_2015-06-03.gpx", 442),
    ("outlier_kalman_in.gpx", 13193),
    ("outlier_goteborg_mtk.gpx", 7214),
    ("outlier_garmin-crap.gpx", 21675),
    ("mixed_swiss_posmo.csv", 11089),
    ("car_munich_barefoot.json", 1693),
    ("mixed_cerknicko-jezero.gpx", 331),
]
"""The fastest step that the recordings' notes give, in km/h."""

SMOOTH = [
    "moto_chrishunt_2015-07-05.gpx",
    "moto_chrishunt_2015-08-12.gpx",
    "moto_chrishunt_2015-03-25.gpx",
    "bus_limerick_304.gpx",
    "car_delft_sbn-v13.gpx",
    "bike_oslo_oregon700.gpx",
    "moto_chrishunt_2016-02-14.gpx",
]
"""Recordings without faults, of different rates and vehicles, to which faults are added."""


def share_implausible(flags: FlagArray) -> float:
    return float(np.count_nonzero(flags & IMPLAUSIBLE) / len(flags))


@pytest.mark.parametrize("name", names())
def test_few_fixes_of_a_recording_without_outliers_are_implausible(name: str) -> None:
    share = share_implausible(final_flags(load(name)))
    assert share < (0.5 if name in WITH_OUTLIERS else 0.01)


@pytest.mark.parametrize("name", names())
def test_the_unflagged_path_is_one_that_can_be_ridden(name: str) -> None:
    track = load(name)
    path = track.take(final_flags(track) == 0)
    metres = geodesics.distances(path.latitude, path.longitude)
    seconds = np.diff(path.timestamp) / 1000
    assert (seconds > 0).all()
    limit = max(SPEED_LIMIT, Steps.of(track).speed_limit)
    assert (metres <= np.maximum(limit * seconds, NOISE_METRES) * 1.001).all()


@pytest.mark.parametrize(("name", "fastest"), TELEPORTS)
def test_known_teleports_are_flagged(name: str, fastest: float) -> None:
    track = load(name)
    order = np.argsort(track.seq)
    flags = final_flags(track)[order]
    metres = geodesics.distances(track.latitude[order], track.longitude[order])
    seconds = np.diff(track.timestamp[order]) / 1000
    speeds = np.divide(metres * 3.6, seconds, out=np.zeros_like(metres), where=seconds > 0)
    assert speeds.max() == pytest.approx(fastest, rel=0.01)
    step = int(np.argmax(speeds))
    assert (flags[step] | flags[step + 1]) & IMPLAUSIBLE


def test_one_bad_fix_between_good_ones_is_the_only_one_flagged() -> None:
    track = load("outlier_kalman_in.gpx")
    flags = final_flags(track)
    assert np.flatnonzero(flags[:51]).tolist() == [30]


def test_four_riders_in_one_file_do_not_make_a_zigzag() -> None:
    track = load("rally_augsburg_A5.gpx")
    figures = summarise(track, final_flags(track))
    assert figures.repeated > 800
    assert figures.distance_metres < 77_200  # the four of them, one after another


def _clean() -> Iterator[tuple[str, float]]:
    """Recordings in one piece, and their length by another program."""
    file = TRACKS / "gpxpy_stats.json"
    for name, figures in (json.loads(file.read_text()) if file.exists() else {}).items():
        whole = abs(figures["moving_distance_m"] / figures["length_2d_m"] - 1) < 0.02
        if whole and (TRACKS / name).exists() and name not in WITH_OUTLIERS | {"rally_augsburg_A5.gpx"}:
            yield name, figures["moving_distance_m"]


@pytest.mark.parametrize(("name", "metres"), list(_clean()))
def test_distances_agree_with_another_program(name: str, metres: float) -> None:
    track = load(name)
    assert summarise(track, final_flags(track)).distance_metres == pytest.approx(metres, rel=0.025)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("rate_hz", "noise", "decimals"), [(25.0, 0.5, 5), (25.0, 2.0, 6), (10.0, 4.0, 5)])
def test_finer_recordings_of_the_same_rides_are_clean(name: str, rate_hz: float, noise: float, decimals: int) -> None:
    fine = _resampled(name, rate_hz).noisy(noise, decimals)
    assert share_implausible(final_flags(fine.track())) < 0.001


@pytest.mark.parametrize("name", SMOOTH)
def test_whole_seconds_at_10_hz_only_repeat(name: str) -> None:
    fine = _resampled(name, 10.0)
    flags = final_flags(replace(fine, timestamp=fine.timestamp // 1000 * 1000).track())
    assert share_implausible(flags) == 0.0
    assert np.count_nonzero(flags == Flag.REPEATED) == pytest.approx(0.9 * len(fine), abs=10)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("back", [1.0, 60.3, 3600.0, 365 * 86_400.0])
def test_a_clock_set_back_in_the_middle(name: str, back: float) -> None:
    clean = _recorded(name)
    flags = final_flags(clean.clock(slice(len(clean) // 2, None), -back).track())
    assert share_implausible(flags) < 0.01


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("off", [3600.0, -3600.0, 1800.3, 365 * 86_400.0, -1024 * 7 * 86_400.0])
@pytest.mark.parametrize("count", [1, 20])
def test_a_clock_wrong_for_the_first_fixes(name: str, off: float, count: int) -> None:
    clean = _recorded(name)
    track = clean.clock(slice(0, count), off).track()
    flags = final_flags(track)
    assert share_implausible(flags) < 0.01
    assert np.count_nonzero(flags & (IMPLAUSIBLE | Flag.REPEATED)) <= count + 2
    expected = summarise(clean.track(), final_flags(clean.track())).distance_metres
    assert summarise(track, flags).distance_metres == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("name", SMOOTH)
def test_points_logged_out_of_order_are_believed(name: str) -> None:
    clean = _recorded(name)
    random, seq = np.random.default_rng(3), np.arange(len(clean))
    for position in random.choice(len(clean) - 1, len(clean) // 20, replace=False):
        seq[[position, position + 1]] = seq[[position + 1, position]]
    flags = final_flags(replace(clean, seq=seq).track())
    assert not (flags & (IMPLAUSIBLE | Flag.REPEATED)).any()


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("first", [0, 301, -3])
@pytest.mark.parametrize("count", [1, 3])
def test_teleports_added_to_a_recording_are_found_and_nothing_else(name: str, first: int, count: int) -> None:
    clean = _recorded(name)
    away = list(range(len(clean)))[first:][:count]
    flags = final_flags(clean.moved(away, 2_000_000.0).track())
    assert np.flatnonzero(flags & IMPLAUSIBLE).tolist() == away


def _recorded(name: str) -> Ride:
    """A recording without its own flagged fixes."""
    track = load(name)
    track = track.take((final_flags(track) & (IMPLAUSIBLE | Flag.REPEATED)) == 0)
    return _as_ride(track)


def _resampled(name: str, rate_hz: float) -> Ride:
    """Ten minutes of a recording, interpolated to another rate."""
    track = _recorded(name)
    first = len(track) // 3
    times = track.timestamp[first] + np.arange(0, 600_000, 1000 / rate_hz).round().astype(np.int64)
    times = times[times <= track.timestamp[-1]]
    latitude = np.interp(times, track.timestamp, track.latitude)
    longitude = np.interp(times, track.timestamp, track.longitude)
    return Ride(times, latitude, longitude, np.arange(len(times)))


def _as_ride(track: TrackArrays) -> Ride:
    return Ride(track.timestamp, track.latitude, track.longitude, np.arange(len(track)))

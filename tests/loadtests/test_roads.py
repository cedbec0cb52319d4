"""Made-up roads: a motorcycle could have ridden them."""

import numpy as np

from loadtests.replay.sources.roads import Area, Rider, areas_worldwide, riders
from loadtests.replay.sources.tracks import Point, step_lengths

_AREA = Area(46.5, 11.3, 4_000)


def _steps(points: list[Point]) -> list[float]:
    return list(step_lengths([point.latitude for point in points], [point.longitude for point in points]))


def test_the_same_seed_rides_the_same_road() -> None:
    assert Rider(_AREA, 7).ride(300, 0) == Rider(_AREA, 7).ride(300, 0)
    assert Rider(_AREA, 7).ride(300, 0) != Rider(_AREA, 8).ride(300, 0)


def test_one_point_a_second_and_no_jump_even_between_rides() -> None:
    rider = Rider(_AREA, 3)
    points = [point for number in range(3) for point in rider.ride(600, number * 600_000)]
    assert [point.timestamp for point in points] == [index * 1000 for index in range(1800)]
    assert max(_steps(points)) < 50


def test_bends_limit_the_speed() -> None:
    for seed in range(10):
        for point in Rider(_AREA, seed).ride(600, 0):
            assert point.lean is not None
            assert abs(point.lean) < 40


def test_riders_rest_now_and_then_and_noise_goes_on() -> None:
    points = Rider(_AREA, 1).ride(3600, 0)
    standing = [index for index, point in enumerate(points) if point.speed == 0.0]
    assert len(standing) > 20
    places = {(points[index].latitude, points[index].longitude) for index in standing}
    assert len(places) > len(standing) / 2


def test_riders_stay_around_the_centre() -> None:
    points = Rider(_AREA, 5).ride(7200, 0)
    away = [
        float(step_lengths([_AREA.latitude, point.latitude], [_AREA.longitude, point.longitude])[0])
        for point in points[::60]
    ]
    assert np.median(away) < 1.5 * _AREA.radius_metres
    assert max(away) < 4 * _AREA.radius_metres


def test_worldwide_riders_are_far_apart() -> None:
    starts = [rider.ride(2, 0)[0] for rider in riders(areas_worldwide(1_000), 6, seed=1)]
    assert min(_steps(starts)) > 50_000

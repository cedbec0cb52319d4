"""Simplified lines: near to every point, in the same parts, few vertices, and quick in the worst case."""

import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.lines import MOST_PARTS, simplified
from geo.mercator import metres_per_pixel, project


def parts_of(count: int, *begins: int) -> np.ndarray:
    starts = np.zeros(count, dtype=np.bool_)
    starts[[0, *begins]] = True
    return starts


# Metres and millimetres: where lengths underflow, the library that judges has no answer.
coordinates = st.integers(-1_000_000, 1_000_000).map(lambda millimetres: millimetres / 1000)


@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=40),
    begins=st.sets(st.integers(1, 39)),
    tolerance=st.floats(0.1, 500),
)
def test_no_point_is_further_away_than_the_tolerance(
    points: list[tuple[float, float]], begins: set[int], tolerance: float
) -> None:
    array = np.array(points, dtype=np.float64)
    starts = parts_of(len(array), *(begin for begin in begins if begin < len(array)))

    parts, used = simplified(array, starts, tolerance, 1000)

    assert used == tolerance
    edges = [*np.flatnonzero(starts).tolist(), len(array)]
    assert [part[0] for part in parts] == edges[:-1]
    for part, end in zip(parts, edges[1:], strict=True):
        assert part[-1] == end - 1
        line = (
            shapely.LineString(array[part])
            if len(np.unique(array[part], axis=0)) > 1
            else shapely.Point(array[part[0]])
        )
        distances = shapely.distance(shapely.points(array[part[0] : end]), line)
        assert distances.max() <= tolerance * (1 + 1e-9)


def test_a_straight_road_needs_two_vertices() -> None:
    points = np.column_stack((np.arange(50_000.0), np.zeros(50_000)))

    parts, _ = simplified(points, parts_of(50_000), 1.0, 1000)

    assert len(parts[0]) <= 55  # the ends of pieces may stay in the last pass


def test_more_tolerance_is_taken_until_the_vertices_are_few() -> None:
    points = np.cumsum(np.random.default_rng(7).normal(size=(20_000, 2)), axis=0)

    parts, used = simplified(points, parts_of(20_000), 0.01, 500)

    assert sum(map(len, parts)) <= 500
    assert used > 0.01


def test_of_too_many_parts_the_largest_stay() -> None:
    count = 3 * (MOST_PARTS + 100)
    starts = np.arange(count) % 3 == 0
    starts[-3:] = [True, False, False]
    starts[1] = True  # a part of one, which goes first

    parts, _ = simplified(np.random.default_rng(1).normal(size=(count, 2)), starts, 1e-9, 10**6)

    assert len(parts) == MOST_PARTS
    assert parts[0][0] != 0


def test_the_worst_case_takes_no_more_than_a_moment() -> None:
    turns = np.linspace(0, 200 * np.pi, 200_000)
    spiral = np.column_stack((turns * np.cos(turns), turns * np.sin(turns))) * 1000
    began = time.process_time()

    simplified(spiral, parts_of(len(spiral)), 1e-6, 10**9)

    assert time.process_time() - began < 5


def test_nothing_is_nothing() -> None:
    assert simplified(np.zeros((0, 2)), np.zeros(0, dtype=np.bool_), 1.0, 10) == ([], 1.0)


def test_the_map_is_a_square_with_the_equator_in_the_middle() -> None:
    corner = project(np.array([90.0]), np.array([180.0]))[0]
    assert corner == pytest.approx([20_037_508.34, 20_037_508.34])
    assert project(np.array([0.0]), np.array([0.0]))[0] == pytest.approx([0, 0])
    assert metres_per_pixel(0) * 512 == pytest.approx(2 * 20_037_508.34)


def test_a_line_across_the_antimeridian_goes_on() -> None:
    points = project(np.array([0.0, 0.0, 0.0]), np.array([179.9, -179.9, 179.9]))
    assert np.abs(np.diff(points[:, 0])) == pytest.approx(22263.9, abs=1)

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import geodesics
from tests.geo.real_tracks import VECTORS

POSITIONS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_published_geodesics() -> None:
    file = VECTORS / "geodesic" / "GeodTest-100.dat"
    if not file.exists():
        pytest.skip(f"no published vectors at {VECTORS}")
    for line in file.read_text().strip().split("\n"):
        lat1, lon1, azimuth, lat2, lon2, _, metres = map(float, line.split()[:7])
        assert geodesics.distance(lat1, lon1, lat2, lon2) == pytest.approx(metres, abs=1e-5)
        latitude, longitude = geodesics.destination(lat1, lon1, azimuth, metres)
        assert geodesics.distance(latitude, longitude, lat2, lon2) < 1e-4


def test_a_known_length() -> None:
    # The spherical distance of the published example is 1451.138 m; on the ellipsoid it differs by up to 0.56 %.
    assert geodesics.distance(33.02, -115.02, 33.01, -115.01) == pytest.approx(1451.138, rel=0.0056)


def test_distances_are_the_steps_of_a_path() -> None:
    latitudes, longitudes = np.array([10.0, 10.5, 9.0]), np.array([179.5, -179.5, -170.0])
    steps = geodesics.distances(latitudes, longitudes)
    assert steps.shape == (2,)
    assert steps[0] == pytest.approx(geodesics.distance(10.0, 179.5, 10.5, -179.5))
    assert geodesics.length(latitudes, longitudes) == pytest.approx(steps.sum())


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_positions_have_no_length(count: int) -> None:
    assert geodesics.length(np.zeros(count), np.zeros(count)) == 0.0


@given(POSITIONS, st.floats(0, 360), st.floats(0, 100_000))
def test_a_chord_is_never_longer_and_hardly_shorter(start: tuple[float, float], azimuth: float, metres: float) -> None:
    end = geodesics.destination(*start, azimuth, metres)
    chord = geodesics.chord(*start, *end)
    assert chord <= metres + 1e-6
    assert chord >= metres * (1 - 1.1e-5) - 1e-6


@given(POSITIONS, POSITIONS)
def test_chords_of_arrays_and_of_numbers_agree(first: tuple[float, float], second: tuple[float, float]) -> None:
    points = geodesics.cartesian(np.array([first[0], second[0]]), np.array([first[1], second[1]]))
    assert geodesics.chords(points[0], points[1]) == pytest.approx(geodesics.chord(*first, *second), abs=1e-6)
    assert np.linalg.norm(points, axis=1).max() <= geodesics.EQUATORIAL_RADIUS_METRES + 1e-6


def test_a_pole_is_one_place() -> None:
    assert geodesics.chord(90.0, 0.0, 90.0, 123.0) == pytest.approx(0.0, abs=1e-6)
    polar_radius = geodesics.EQUATORIAL_RADIUS_METRES * (1 - geodesics.FLATTENING)
    assert geodesics.chord(90.0, 0.0, -90.0, 0.0) == pytest.approx(2 * polar_radius)
    assert math.isclose(
        geodesics.MEAN_RADIUS_METRES, (2 * geodesics.EQUATORIAL_RADIUS_METRES + polar_radius) / 3, abs_tol=0.1
    )

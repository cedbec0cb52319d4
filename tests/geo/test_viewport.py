import math
import random

import h3.api.basic_int as h3
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geo import cells
from geo.viewport import LARGEST_COVER, Bounds, BoundsError, Cover, cover, estimate

CLOSE_UP = 18.0
SIZES = st.floats(-5, 2.3).map(lambda exponent: 10.0**exponent)
CORNERS = st.one_of(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    st.sampled_from([h3.cell_to_latlng(pentagon) for pentagon in h3.get_pentagons(9)]),
    st.sampled_from([(90.0, 0.0), (-90.0, 10.0), (0.0, 180.0), (0.0, -180.0), (66.0, 179.999)]),
)


def box(middle: tuple[float, float], height: float, width: float) -> Bounds:
    """A box around a place, over the antimeridian if need be, cut off at the poles."""
    latitude, longitude = middle
    south, north = max(-90.0, latitude - height / 2), min(90.0, latitude + height / 2)
    if width >= 360.0:
        return Bounds(-180.0, south, 180.0, north)
    return Bounds(_around(longitude - width / 2), south, _around(longitude + width / 2), north)


def _around(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def places_in(bounds: Bounds, count: int) -> list[tuple[float, float]]:
    source = random.Random(1)
    places = [
        (source.uniform(bounds.south, bounds.north), _around(bounds.west + source.random() * bounds.width))
        for _ in range(count)
    ]
    return [place for place in places if bounds.contains(*place)]


@settings(deadline=None, max_examples=300)
@given(CORNERS, SIZES, SIZES)
def test_a_cover_really_covers(middle: tuple[float, float], height: float, width: float) -> None:
    bounds = box(middle, height, width)
    found = cover(bounds, CLOSE_UP)
    if found is None:
        assert estimate(bounds, cells.TOPIC_RESOLUTIONS[0]) > LARGEST_COVER / 2
        return
    assert 1 <= len(found.cells) <= LARGEST_COVER
    assert found.resolution in cells.TOPIC_RESOLUTIONS
    for place in places_in(bounds, 40):
        assert cells.parent(cells.cell_at(*place), found.resolution) in found.cells


@settings(deadline=None, max_examples=200)
@given(CORNERS, SIZES, SIZES)
def test_the_estimate_is_near_the_truth(middle: tuple[float, float], height: float, width: float) -> None:
    bounds = box(middle, height, width)
    resolution = cells.TOPIC_RESOLUTIONS[0]
    expected = estimate(bounds, resolution)
    assume(expected < 500)
    found = cover(bounds, 0.0, max_cells=1000)
    assert found is not None
    assert found.resolution == resolution
    assert 0.5 <= expected / len(found.cells) <= 2.5


@settings(deadline=None, max_examples=100)
@given(CORNERS, SIZES, SIZES, st.integers(7, 200))
def test_a_cover_keeps_to_any_limit(middle: tuple[float, float], height: float, width: float, limit: int) -> None:
    found = cover(box(middle, height, width), CLOSE_UP, max_cells=limit)
    assert found is None or len(found.cells) <= limit


@settings(deadline=None)
@given(CORNERS)
def test_a_point_is_covered_with_its_neighbours(place: tuple[float, float]) -> None:
    latitude, longitude = place
    found = cover(Bounds(longitude, latitude, longitude, latitude), CLOSE_UP)
    assert found is not None
    assert found.resolution == 9
    assert set(cells.disk(cells.cell_at(latitude, longitude), 1)) <= found.cells


def test_the_ring_reaches_beyond_the_box() -> None:
    found = cover(Bounds(8.0, 47.0, 8.01, 47.005), CLOSE_UP)
    assert found is not None
    assert cells.cell_at(47.005 + 0.0015, 8.005) in found.cells


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(-180.0, -90.0, 180.0, 90.0),
        Bounds(-180.0, 0.0, 180.0, 90.0),
        Bounds(0.0, -90.0, -0.001, 90.0),
        Bounds(-179.0, -90.0, 179.0, -10.0),
        Bounds(10.0, -80.0, 10.0, 80.0),
    ],
)
def test_what_is_too_large_is_not_covered(bounds: Bounds) -> None:
    assert cover(bounds, CLOSE_UP) is None


def test_a_small_box_over_the_antimeridian() -> None:
    found = cover(Bounds(179.99, -17.01, -179.99, -17.0), CLOSE_UP)
    assert found is not None
    for longitude in (179.995, 180.0, -180.0, -179.995):
        assert cells.parent(cells.cell_at(-17.005, longitude), found.resolution) in found.cells


@pytest.mark.parametrize("latitude", [90.0, -90.0])
def test_all_the_way_round_a_pole(latitude: float) -> None:
    south, north = sorted((latitude, math.copysign(89.95, latitude)))
    found = cover(Bounds(-180.0, south, 180.0, north), CLOSE_UP)
    assert found is not None
    for longitude in range(-180, 180, 15):
        place = math.copysign(89.97, latitude), float(longitude)
        assert cells.parent(cells.cell_at(*place), found.resolution) in found.cells


@pytest.mark.parametrize(("zoom", "resolution"), [(3.0, 5), (7.0, 7), (15.0, 9)])
def test_a_low_zoom_makes_the_cover_coarser(zoom: float, resolution: int) -> None:
    found = cover(Bounds(8.0, 47.0, 8.005, 47.005), zoom)
    assert isinstance(found, Cover)
    assert found.resolution == resolution


@pytest.mark.parametrize(
    ("bounds", "field"),
    [
        (Bounds(0.0, 10.0, 1.0, 9.0), "south"),
        (Bounds(math.nan, 0.0, 1.0, 1.0), "west"),
        (Bounds(0.0, -math.inf, 1.0, 1.0), "south"),
        (Bounds(0.0, 0.0, 180.5, 1.0), "east"),
        (Bounds(0.0, 0.0, 1.0, 90.1), "north"),
    ],
)
def test_nonsense_is_refused_with_the_field(bounds: Bounds, field: str) -> None:
    with pytest.raises(BoundsError) as refused:
        cover(bounds, CLOSE_UP)
    assert refused.value.field == field
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("zoom", [math.nan, math.inf])
def test_a_zoom_that_is_no_number_is_refused(zoom: float) -> None:
    with pytest.raises(BoundsError, match="zoom"):
        cover(Bounds(8.0, 47.0, 8.1, 47.1), zoom)


def test_a_box_contains_its_edges_over_the_antimeridian() -> None:
    bounds = Bounds(170.0, -10.0, -170.0, 10.0)
    assert bounds.width == pytest.approx(20.0)
    assert bounds.contains(10.0, 170.0)
    assert bounds.contains(0.0, -175.0)
    assert not bounds.contains(0.0, 0.0)
    assert not bounds.contains(11.0, 175.0)

import random

import h3.api.basic_int as h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import cells
from geo.overview import MOST_CELLS, Overview, overview
from geo.viewport import Bounds, BoundsError
from tests.geo.test_viewport import CORNERS, box, places_in

WORLD = Bounds(-180.0, -90.0, 180.0, 90.0)
SPANS = st.floats(-2, 2.56).map(lambda exponent: 10.0**exponent)
ZOOMS = st.floats(0, 12)


def shows(chosen: Overview, cell: int) -> bool:
    return chosen.grid.square(*cells.centre(cell)) in chosen.squares()


@settings(deadline=None, max_examples=300)
@given(CORNERS, SPANS, SPANS, ZOOMS)
def test_the_cell_of_every_place_in_the_box_is_shown(
    middle: tuple[float, float], height: float, width: float, zoom: float
) -> None:
    bounds = box(middle, height, width)
    chosen = overview(bounds, zoom)
    assert 0 <= chosen.resolution <= 4
    corners = [(bounds.south, bounds.west), (bounds.south, bounds.east), (bounds.north, bounds.west)]
    for place in [*corners, (bounds.north, bounds.east), *places_in(bounds, 30)]:
        assert shows(chosen, cells.parent(cells.cell_at(*place), chosen.resolution))


@settings(deadline=None, max_examples=300)
@given(CORNERS, SPANS, SPANS)
def test_a_viewport_is_some_squares_each_once(middle: tuple[float, float], height: float, width: float) -> None:
    squares = overview(box(middle, height, width), 12).squares()
    assert 1 <= len(squares) == len(set(squares)) <= 100


def test_the_number_of_cells_is_bounded() -> None:
    source = random.Random(1)
    globe = {
        resolution: [cell for base in h3.get_res0_cells() for cell in h3.cell_to_children(base, resolution)]
        for resolution in range(4)
    }
    for _ in range(100):
        middle = source.uniform(-90, 90), source.uniform(-180, 180)
        chosen = overview(box(middle, source.uniform(5, 180), source.uniform(5, 360)), 12)
        squares = set(chosen.squares())
        shown = [cell for cell in globe.get(chosen.resolution, []) if _square(chosen, cell) in squares]
        assert len(shown) <= 1.3 * MOST_CELLS


def _square(chosen: Overview, cell: int) -> int:
    return chosen.grid.square(*cells.centre(cell))


def test_the_whole_earth_has_all_cells_of_resolution_1_and_at_the_lowest_zoom_of_0() -> None:
    for zoom, resolution in ((12.0, 1), (1.0, 1), (0.0, 0)):
        chosen = overview(WORLD, zoom)
        assert chosen.resolution == resolution
        all_cells = [cell for base in h3.get_res0_cells() for cell in h3.cell_to_children(base, resolution)]
        assert all(shows(chosen, cell) for cell in all_cells)


def test_the_antimeridian_is_in_the_middle_and_what_is_far_away_is_not_there() -> None:
    fiji, samoa, vienna = (-17.8, 178.0), (-13.8, -172.0), (48.2, 16.4)
    chosen = overview(Bounds(170.0, -25.0, -165.0, -5.0), 4)
    here = [cells.parent(cells.cell_at(*place), chosen.resolution) for place in (fiji, samoa, vienna)]
    assert [shows(chosen, cell) for cell in here] == [True, True, False]


def test_viewers_of_about_the_same_part_of_the_earth_share_a_viewport() -> None:
    panned = {overview(Bounds(5.0 + step / 10, 45.0, 15.0 + step / 10, 50.0), 6) for step in range(10)}
    assert len(panned) <= 3


@pytest.mark.parametrize(
    ("bounds", "zoom", "field"),
    [(Bounds(0.0, 50.0, 10.0, 40.0), 3.0, "south"), (Bounds(0.0, 0.0, 10.0, float("nan")), 3.0, "north")],
)
def test_a_box_that_is_none_is_refused_by_field(bounds: Bounds, zoom: float, field: str) -> None:
    with pytest.raises(BoundsError) as caught:
        overview(bounds, zoom)
    assert caught.value.field == field
    with pytest.raises(BoundsError):
        overview(WORLD, float("inf"))

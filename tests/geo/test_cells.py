import h3.api.basic_int as h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import cells
from tests.geo.real_tracks import VECTORS

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


@given(LATITUDES, LONGITUDES)
def test_every_position_has_a_cell_of_resolution_9_near_it(latitude: float, longitude: float) -> None:
    cell = cells.cell_at(latitude, longitude)
    assert cells.resolution_of(cell) == cells.FIX_RESOLUTION
    assert cells.cell_at(*cells.centre(cell)) == cell


@given(LATITUDES, LONGITUDES)
def test_topics_and_regions_are_nested(latitude: float, longitude: float) -> None:
    cell = cells.cell_at(latitude, longitude)
    for resolution in cells.TOPIC_RESOLUTIONS:
        topic = cells.parent(cell, resolution)
        assert cells.resolution_of(topic) == resolution
        assert cells.parent(topic, cells.REGION_RESOLUTION) == cells.parent(cell, cells.REGION_RESOLUTION)


@given(LATITUDES, LONGITUDES)
def test_a_name_names_its_cell(latitude: float, longitude: float) -> None:
    cell = cells.cell_at(latitude, longitude)
    assert cells.from_name(cells.name(cell)) == cell


@pytest.mark.parametrize(
    "text", ["", "0", "zz", "0x8928308280fffff", "8928308280FFFFF", "89_28308280fffff", "8" + "f" * 14]
)
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an H3 cell"):
        cells.from_name(text)


def test_a_finer_parent_is_refused() -> None:
    region = cells.parent(cells.cell_at(47.0, 8.0), cells.REGION_RESOLUTION)
    with pytest.raises(ValueError):
        cells.parent(region, 9)


def test_published_example() -> None:
    assert cells.name(cells.parent(cells.cell_at(20.0, 123.0), 2)) == "824b9ffffffffff"


def test_published_positions_of_resolution_9() -> None:
    file = VECTORS / "h3" / "rand_sample" / "rand09centers.txt"
    if not file.exists():
        pytest.skip(f"no published vectors at {VECTORS}")
    lines = file.read_text().split("\n")
    rows = [line.split() for line in lines if line]
    assert len(rows) >= 100
    for name, latitude, longitude in rows:
        east = float(longitude)
        cell = cells.cell_at(float(latitude), east - 360.0 if east > 180.0 else east)
        assert cells.name(cell) == name


def test_a_disk_has_seven_cells_and_six_around_a_pentagon() -> None:
    assert len(cells.disk(cells.cell_at(47.0, 8.0), 1)) == 7
    assert len(cells.disk(h3.get_pentagons(9)[0], 1)) == 6

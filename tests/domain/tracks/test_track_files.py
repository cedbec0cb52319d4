"""Written tracks read back the same, whatever their values; what sequence numbers an import has."""

import json
from array import array
from typing import Any
from uuid import UUID

import gpxpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kit.errors import RateLimited, Unavailable
from domain.kit.turns import Turns
from domain.tracks.files.geojson import GeoJsonWriter
from domain.tracks.files.gpx import GpxWriter, decimal
from domain.tracks.files.numbering import MOST_LOST_RANGES, Numbering, numbering_of
from domain.tracks.files.segments import GAP_SECONDS
from domain.tracks.files.spool import FixSpool
from domain.tracks.reading import Point
from geo.fix import Fix
from geo.gpx import GpxPoint, GpxReader

ID = UUID(int=7)

_optional = st.none() | st.floats(-1e6, 1e6, width=32)
_points = st.builds(
    Point,
    seq=st.integers(0, 2**31 - 1),
    timestamp=st.integers(0, 4_102_444_800_000),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180, exclude_max=True),
    altitude=_optional,
    accuracy=_optional,
    speed=_optional,
    heading=_optional,
    lean=_optional,
    battery=_optional,
    flags=st.integers(0, 63),
    after_hidden=st.booleans(),
)
_tracks = st.lists(_points, max_size=30).map(lambda points: sorted(points, key=lambda point: point[1::-1]))


def at(seconds: float, longitude: float = 9.0, **more: Any) -> Point:
    return Point(int(seconds), int(seconds * 1000), 45.0, longitude, None, None, None, None, None, None, 0, **more)


def as_gpx(points: list[Point], piece: int = 7, name: str = "a ride") -> bytes:
    writer = GpxWriter(name)
    pieces = [writer.points(points[at : at + piece]) for at in range(0, len(points), piece)]
    return b"".join([writer.begin(), *pieces, writer.end()])


def as_geojson(points: list[Point], piece: int = 7) -> Any:
    writer = GeoJsonWriter("a ride", ID)
    pieces = [writer.points(points[at : at + piece]) for at in range(0, len(points), piece)]
    document = b"".join([writer.begin(), *pieces, *writer.end()])
    writer.close()
    return json.loads(document)


def lines(points: list[Point]) -> list[list[int]]:
    """The numbers of the fixes in each line of the GeoJSON."""
    seqs: list[list[int]] = as_geojson(points)["properties"]["coordinateProperties"]["seqs"]
    return seqs


@settings(max_examples=100, deadline=None)
@given(_tracks.filter(bool), st.integers(1, 30))
def test_gpx_is_read_back_as_it_was_written(points: list[Point], piece: int) -> None:
    document = as_gpx(points, piece)
    reader = GpxReader()
    back = reader.feed(document) + reader.close()
    assert back == [GpxPoint(0, *point[:10]) for point in points]
    (track,) = gpxpy.parse(document).tracks
    seen = [point for segment in track.segments for point in segment.points]
    assert [(p.latitude, p.longitude, p.elevation) for p in seen] == [p[2:5] for p in points]
    assert [round(p.time.timestamp() * 1000) for p in seen] == [p.timestamp for p in points]


@settings(max_examples=100, deadline=None)
@given(_tracks, st.integers(1, 30))
def test_geojson_has_every_point_in_lines_that_are_valid(points: list[Point], piece: int) -> None:
    feature = as_geojson(points, piece)
    drawn = feature["geometry"]["coordinates"]
    beside = feature["properties"]["coordinateProperties"]
    shape = [len(line) for line in drawn]
    assert all(count >= 2 for count in shape)
    assert all([len(line) for line in values] == shape for values in beside.values())
    seqs = [line[:1] if line[0] == line[1] and len(line) == 2 else line for line in beside["seqs"]]
    if len({point.seq for point in points}) == len(points):
        assert [seq for line in seqs for seq in line] == [point.seq for point in points]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_have_no_exponent_and_every_digit(value: float) -> None:
    text = decimal(value)
    assert "e" not in text.lower()
    assert float(text) == value


def test_an_empty_track_is_a_whole_file() -> None:
    assert gpxpy.parse(as_gpx([])).tracks[0].segments == []
    assert as_geojson([])["geometry"] == {"type": "MultiLineString", "coordinates": []}


def test_lines_are_interrupted_by_gaps_and_by_what_is_hidden() -> None:
    points = [at(0), at(GAP_SECONDS), at(2 * GAP_SECONDS + 1), at(2 * GAP_SECONDS + 2, after_hidden=True)]
    (track,) = gpxpy.parse(as_gpx(points)).tracks
    assert [len(segment.points) for segment in track.segments] == [2, 1, 1]


def test_in_geojson_a_lonely_fix_is_a_line_and_the_antimeridian_a_cut() -> None:
    assert lines([at(0)]) == [[0, 0]]
    assert lines([at(0), at(1000), at(1001), at(3000)]) == [[0, 0], [1000, 1001], [3000, 3000]]
    assert lines([at(0, 179.9), at(1, 179.95), at(2, -179.95), at(3, -179.9)]) == [[0, 1], [2, 3]]


def test_the_180th_meridian_is_written_as_the_schema_has_it() -> None:
    assert b'lon="-180.0"' in as_gpx([at(0, 180.0)])


def test_names_are_escaped() -> None:
    assert gpxpy.parse(as_gpx([at(0)], name="<b> & ]]> \"'")).tracks[0].name == "<b> & ]]> \"'"


@pytest.mark.parametrize(
    ("seqs", "count", "expected"),
    [
        ([], 3, Numbering(False, 2, [])),
        ([0, 1, 2], 3, Numbering(True, 2, [])),
        ([5, 2, 3], 3, Numbering(True, 5, [(0, 1), (4, 4)])),
        ([0, 1, 1], 3, Numbering(False, 2, [])),
        ([0, 1], 3, Numbering(False, 2, [])),
        ([2**31 - 1], 1, Numbering(True, 2**31 - 1, [(0, 2**31 - 2)])),
        ([], 0, Numbering(False, -1, [])),
        (list(range(0, 4 * MOST_LOST_RANGES, 2)), 2 * MOST_LOST_RANGES, Numbering(False, 2 * MOST_LOST_RANGES - 1, [])),
    ],
)
def test_numbers_of_a_file_are_kept_when_they_can_be(seqs: list[int], count: int, expected: Numbering) -> None:
    assert numbering_of(array("q", seqs), count) == expected


def test_a_spool_gives_back_what_was_put_in() -> None:
    spool = FixSpool()
    fixes = [Fix(seq, seq * 1000, 45.0, 9.0, battery=0.5 if seq % 2 else None) for seq in range(20_000)]  # on disk
    for begin in range(0, len(fixes), 999):
        spool.extend(fixes[begin : begin + 999])
    assert len(spool) == len(fixes)
    assert spool.rows(12_345, 2) == [
        (12_345, 12_345_000, 45.0, 9.0, None, None, None, None, None, 0.5, 0),
        (12_346, 12_346_000, 45.0, 9.0, None, None, None, None, None, None, 0),
    ]
    spool.close()


def test_turns_are_limited_for_the_node_and_for_a_rider() -> None:
    turns = Turns(at_once=2, of_one_rider=1)
    ada, bea, cleo = UUID(int=1), UUID(int=2), UUID(int=3)
    with turns.take(ada):
        with pytest.raises(RateLimited), turns.take(ada):
            pass
        with turns.take(bea), pytest.raises(Unavailable), turns.take(cleo):
            pass
    with turns.take(ada), turns.take(cleo):
        pass

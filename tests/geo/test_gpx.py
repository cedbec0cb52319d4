"""The GPX reader: what it takes, what it refuses and with which words, and that nothing else can happen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.gpx import DEEPEST, MOST_NAMES, MOST_TRACKS, GpxError, GpxFault, GpxPoint, GpxReader
from geo.gpx_times import epoch_ms, iso_time
from tests.geo.real_tracks import VECTORS, needs_data

EDGE = VECTORS / "gpx-edge"

RIDE = """<?xml version="1.0" encoding="UTF-8"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="tests">
 <wpt lat="1" lon="1"/><rte><rtept lat="1" lon="1"/></rte>
 <trk><name>Ride</name><trkseg>
  <trkpt lat="45.5" lon="-122.25"><ele>12.5</ele><time>2015-03-25T14:00:00Z</time></trkpt>
  <trkpt lat="45.6" lon="-122.35"><time>2015-03-25T16:00:01.5+02:00</time></trkpt>
 </trkseg><trkseg>
  <trkpt lat="45.7" lon="-122.45"><time>2015-03-25T13:59:00</time></trkpt>
  <trkpt lat="45.8" lon="-122.55"/>
 </trkseg></trk>
</gpx>"""


def read(document: str | bytes, piece: int = 1 << 30, **limits: int) -> tuple[GpxReader, list[GpxPoint]]:
    data = document.encode() if isinstance(document, str) else document
    reader = GpxReader(**limits)
    points = [point for at in range(0, len(data), piece) for point in reader.feed(data[at : at + piece])]
    return reader, points + reader.close()


def point(inner: str = "<time>2015-03-25T14:00:00Z</time>", position: str = 'lat="1" lon="2"') -> str:
    return f"<gpx><trk><trkseg><trkpt {position}>{inner}</trkpt></trkseg></trk></gpx>"


def refusal(document: str | bytes, **limits: int) -> GpxError:
    with pytest.raises(GpxError) as refused:
        read(document, **limits)
    return refused.value


def test_points_of_all_segments_are_read_with_their_times() -> None:
    reader, points = read(RIDE)
    assert points == [
        GpxPoint(0, None, 1427292000000, 45.5, -122.25, 12.5),
        GpxPoint(0, None, 1427292001500, 45.6, -122.35),
        GpxPoint(0, None, 1427291940000, 45.7, -122.45),  # no zone is UTC; backwards is the pipeline's to judge
    ]
    assert (reader.routes, reader.waypoints) == (1, 1)
    (track,) = reader.tracks
    assert (track.name, track.points, track.without_time) == ("Ride", 4, 1)


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        ("<rte/>", "only 1 route:"),
        ('<rte/><rte/><wpt lat="1" lon="2"/>', "only 2 routes and 1 waypoint:"),
        ("", "has no track points"),
    ],
)
def test_a_file_without_a_recording_is_told_what_it_has_instead(inner: str, found: str) -> None:
    assert found in str(refusal(f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">{inner}</gpx>'))


@pytest.mark.parametrize(
    "inner",
    [
        "<speed>3.5</speed><course>90</course>",
        '<extensions><g:TrackPointExtension xmlns:g="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">'
        "<g:speed>3.5</g:speed><g:course>90</g:course></g:TrackPointExtension></extensions>",
        '<extensions><x:fix xmlns:x="urn:throttlecove:gpx:1" speed="3.5" heading="90"/></extensions>',
    ],
    ids=["GPX 1.0", "Garmin", "our own"],
)
def test_speed_and_heading_are_read_wherever_programs_write_them(inner: str) -> None:
    _, (only,) = read(point(f"<time>2015-03-25T14:00:00Z</time>{inner}"))
    assert (only.speed, only.heading) == (3.5, 90.0)


def test_words_in_a_foreign_namespace_mean_nothing() -> None:
    inner = '<time>2015-03-25T14:00:00Z</time><extensions><speed xmlns="urn:other">99</speed></extensions>'
    assert read(point(inner))[1][0].speed is None


def test_any_prefix_will_do() -> None:
    document = (
        '<g:gpx xmlns:g="http://www.topografix.com/GPX/1/0"><g:trk><g:trkseg><g:trkpt lat="1" lon="2">'
        "<g:time>2015-03-25T14:00:00Z</g:time></g:trkpt></g:trkseg></g:trk></g:gpx>"
    )
    assert len(read(document)[1]) == 1


def test_values_that_cannot_be_read_are_counted_and_left_out() -> None:
    reader, (only,) = read(point("<ele>NaN</ele><speed>1_0</speed><time>2015-03-25T14:00:00Z</time>"))
    assert (only.altitude, only.speed) == (None, None)
    assert reader.tracks[0].unreadable_values == 2


_LAUGHS = '<!DOCTYPE gpx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
_FILES = '<!DOCTYPE gpx [<!ENTITY f SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("", GpxFault.NOT_XML),
        ("hello", GpxFault.NOT_XML),
        (RIDE[: len(RIDE) // 2], GpxFault.NOT_XML),
        (RIDE + "<gpx/>", GpxFault.NOT_XML),
        ("<gpx><trk>&nbsp;</trk></gpx>", GpxFault.NOT_XML),
        ("<html/>", GpxFault.NOT_GPX),
        (_LAUGHS + point("<ele>&b;</ele>"), GpxFault.DOCTYPE),
        (_FILES + point("<ele>&f;</ele>"), GpxFault.DOCTYPE),
        ("<!DOCTYPE gpx>" + point(), GpxFault.DOCTYPE),
        ("<gpx>" + "<a>" * 20_000, GpxFault.TOO_DEEP),
        (point(position=f'lat="{"1" * 100_000}" lon="2"'), GpxFault.TOO_LONG),
        (point(f"<ele>{'1' * 2_000}</ele>"), GpxFault.TOO_LONG),
        ("<gpx><trk><name>" + "long " * 1_000 + "</name></trk></gpx>", GpxFault.TOO_LONG),
        ("<gpx>" + "".join(f"<n{i}/>" for i in range(MOST_NAMES * 2)) + "</gpx>", GpxFault.TOO_MANY_NAMES),
        ("<gpx>" + "<trk/>" * (MOST_TRACKS + 1) + "</gpx>", GpxFault.TOO_MANY_TRACKS),
        (point(position='lat="NaN" lon="2"'), GpxFault.COORDINATES),
        (point(position='lat="1" lon="Infinity"'), GpxFault.COORDINATES),
        (point(position='lat="90.1" lon="2"'), GpxFault.COORDINATES),
        (point(position='lat="1" lon="-180.1"'), GpxFault.COORDINATES),
        (point(position='lat="1,5" lon="2"'), GpxFault.COORDINATES),
        (point(position='lat="1"'), GpxFault.COORDINATES),
        (point("<time>yesterday</time>"), GpxFault.NO_TIMES),
        (point(""), GpxFault.NO_TIMES),
        ('<gpx><wpt lat="1" lon="2"><time>2015-03-25T14:00:00Z</time></wpt></gpx>', GpxFault.NO_POINTS),
        ("<gpx/>", GpxFault.NO_POINTS),
        (b'<?xml version="1.0" encoding="klingon"?><gpx/>', GpxFault.ENCODING),
        (b'<?xml version="1.0" encoding="shift_jis"?><gpx/>', GpxFault.ENCODING),
        (b'<?xml version="1.0" encoding="utf-16"?><gpx/>', GpxFault.ENCODING),
        (b"<gpx><trk><name>\xff\xfe</name></trk></gpx>", GpxFault.NOT_XML),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(document: str | bytes, fault: GpxFault) -> None:
    refused = refusal(document)
    assert refused.fault is fault
    assert len(refused.message) > 10
    assert "passwd" not in refused.message


def test_a_refusal_names_the_line() -> None:
    document = RIDE.replace('lat="45.6"', 'lat="95.6"')
    assert refusal(document).line == 6


def test_a_document_has_as_many_points_as_the_caller_allows() -> None:
    assert refusal(RIDE, most_points=3).fault is GpxFault.TOO_MANY_POINTS
    assert len(read(RIDE, most_points=4)[1]) == 3


def test_elements_may_be_nested_to_the_bound() -> None:
    inner = "<time>2015-03-25T14:00:00Z</time>"
    nested = DEEPEST - 4
    assert len(read(point(inner + "<x>" * nested + "</x>" * nested))[1]) == 1
    assert refusal(point(inner + "<x>" * (nested + 1))).fault is GpxFault.TOO_DEEP


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_common_encodings_are_read(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    document = RIDE.replace("UTF-8", declared).replace(">Ride<", ">Fjällvägen<")
    reader, points = read(document.encode(encoding))
    assert len(points) == 3
    assert reader.tracks[0].name == "Fjällvägen"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2015-12-11T15:43:13.994+01:00", 1449844993994),
        ("2016-12-31T23:59:60Z", 1483228800000),
        ("2015-03-25T14:00:00.0004Z", 1427292000000),
        ("2015-03-25T14:00:00.0006Z", 1427292000001),
        (" 2015-03-25T14:00:00z ", 1427292000000),
        ("2015-03-25 14:00:00", 1427292000000),
        ("1969-12-31T23:59:59Z", -1000),
        ("0001-01-01T00:00:00+23:59", -62135683140000),
        ("2015-02-30T14:00:00Z", None),
        ("2015-03-25", None),
        ("1427292000", None),
        ("٢٠١٥-03-25T14:00:00Z", None),
        ("", None),
    ],
)
def test_times(text: str, expected: int | None) -> None:
    assert epoch_ms(text) == expected


@given(st.integers(0, 253_402_300_799_999))
def test_every_millisecond_is_printed_so_that_it_reads_back(milliseconds: int) -> None:
    assert epoch_ms(iso_time(milliseconds)) == milliseconds


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([RIDE.encode(), *(path.read_bytes() for path in EDGE.glob("*.gpx"))]), st.integers(1, 200))
def test_pieces_of_any_size_give_the_same(document: bytes, piece: int) -> None:
    assert _outcome(document, piece) == _outcome(document, len(document))


def _outcome(document: bytes, piece: int) -> object:
    try:
        reader, points = read(document, piece)
    except GpxError as error:
        return error.fault, error.message
    return points, reader.tracks, reader.routes, reader.waypoints


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="<>/=\"' gpxtrksegptlaon!&;?[]-:0123", max_size=300).map(str.encode),
        st.builds(
            lambda at, bytes_: RIDE.encode()[:at] + bytes_ + RIDE.encode()[at:],
            st.integers(0, len(RIDE)),
            st.binary(min_size=1, max_size=8),
        ),
        st.text(max_size=30).map(
            lambda name: f'<?xml version="1.0" encoding="{name}"?><gpx/>'.encode("utf-8", "replace")
        ),
    )
)
def test_no_bytes_raise_anything_but_a_refusal(document: bytes) -> None:
    _outcome(document, 64)


@needs_data()
def test_every_published_edge_case_is_read_or_refused_by_name() -> None:
    without_points = {
        "custom_schema_locations",
        "default_schema_locations",
        "gpx1.1_with_extensions",
        "gpx1.1_with_extensions_without_namespaces",
        "gpx_with_garmin_extension",
        "route",
        "unicode",
        "unicode2",
        "unicode_with_bom",
        "unicode_with_bom_noencoding",
    }
    without_times = {"track-with-extremes", "track-with-small-floats", "track_with_dilution_errors"}
    refused = {GpxFault.NO_POINTS: without_points, GpxFault.NO_TIMES: without_times}
    for path in sorted(EDGE.glob("*.gpx")):
        fault = next((fault for fault, names in refused.items() if path.stem in names), None)
        if fault is None:
            assert read(path.read_bytes())[1]
        else:
            assert refusal(path.read_bytes()).fault is fault, path.name

"""Files of tracks: GPX of any version, CSV of any shape, and what is left out with a reason."""

import os
from pathlib import Path

import pytest

from loadtests.replay.sources.csv_tracks import read_csv
from loadtests.replay.sources.gpx import read_gpx
from loadtests.replay.sources.library import read_directory
from loadtests.replay.sources.tracks import EARLIEST_MS, NotATrack

_DATA = Path(os.environ.get("THROTTLECOVE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

_POINT = '<trkpt lat="46.5" lon="11.25"><ele>2100.5</ele><time>2024-05-01T10:00:00Z</time></trkpt>'


def _gpx(body: str, attributes: str = 'xmlns="http://www.topografix.com/GPX/1/1"') -> bytes:
    return f'<?xml version="1.0"?><gpx {attributes}>{body}</gpx>'.encode()


def _write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "attributes",
    ['xmlns="http://www.topografix.com/GPX/1/0"', 'xmlns="http://www.topografix.com/GPX/1/1"', 'xmlns="urn:x"', ""],
)
def test_gpx_in_any_namespace(tmp_path: Path, attributes: str) -> None:
    track = read_gpx(_write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{_POINT}</trkseg></trk>", attributes)))
    (fix,) = track.fixes
    assert (fix.seq, fix.latitude, fix.longitude, fix.altitude) == (0, 46.5, 11.25, 2100.5)
    assert fix.timestamp == 1_714_557_600_000


def test_gpx_with_a_prefix_a_byte_order_mark_and_several_segments(tmp_path: Path) -> None:
    point = _POINT.replace("<", "<g:").replace("<g:/", "</g:")
    body = f"<g:trk><g:trkseg>{point}</g:trkseg><g:trkseg>{point}</g:trkseg></g:trk><g:trk><g:trkseg>{point}"
    document = f'<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1">{body}</g:trkseg></g:trk></g:gpx>'
    track = read_gpx(_write(tmp_path / "a.gpx", b"\xef\xbb\xbf" + document.encode()))
    assert [fix.seq for fix in track.fixes] == [0, 1, 2]


def test_gpx_takes_nothing_from_extensions_waypoints_and_metadata(tmp_path: Path) -> None:
    point = (
        '<trkpt lat="1" lon="2"><extensions><x:speed xmlns:x="urn:x">99</x:speed><time>1999-01-01T00:00:00Z</time>'
        "</extensions><time>2024-05-01T10:00:00Z</time></trkpt>"
    )
    body = f'<metadata><time>2001-01-01T00:00:00Z</time></metadata><wpt lat="5" lon="5"/><trk><trkseg>{point}'
    track = read_gpx(_write(tmp_path / "a.gpx", _gpx(body + "</trkseg></trk>")))
    (fix,) = track.fixes
    assert (fix.timestamp, fix.speed) == (1_714_557_600_000, None)


def test_times_that_count_from_the_start_are_given_a_day(tmp_path: Path) -> None:
    points = "".join(
        f'<trkpt lat="46.5" lon="11"><time>1970-01-01T00:00:{second}Z</time></trkpt>' for second in (10, 12)
    )
    track = read_gpx(_write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{points}</trkseg></trk>")))
    assert [fix.timestamp - EARLIEST_MS for fix in track.fixes] == [10_000, 12_000]
    assert track.notes


def test_points_without_time_are_counted_and_take_no_number(tmp_path: Path) -> None:
    timeless = '<trkpt lat="1" lon="2"/>'
    track = read_gpx(
        _write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{timeless}{_POINT}{timeless}{_POINT}</trkseg></trk>"))
    )
    assert (len(track.fixes), track.without_time) == (2, 2)
    assert [fix.seq for fix in track.fixes] == [0, 1]


def test_points_without_a_readable_position_are_counted(tmp_path: Path) -> None:
    bad = '<trkpt lat="north" lon="2"><time>2024-05-01T10:00:00Z</time></trkpt><trkpt lat="nan" lon="2"/>'
    track = read_gpx(_write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{bad}{_POINT}</trkseg></trk>")))
    assert (len(track.fixes), track.unreadable) == (1, 2)


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE gpx [<!ENTITY a "ha"><!ENTITY b SYSTEM "file:///etc/passwd">]><gpx><trk>&a;&b;</trk></gpx>'
    with pytest.raises(NotATrack, match="entity"):
        read_gpx(_write(tmp_path / "a.gpx", bomb))


def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    track = read_gpx(_write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{_POINT}<trkpt lat='1")))
    assert len(track.fixes) == 1
    assert "breaks off" in track.notes[0]


def test_speeds_in_another_unit_are_not_sent(tmp_path: Path) -> None:
    points = "".join(
        f'<trkpt lat="{46 + index * 1e-4}" lon="11"><time>2024-05-01T10:00:{index:02}Z</time><speed>40</speed></trkpt>'
        for index in range(30)
    )
    kmh = read_gpx(_write(tmp_path / "a.gpx", _gpx(f"<trk><trkseg>{points}</trkseg></trk>")))
    assert all(fix.speed is None for fix in kmh.fixes)
    assert kmh.notes
    doppler = points.replace("<speed>40", "<speed>11.1")
    metres = read_gpx(_write(tmp_path / "b.gpx", _gpx(f"<trk><trkseg>{doppler}</trkseg></trk>")))
    assert {fix.speed for fix in metres.fixes} == {11.1}


@pytest.mark.parametrize(
    "content",
    [
        "time,lat,lon\n2024-05-01T10:00:00Z,46.5,11.25\n",
        "\ufefftimestamp;Longitude;Latitude\n1714557600;11.25;46.5\n",
        "lng\tlat\tdatetime\n11.25\t46.5\t2024-05-01 10:00:00\n",
        "id|tracked_at|latitude (deg)|long\n7|1714557600000|46.5|11.25\n",
        '"Date","Time","Latitude","Longitude"\n"2024/05/01","10:00:00","46.5","11.25"\n',
        "time;lat;lon\n2024-05-01T10:00:00Z;46,5;11,25\n",
        "# from a logger\n\nversion 2\ntime,lat,lon\n2024-05-01T12:00:00+02:00,46.5,11.25\n\n",
    ],
)
def test_csv_of_any_shape(tmp_path: Path, content: str) -> None:
    (fix,) = read_csv(_write(tmp_path / "a.csv", content)).fixes
    assert (fix.timestamp, fix.latitude, fix.longitude) == (1_714_557_600_000, 46.5, 11.25)


def test_csv_counts_rows_without_time_or_position(tmp_path: Path) -> None:
    content = "time,lat,lon\n,46.5,11.25\n2024-05-01T10:00:00Z,,\n2024-05-01T10:00:00Z,46.5,11.25\nshort\n"
    track = read_csv(_write(tmp_path / "a.csv", content))
    assert (len(track.fixes), track.without_time, track.unreadable) == (1, 1, 2)


def test_csv_without_the_columns_says_which(tmp_path: Path) -> None:
    with pytest.raises(NotATrack, match="time, latitude"):
        read_csv(_write(tmp_path / "a.csv", "name,lon\nx,1\n"))


def test_a_directory_names_what_it_skips(tmp_path: Path) -> None:
    _write(tmp_path / "good.GPX", _gpx(f"<trk><trkseg>{_POINT}</trkseg></trk>"))
    _write(tmp_path / "broken.gpx", "no xml")
    _write(tmp_path / "notes.txt", "hello")
    _write(tmp_path / "empty.csv", "")
    library = read_directory(tmp_path)
    assert [track.name for track in library.tracks] == ["good.GPX"]
    assert set(library.skipped) == {"broken.gpx", "notes.txt", "empty.csv"}
    assert all(library.skipped.values())


@pytest.mark.skipif(not (_DATA / "tracks").is_dir(), reason="the recorded tracks are not on this machine")
def test_every_recorded_track_is_read_completely() -> None:
    """Points, and points with a time, are those that the manifest counts."""
    tracks = {track.name: track for track in read_directory(_DATA / "tracks").tracks}
    manifest = (_DATA / "tracks" / "MANIFEST.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in manifest.splitlines() if line.startswith("| ")]
    counted = {row[1]: (int(row[2]), int(row[3])) for row in rows if row[1].endswith((".gpx", ".csv"))}
    assert set(tracks) == set(counted)
    for name, track in tracks.items():
        points = len(track.fixes) + track.without_time + track.unreadable
        assert (points, len(track.fixes)) == counted[name], name

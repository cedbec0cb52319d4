"""Export and import over REST, with the worker in between: what went in comes out, to the last digit."""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import gpxpy
import numpy as np
import pytest

from domain.kit.clock import SystemClock
from geo.gpx import GpxError, GpxFault, GpxPoint, GpxReader
from rest import track_files
from tests.geo.real_tracks import TRACKS, VECTORS, needs_data
from tests.rest.conftest import GENEROUS, Rest, RestFactory
from tests.workers.recording import Recording, recording_on

EDGE = VECTORS / "gpx-edge"
QUICK_TRACKS = ["car_reading_garmin-xt.gpx", "hike_korita-zbevnica_missing-times.gpx", "rally_augsburg_A5.gpx"]
"""Of the real tracks, those with times that run backwards, that are missing and that repeat."""
GPX = {"Content-Type": "application/gpx+xml"}

RIDE = """<gpx><trk><name>Ride</name><trkseg>
<trkpt lat="45.123456789012345" lon="-122.25"><ele>12.345678</ele><time>2015-03-25T14:00:00.250Z</time></trkpt>
<trkpt lat="45.2" lon="-0.00001"><ele>5e-6</ele><time>2015-03-25T13:59:00Z</time><speed>3.1</speed></trkpt>
<trkpt lat="45.3" lon="-122.4"><time>2015-03-25T15:00:00Z</time></trkpt>
<trkpt lat="45.3" lon="-122.4"/>
<trkpt lat="0" lon="0"><time>2015-03-25T15:00:01Z</time></trkpt>
<trkpt lat="45.4" lon="-122.4"><ele>-9999</ele><time>2015-03-25T15:00:02Z</time></trkpt>
</trkseg></trk><trk><name>nothing</name></trk><wpt lat="1" lon="1"/></gpx>"""


@dataclass
class Garage:
    """A rider at the REST application, and the worker behind it."""

    rest: Rest
    recording: Recording
    headers: dict[str, str]

    async def post(self, document: str | bytes, **headers: str) -> Any:
        return await self.rest.client.post("/v1/tracks/import", content=document, headers=self.headers | GPX | headers)

    async def imported(self, document: str | bytes) -> list[dict[str, Any]]:
        """The tracks of an import, stored and computed."""
        answer = await self.post(document)
        assert answer.status_code == 202, answer.text
        await self.recording.drain()
        await self.recording.finish()
        return [track for track in answer.json()["tracks"] if track["track_id"]]

    async def exported(self, track: dict[str, Any], **query: str) -> bytes:
        answer = await self.rest.client.get(
            f"/v1/tracks/{track['track_id']}/export", params={"zones": "show"} | query, headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
async def garage(rest: Rest, database_url: str, redis_url: str) -> AsyncIterator[Garage]:
    async with recording_on(database_url, redis_url) as recording:
        yield Garage(rest, recording, await rest.sign_in())


def read(document: bytes) -> tuple[GpxReader, list[GpxPoint]]:
    reader = GpxReader()
    return reader, reader.feed(document) + reader.close()


async def test_what_was_imported_is_exported_to_the_last_digit(garage: Garage) -> None:
    answer = await garage.post(RIDE)
    assert answer.status_code == 202
    body = answer.json()
    ride, nothing = body["tracks"]
    assert ride | {"track_id": None} == {
        "track_id": None,
        "name": "Ride",
        "points": 6,
        "fixes": 4,
        "without_time": 1,
        "rejected": {"latitude": 1},
        "values_left_out": 1,
    }
    assert (nothing["track_id"], nothing["fixes"], body["waypoints"]) == (None, 0, 1)

    (track,) = await garage.imported(RIDE)
    assert track["track_id"] == ride["track_id"]
    reader, points = read(await garage.exported(track))
    assert [(each.seq, each.timestamp) for each in points] == [
        (1, 1427291940000),
        (0, 1427292000250),
        (2, 1427295600000),
        (3, 1427295602000),
    ]
    assert points[1][3:6] == (45.123456789012345, -122.25, 12.345678)
    assert points[0][4:8] == (-0.00001, 5e-6, None, 3.1)
    assert reader.tracks[0].name == "ThrottleCove 2015-03-25 13:59 UTC"


async def test_a_gap_begins_a_segment(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    parsed = gpxpy.parse(await garage.exported(track))
    assert [len(segment.points) for segment in parsed.tracks[0].segments] == [2, 2]


async def test_an_export_imported_again_keeps_its_numbers(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    first = await garage.exported(track)
    (again,) = await garage.imported(first)
    assert again["track_id"] != track["track_id"]
    assert await garage.exported(again) == first


async def test_numbers_missing_in_an_export_are_not_waited_for(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    lines = (await garage.exported(track)).decode().splitlines(keepends=True)
    (shorter,) = await garage.imported("".join(line for line in lines if 'seq="1"' not in line))
    row = await garage.recording.sql.fetchrow("SELECT * FROM tracks WHERE id = $1", UUID(shorter["track_id"]))
    assert (row["stored"], row["last_seq"], row["finished_at"] is not None) == (3, 3, True)


async def test_the_same_file_is_the_same_track_and_a_deleted_one_comes_back_as_another(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    assert [each["track_id"] for each in await garage.imported(RIDE)] == [track["track_id"]]
    await garage.recording.sql.execute("UPDATE tracks SET deleted_at = now() WHERE id = $1", UUID(track["track_id"]))
    (anew,) = await garage.imported(RIDE)
    assert anew["track_id"] != track["track_id"]
    assert len(read(await garage.exported(anew))[1]) == 4


async def test_two_riders_may_have_the_same_file(garage: Garage) -> None:
    (mine,) = await garage.imported(RIDE)
    other = Garage(garage.rest, garage.recording, await garage.rest.sign_in("grace"))
    (theirs,) = await other.imported(RIDE)
    assert mine["track_id"] != theirs["track_id"]
    answer = await garage.rest.client.get(f"/v1/tracks/{mine['track_id']}/export", headers=other.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@needs_data()
async def test_every_published_edge_case_makes_the_round_trip_or_says_why_not(garage: Garage) -> None:
    for path in sorted(EDGE.glob("*.gpx")):
        await _round_trip(garage, path)


@needs_data()
@pytest.mark.parametrize("name", QUICK_TRACKS)
async def test_real_tracks_make_the_round_trip(garage: Garage, name: str) -> None:
    assert await _round_trip(garage, TRACKS / name)


async def _round_trip(garage: Garage, path: Path) -> int:
    """Import, store, export; how many points came back, 0 when the file is refused for what our reader says of it."""
    document = path.read_bytes()
    try:
        _, sent = read(document)
    except GpxError as error:
        answer = await garage.post(document)
        assert (answer.status_code, answer.json()["reason"]) == (422, error.fault)
        return 0
    groups = [list(group) for _, group in itertools.groupby(sent, key=lambda point: point.track)]
    for track, points in zip(await garage.imported(document), groups, strict=True):
        exported = await garage.exported(track)
        _, back = read(exported)
        assert sorted(map(_value, back)) == sorted(map(_value, points))
        assert [_seen_by_gpxpy(point) for point in _gpxpy_points(exported)] == [_seen(point) for point in back]
    return len(sent)


def _value(point: GpxPoint) -> tuple[float, ...]:
    """Everything but the number of a point, as it is stored: positions in double precision, the rest in single."""
    optional = (-1.0 if value is None else float(np.float32(value)) for value in point[5:])
    return (*point[2:5], *optional)


def _gpxpy_points(document: bytes) -> list[Any]:
    parsed = gpxpy.parse(document)
    return [point for track in parsed.tracks for segment in track.segments for point in segment.points]


def _seen_by_gpxpy(point: Any) -> tuple[Any, ...]:
    return point.latitude, point.longitude, point.elevation, round(point.time.timestamp() * 1000)


def _seen(point: GpxPoint) -> tuple[Any, ...]:
    return point.latitude, point.longitude, point.altitude, point.timestamp


async def test_a_file_without_a_recording_is_refused_whole(garage: Garage) -> None:
    bad = RIDE.replace('lat="45.4"', 'lat="NaN"')
    answer = await garage.post(bad)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["reason"]) == (422, "invalid", "coordinates")
    assert "(line 7)" in problem["detail"]
    assert "45." not in problem["detail"]
    assert await garage.recording.redis.exists("tracks:stream") == 0


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ('<!DOCTYPE gpx [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>', 422, "doctype"),
        ("<gpx>" + "<a>" * 20_000, 422, "too_deep"),
        ("<gpx>" + "<trk/>" * 501 + "</gpx>", 413, "too_many_tracks"),
        ('<gpx><trk><trkseg><trkpt lat="1" lon="1"/></trkseg></trk></gpx>', 422, "no_times"),
        (RIDE.replace("2015-", "1915-"), 422, "no_usable_points"),
        (RIDE[:200], 422, "not_xml"),
        (b"\x1f\x8b\x08\x00", 422, "not_xml"),
        ("", 422, "not_xml"),
    ],
)
async def test_refusals_have_a_reason(garage: Garage, document: str | bytes, status: int, reason: str) -> None:
    answer = await garage.post(document)
    assert (answer.status_code, answer.json().get("reason")) == (status, reason), answer.text


async def test_other_kinds_of_bodies_are_not_read(garage: Garage) -> None:
    for headers in ({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}):
        answer = await garage.post(RIDE, **headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported")


async def test_a_fix_that_is_flagged_is_exported_unless_asked_otherwise(garage: Garage) -> None:
    far = RIDE.replace(
        'lat="45.3" lon="-122.4"><time>2015-03-25T15:00:00Z', 'lat="5.3" lon="2"><time>2015-03-25T14:00:01Z'
    )
    (track,) = await garage.imported(far)
    everything, clean = await garage.exported(track), await garage.exported(track, flagged="omit")
    assert len(_gpxpy_points(everything)) == 4
    assert len(_gpxpy_points(clean)) < 4
    assert b'flags="' in everything
    assert b'flags="' not in clean


async def test_geojson_has_the_same_points(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    answer = await garage.rest.client.get(
        f"/v1/tracks/{track['track_id']}/export", params={"format": "geojson", "zones": "show"}, headers=garage.headers
    )
    assert answer.headers["content-type"] == "application/geo+json"
    feature = answer.json()
    assert feature["geometry"] == {
        "type": "MultiLineString",
        "coordinates": [
            [[-0.00001, 45.2, 5e-6], [-122.25, 45.123456789012345, 12.345678]],
            [[-122.4, 45.3], [-122.4, 45.4]],
        ],
    }
    beside = feature["properties"]["coordinateProperties"]
    assert beside["times"][1] == ["2015-03-25T15:00:00.000Z", "2015-03-25T15:00:02.000Z"]
    assert beside["seqs"] == [[1, 0], [2, 3]]
    assert beside["speeds"] == [[3.1, None], [None, None]]


async def test_an_export_is_a_file_with_a_safe_name(garage: Garage) -> None:
    (track,) = await garage.imported(RIDE)
    answer = await garage.rest.client.get(f"/v1/tracks/{track['track_id']}/export", headers=garage.headers)
    name = f"throttlecove-20150325-1359-{track['track_id'][-8:]}.gpx"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["content-type"] == "application/gpx+xml"


async def test_a_zone_cuts_the_line_unless_it_is_shown(garage: Garage) -> None:
    points = "".join(
        f'<trkpt lat="{45 + i / 1000:.4f}" lon="7"><time>2015-03-25T14:{i:02}:00Z</time></trkpt>' for i in range(60)
    )
    (track,) = await garage.imported(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    zone = {"name": "home", "latitude": 45.03, "longitude": 7.0, "radius_metres": 500}
    answer = await garage.rest.client.post("/v1/users/zones", json=zone, headers=garage.headers)
    assert answer.status_code == 201
    hidden = gpxpy.parse(await garage.exported(track, zones="hide"))
    shown = gpxpy.parse(await garage.exported(track, zones="show"))
    assert len(hidden.tracks[0].segments) == 2
    assert [len(segment.points) for segment in shown.tracks[0].segments] == [60]
    nearest = min(abs(p.latitude - 45.03) for s in hidden.tracks[0].segments for p in s.points)
    assert nearest * 111_000 > 500


async def test_an_import_counts_among_the_uploads(limited_rest: RestFactory) -> None:
    rest = await limited_rest(dataclasses.replace(GENEROUS, uploads_per_hour=2))
    headers = await rest.sign_in() | GPX
    answers = [await rest.client.post("/v1/tracks/import", content="<gpx/>", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert answers[0].headers["ratelimit-limit"] == "2"


async def test_a_file_larger_than_allowed_is_refused_and_other_routes_keep_their_limit(garage: Garage) -> None:
    big = b" " * 200_000
    assert (await garage.post(big)).json()["reason"] == "not_xml"
    answer = await garage.rest.client.post("/v1/users/zones", content=big, headers=garage.headers)
    assert answer.status_code == 413


async def test_one_import_of_a_rider_runs_at_a_time(garage: Garage) -> None:
    halfway = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield RIDE[:100].encode()
        halfway.set()
        await release.wait()
        yield RIDE[100:].encode()

    release = asyncio.Event()
    first = asyncio.create_task(
        garage.rest.client.post("/v1/tracks/import", content=slowly(), headers=garage.headers | GPX)
    )
    await halfway.wait()
    second = await garage.post(RIDE)
    release.set()
    assert (second.status_code, (await first).status_code) == (429, 202)


async def test_times_ahead_of_the_clock_are_no_fixes(garage: Garage) -> None:
    ahead = RIDE.replace("2015-03-25T15:00:02Z", f"{SystemClock().now().year + 9}-03-25T15:00:02Z")
    (track,) = await garage.imported(ahead)
    assert track["rejected"] == {"latitude": 1, "timestamp": 1}


@pytest.mark.parametrize(("ends_with", "code"), [("silence", "unavailable"), ("hanging up", "invalid")])
async def test_an_upload_that_does_not_come_is_given_up(
    garage: Garage, monkeypatch: pytest.MonkeyPatch, ends_with: str, code: str
) -> None:
    monkeypatch.setattr(track_files, "PAUSE_SECONDS", 0.01)
    waiting, answer = [{"type": "http.request", "body": RIDE[:100].encode(), "more_body": True}], bytearray()

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        if ends_with == "silence":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answer.extend(message.get("body", b""))

    headers = [(name.lower().encode(), value.encode()) for name, value in (garage.headers | GPX).items()]
    scope = {"type": "http", "method": "POST", "path": track_files.IMPORT_PATH, "headers": headers, "query_string": b""}
    await garage.rest.app(scope, receive, send)
    assert json.loads(answer)["code"] == code


def test_every_reason_of_a_refusal_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "track-files.md").read_text()
    assert [fault for fault in GpxFault if f"`{fault}`" not in page] == []

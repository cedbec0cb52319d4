"""What is drawn of a track: its line, its profile, its picture; without what zones hide, in bounded memory and time."""

import tracemalloc
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
import shapely
from pyproj import Geod

from domain.tracks.reading import Zones
from tests.rest.conftest import Rest
from tests.rest.riders import Rider, rider
from tests.support.tracks import BEGAN_MS, SOUTH, WEST

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
async def ada(rest: Rest) -> Rider:
    return await rider(rest)


def positions(feature: dict[str, Any]) -> np.ndarray:
    return np.array([position for part in feature["geometry"]["coordinates"] for position in part])


async def test_a_line_is_as_fine_as_the_zoom(ada: Rider) -> None:
    track_id = await ada.track(points=3_000)
    points = (await ada.get(f"/{track_id}/points", limit=10_000))["items"]
    flat = np.array([[each["longitude"] * 111_320 * np.cos(np.radians(45.1)), each["latitude"] * 111_320]
                     for each in points])  # fmt: skip
    sizes = []
    for zoom in (2, 10, 14, 22):
        feature = await ada.get(f"/{track_id}/geometry", zoom=zoom)
        assert (feature["type"], feature["geometry"]["type"]) == ("Feature", "MultiLineString")
        found = positions(feature) * [111_320 * np.cos(np.radians(45.1)), 111_320]
        tolerance = feature["properties"]["tolerance_metres"]
        away = shapely.distance(shapely.points(flat), shapely.LineString(found))
        assert away.max() <= 1.3 * tolerance, zoom
        sizes.append(len(found))
        west, south, east, north = feature["bbox"]
        assert (found / [111_320 * np.cos(np.radians(45.1)), 111_320]).min(axis=0) == pytest.approx([west, south])
        assert north > south
        assert east >= west
    assert sizes == sorted(sizes)
    assert sizes[0] == 2
    assert sizes[-1] > 300


async def test_a_line_breaks_at_gaps_and_zones_and_leaves_out_what_does_not_count(ada: Rider) -> None:
    track_id = await ada.track(points=600)
    await ada.sql("DELETE FROM track_points WHERE seq BETWEEN 100 AND 120")  # a gap, but soon over
    await ada.sql("UPDATE track_points SET timestamp = timestamp + interval '10 min' WHERE seq > 120")
    await ada.sql("UPDATE track_points SET latitude = 50, flags = 4 WHERE seq = 50")
    await ada.zone(SOUTH + 0.04)

    shown = await ada.get(f"/{track_id}/geometry", zoom=22)
    whole = await ada.get(f"/{track_id}/geometry", zoom=22, zones="show")

    assert len(shown["geometry"]["coordinates"]) == 3
    assert len(whole["geometry"]["coordinates"]) == 2
    assert positions(whole)[:, 1].max() < 46
    metres = Geod(ellps="WGS84").inv(
        *positions(shown).T, np.full(len(positions(shown)), WEST), np.full(len(positions(shown)), SOUTH + 0.04)
    )[2]
    assert metres.min() > 300


async def test_a_profile_has_the_extremes(ada: Rider) -> None:
    track_id = await ada.track(points=3_000)
    await ada.sql("UPDATE track_points SET altitude = 999.5 WHERE seq = 1234")
    await ada.sql("UPDATE track_points SET speed = 33.3 WHERE seq = 2001")

    profile = await ada.get(f"/{track_id}/profile", points=100)

    assert len({len(profile[name]) for name in ("timestamp", "distance", "altitude", "speed")}) == 1
    assert 50 < len(profile["timestamp"]) <= 100
    assert (max(profile["altitude"]), max(profile["speed"])) == (999.5, 33.3)
    assert profile["timestamp"][0] == BEGAN_MS
    assert profile["distance_metres"] == profile["distance"][-1] == pytest.approx(33_350, rel=0.05)
    assert profile["starts"] == [0]


async def test_a_profile_of_what_is_shown_is_shorter(ada: Rider) -> None:
    track_id = await ada.track(points=1_000)
    await ada.zone()
    await ada.zone(SOUTH + 0.05)

    hidden, whole = await ada.get(f"/{track_id}/profile"), await ada.get(f"/{track_id}/profile", zones="show")

    assert 900 < whole["distance_metres"] - hidden["distance_metres"] < 2_500
    assert len(hidden["starts"]) == 2
    assert hidden["timestamp"][0] > whole["timestamp"][0]


async def picture(ada: Rider, track_id: str, headers: dict[str, str] | None = None, **how: Any) -> httpx.Response:
    return await ada.rest.client.get(
        f"/v1/tracks/{track_id}/picture.svg", params=how, headers=ada.headers | (headers or {})
    )


@pytest.mark.parametrize("points", [0, 1, 2, 500])
async def test_every_track_has_a_picture(ada: Rider, points: int) -> None:
    track_id = await ada.track(points=points)
    for theme in ("light", "dark"):
        for width, height in ((480, 270), (32, 32), (2000, 40)):
            answer = await picture(ada, track_id, width=width, height=height, theme=theme)
            assert answer.headers["content-type"].startswith("image/svg+xml")
            assert answer.headers["cache-control"] == "private, no-cache"
            svg = ET.fromstring(answer.text)
            assert (svg.get("width"), svg.get("height")) == (str(width), str(height))
            assert len(svg.findall(f"{SVG}circle")) == (2 if points else 0)
            for circle in svg.findall(f"{SVG}circle"):
                assert 0 < float(str(circle.get("cx"))) < width
                assert 0 < float(str(circle.get("cy"))) < height
            assert not {"script", "image", "text"} & {each.tag.removeprefix(SVG) for each in svg.iter()}


async def test_a_hidden_end_is_a_ring_and_a_hidden_track_a_blank(ada: Rider) -> None:
    track_id = await ada.track(points=500)
    await ada.zone()

    ends = [circle.get("fill") for circle in ET.fromstring((await picture(ada, track_id)).text).findall(f"{SVG}circle")]
    assert ends == ["#ffffff", "#c92a2a"]

    await ada.zone(SOUTH + 0.02, radius_metres=5_000)
    assert not ET.fromstring((await picture(ada, track_id)).text).findall(f"{SVG}circle")


async def test_a_picture_is_asked_for_again_only_when_it_changed(ada: Rider) -> None:
    track_id = await ada.track()
    first = await picture(ada, track_id)
    known = {"If-None-Match": first.headers["etag"]}

    again = await picture(ada, track_id, known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await picture(ada, track_id, known, theme="dark")).status_code == 200
    assert (await picture(ada, track_id, known, zones="show")).status_code == 200
    await ada.zone()
    assert (await picture(ada, track_id, known)).status_code == 200
    await ada.sql("UPDATE tracks SET computed_at = now()")
    assert (await picture(ada, track_id, known)).status_code == 200
    for name in ("geometry", "profile"):
        url = f"/v1/tracks/{track_id}/{name}"
        tag = (await ada.rest.client.get(url, headers=ada.headers)).headers["etag"]
        answer = await ada.rest.client.get(url, headers=ada.headers | {"If-None-Match": f'"x", W/{tag}'})
        assert answer.status_code == 304


@pytest.mark.timeout(180)
async def test_a_long_track_takes_a_bounded_amount_of_memory(ada: Rider) -> None:
    """As much as 250,000 fixes are looked at, whatever the track has: 80 bytes each, beside the answer."""
    track_id = await ada.track(points=200_000)
    await ada.zone()
    peaks = {}
    tracemalloc.start()
    try:
        for path in ("geometry?zoom=22", "profile?points=1000", "picture.svg", "points?limit=10000"):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            answer = await ada.rest.client.get(f"/v1/tracks/{track_id}/{path}", headers=ada.headers)
            assert answer.status_code == 200, answer.text
            assert len(answer.content) < 3_000_000
            peaks[path] = (tracemalloc.get_traced_memory()[1] - before) / 1e6
    finally:
        tracemalloc.stop()
    assert max(peaks.values()) < 60, peaks


async def test_the_mask_of_the_shapes_is_that_of_the_points(ada: Rider) -> None:
    """One rule for all: what the points do not show, no shape shows."""
    track_id = await ada.track(points=2_000)
    await ada.zone(SOUTH + 0.1)
    shown = {each["timestamp"] for each in (await ada.get(f"/{track_id}/points", limit=10_000))["items"]}
    profile = await ada.get(f"/{track_id}/profile", points=1_000)

    assert Zones("hide") is Zones.HIDE
    assert set(profile["timestamp"]) <= shown
    assert len(shown) < 2_000

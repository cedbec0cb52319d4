"""A rider's tracks over REST: listed, looked at, read point by point, deleted."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.kit.errors import Gone
from domain.tracks.store import TrackStore
from tests.rest.conftest import Rest
from tests.rest.problems import problem
from tests.rest.riders import Rider, rider
from tests.support.tracks import BEGAN, BEGAN_MS, MONTH, SOUTH


@pytest.fixture
async def ada(rest: Rest) -> Rider:
    return await rider(rest)


async def test_tracks_are_listed_newest_first_page_by_page(ada: Rider) -> None:
    eve = await rider(ada.rest, "eve")
    await eve.track()
    made = [await ada.track(points=3, moment=BEGAN + timedelta(hours=hour // 2)) for hour in range(7)]

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ada.get(limit=2, **cursor)
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        cursor = {"cursor": page["next_cursor"]}

    assert sorted(seen) == sorted(made)
    assert [made.index(each) // 2 for each in seen] == [3, 2, 2, 1, 1, 0, 0]
    assert [each["id"] for each in (await ada.get())["items"]] == seen


async def test_a_list_is_filtered(ada: Rider) -> None:
    motorcycle = uuid4()
    early = await ada.track(points=3, motorcycle_id=motorcycle)
    late = await ada.track(points=3, moment=BEGAN + timedelta(hours=2), south=60.0)
    open_ = await ada.track(points=3, moment=BEGAN + timedelta(hours=4), finished=False)
    hour = 3_600_000

    for parameters, expected in (
        ({"from": BEGAN_MS + hour}, [open_, late]),
        ({"from": BEGAN_MS, "to": BEGAN_MS + 4 * hour}, [late, early]),
        ({"to": BEGAN_MS}, []),
        ({"motorcycle_id": str(motorcycle)}, [early]),
        ({"finished": "true"}, [late, early]),
        ({"finished": "false"}, [open_]),
        ({"bounds": "8,44,10,46"}, [early]),
        ({"bounds": "170,-90,-170,90"}, []),
        ({"bounds": "9,44,-179,61"}, [late, early]),
    ):
        assert [each["id"] for each in (await ada.get(**parameters))["items"]] == expected, parameters


async def test_a_track_is_looked_at(ada: Rider) -> None:
    track_id = await ada.track(points=100)
    await ada.sql("UPDATE track_points SET flags = 5 WHERE seq IN (7, 8)")
    await ada.sql("UPDATE track_points SET flags = 8 WHERE seq = 9")

    track = await ada.get(f"/{track_id}")

    flags = {"inaccurate": 2, "jump": 0, "spike": 2, "standing": 1, "repeated": 0, "ahead": 0}
    assert (track["state"], track["points"], track["flags"]) == ("computed", 100, flags)
    assert (track["started_at"], track["finished_at"]) == (BEGAN_MS, BEGAN_MS)
    assert track["figures"]["distance_metres"] == pytest.approx(1110)
    statistics = await ada.get(f"/{track_id}/statistics")
    assert statistics == {name: track[name] for name in ("state", "computed_at", "figures", "stops", "flags")}
    (listed,) = (await ada.get())["items"]
    assert listed == {name: track[name] for name in listed}


async def test_a_track_goes_from_recording_to_finished_to_computed(ada: Rider) -> None:
    track_id = await ada.track(points=10, finished=False)
    states = [await ada.get(f"/{track_id}")]
    await ada.sql("UPDATE tracks SET last_seq = 12")
    states.append(await ada.get(f"/{track_id}"))
    await ada.sql("UPDATE tracks SET finished_at = now()")
    states.append(await ada.get(f"/{track_id}"))

    assert [each["state"] for each in states] == ["recording", "finished", "computed"]
    assert states[0]["figures"] is None
    assert states[0]["finished_at"] is None


async def test_stops_at_home_are_not_shown(ada: Rider) -> None:
    track_id = await ada.track()
    stops = '[{"began_ms": 1, "ended_ms": 2, "latitude": 45, "longitude": 9},' + (
        '{"began_ms": 3, "ended_ms": 4, "latitude": 45.5, "longitude": 9}]'
    )
    await ada.sql("UPDATE tracks SET stops = CAST(:stops AS jsonb)", stops=stops)
    await ada.zone()

    for path in (f"/{track_id}", f"/{track_id}/statistics"):
        assert [each["latitude"] for each in (await ada.get(path))["stops"]] == [45.5]
        assert [each["latitude"] for each in (await ada.get(path, zones="show"))["stops"]] == [45, 45.5]


async def test_points_are_read_page_by_page_in_order_of_time(ada: Rider) -> None:
    track_id = await ada.track(points=250)
    await ada.sql("UPDATE track_points SET timestamp = timestamp - interval '100 s' WHERE seq IN (150, 160)")
    await ada.sql("UPDATE track_points SET lean = NULL, battery = NULL, flags = 9 WHERE seq = 3")

    pages = [await ada.get(f"/{track_id}/points", limit=100)]
    while pages[-1]["next_cursor"]:
        pages.append(await ada.get(f"/{track_id}/points", limit=100, cursor=pages[-1]["next_cursor"]))
    points = [point for page in pages for point in page["items"]]

    assert [len(page["items"]) for page in pages] == [100, 100, 50]
    assert sorted(point["seq"] for point in points) == list(range(250))
    assert points == sorted(points, key=lambda point: (point["timestamp"], point["seq"]))
    assert points[3] == {
        "seq": 3, "timestamp": BEGAN_MS + 3000, "latitude": SOUTH + 3e-4, "longitude": points[3]["longitude"],
        "altitude": points[3]["altitude"], "accuracy": 5.0, "speed": points[3]["speed"], "heading": 3.0,
        "flags": ["inaccurate", "standing"],
    }  # fmt: skip
    assert (points[4]["lean"], points[4]["battery"], points[4]["flags"]) == (-12.5, 0.75, [])


async def test_a_window_of_time(ada: Rider) -> None:
    track_id = await ada.track(points=50)

    page = await ada.get(f"/{track_id}/points", **{"from": BEGAN_MS + 10_000, "to": BEGAN_MS + 13_000})

    assert [point["seq"] for point in page["items"]] == [10, 11, 12]
    assert page["next_cursor"] is None


async def test_points_in_zones_are_left_out_and_pages_lead_on(ada: Rider) -> None:
    track_id = await ada.track(points=200)
    await ada.zone(SOUTH + 0.01)

    pages = [await ada.get(f"/{track_id}/points", limit=10)]
    while pages[-1]["next_cursor"]:
        pages.append(await ada.get(f"/{track_id}/points", limit=10, cursor=pages[-1]["next_cursor"]))
    shown = [point["seq"] for page in pages for point in page["items"]]

    assert len(pages) == 20
    hidden = sorted(set(range(200)) - set(shown))
    assert set(range(85, 115)) <= set(hidden)
    assert {0, 1, 198, 199} <= set(shown)
    everything = await ada.get(f"/{track_id}/points", zones="show")
    assert len(everything["items"]) == 200


async def test_an_empty_track_is_a_track(ada: Rider) -> None:
    for finished in (True, False):
        track_id = await ada.track(points=0, finished=finished)

        assert (await ada.get(f"/{track_id}"))["points"] == 0
        assert await ada.get(f"/{track_id}/points") == {"items": [], "next_cursor": None}
        assert (await ada.get(f"/{track_id}/geometry"))["geometry"] == {"type": "MultiLineString", "coordinates": []}
        assert (await ada.get(f"/{track_id}/profile"))["distance"] == []


SUFFIXES = ("", "/statistics", "/points", "/geometry", "/profile", "/picture.svg")


async def test_tracks_of_others_and_none_are_the_same(ada: Rider) -> None:
    eve = await rider(ada.rest, "eve")
    track_id = await ada.track()
    for suffix in SUFFIXES:
        answers = [
            await ada.rest.client.get(f"/v1/tracks/{each}{suffix}", headers=eve.headers) for each in (track_id, uuid4())
        ]
        bodies = [problem(answer, 404, "not_found", "track_id") for answer in answers]
        assert bodies[0]["detail"] == bodies[1]["detail"]
    problem(await ada.rest.client.delete(f"/v1/tracks/{track_id}", headers=eve.headers), 404, "not_found", "track_id")
    assert (await eve.get())["items"] == []
    assert len((await ada.get(f"/{track_id}/points"))["items"]) == 100


async def test_a_cursor_that_was_made_up(ada: Rider) -> None:
    track_id = await ada.track()
    for cursor in ("x", "=", "AAAA", "a" * 400, "é", "\0", "../..", "null", "-_-_" * 20):
        for path in ("", f"/{track_id}/points"):
            await ada.refused(path, 422, "invalid", "cursor", cursor=cursor)


async def test_a_cursor_of_another_rider_or_another_list(ada: Rider) -> None:
    eve = await rider(ada.rest, "eve")
    one, other = await ada.track(), await ada.track()
    of_list = (await ada.get(limit=1))["next_cursor"]
    of_points = (await ada.get(f"/{one}/points", limit=10))["next_cursor"]

    await eve.refused("", 422, "invalid", "cursor", cursor=of_list)
    await ada.refused("", 422, "invalid", "cursor", cursor=of_points)
    await ada.refused(f"/{one}/points", 422, "invalid", "cursor", cursor=of_list)
    await ada.refused(f"/{other}/points", 422, "invalid", "cursor", cursor=of_points)
    for position in range(0, len(of_list), 7):
        changed = of_list[:position] + ("A" if of_list[position] != "A" else "B") + of_list[position + 1 :]
        await ada.refused("", 422, "invalid", "cursor", cursor=changed)


async def test_parameters_that_cannot_be(ada: Rider) -> None:
    for path, parameters, field in (
        ("", {"limit": "0"}, "limit"),
        ("", {"limit": "101"}, "limit"),
        ("", {"limit": "x"}, "limit"),
        ("", {"limit": "9" * 5000}, "limit"),
        ("", {"cursor": ""}, "cursor"),
        ("", {"cursor": "x" * 401}, "cursor"),
        ("", {"from": "-1"}, "from"),
        ("", {"from": "1e99"}, "from"),
        ("", {"to": str(10**18)}, "to"),
        ("", {"motorcycle_id": "x"}, "motorcycle_id"),
        ("", {"finished": "perhaps"}, "finished"),
        ("", {"bounds": "1,2,3"}, "bounds"),
        ("", {"bounds": "1,2,3,nan"}, "bounds"),
        ("", {"bounds": "1,50,3,40"}, "bounds"),
        ("", {"bounds": "1,2,3,91"}, "bounds"),
        ("", {"bounds": "1,2,300,4"}, "bounds"),
        ("/x", {}, "track_id"),
        ("/{}/points", {"limit": "10001"}, "limit"),
        ("/{}/points", {"zones": "some"}, "zones"),
        ("/{}/geometry", {"zoom": "23"}, "zoom"),
        ("/{}/geometry", {"zoom": "-1"}, "zoom"),
        ("/{}/geometry", {"zoom": "1.5"}, "zoom"),
        ("/{}/profile", {"points": "1001"}, "points"),
        ("/{}/profile", {"points": "9"}, "points"),
        ("/{}/picture.svg", {"width": "2001"}, "width"),
        ("/{}/picture.svg", {"height": "0"}, "height"),
        ("/{}/picture.svg", {"theme": "<svg>"}, "theme"),
    ):
        await ada.refused(path.format(uuid4()), 422, "invalid", field, **parameters)


async def test_a_deleted_track_is_gone_everywhere(ada: Rider) -> None:
    kept, deleted = await ada.track(), await ada.track()

    async def delete() -> Any:
        return await ada.rest.client.delete(f"/v1/tracks/{deleted}", headers=ada.headers)

    first, second = await delete(), await delete()

    assert (first.status_code, first.content) == (204, b"")
    problem(second, 404, "not_found", "track_id")
    assert [each["id"] for each in (await ada.get())["items"]] == [kept]
    for suffix in SUFFIXES:
        await ada.refused(f"/{deleted}{suffix}", 404, "not_found", "track_id")
    async with ada.rest.world.engine.connect() as connection:
        left = await connection.execute(
            text("SELECT count(*) FROM track_points WHERE track_month = :month AND track_id = :id"),
            {"month": MONTH, "id": deleted},
        )
        assert left.scalar_one() == 0
    with pytest.raises(Gone):
        await TrackStore(ada.rest.world.engine).owner_of(UUID(deleted))


async def test_nothing_is_answered_without_signing_in(rest: Rest) -> None:
    for suffix in SUFFIXES:
        problem(await rest.client.get(f"/v1/tracks/{uuid4()}{suffix}"), 401, "unauthenticated")
    problem(await rest.client.delete(f"/v1/tracks/{uuid4()}"), 401, "unauthenticated")

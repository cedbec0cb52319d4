"""Bad input to the location events: a code, the field and a sentence; the socket stays, and nothing is half-done."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.e2e.phones import Phone, around, fix, new_id, now_ms, phone, register
from tests.e2e.processes import Pair, Site
from tests.support import eventually

TRACK = "01990000-0000-7000-8000-000000000001"
DAY_MS = 24 * 3600 * 1000
Y2000_MS = 946_684_800_000


def update(**changes: Any) -> Callable[[str], dict[str, Any]]:
    """A `location:update` whose fix differs from a good one; None leaves a field out."""

    def payload(track: str) -> dict[str, Any]:
        changed = {**fix(0, 46.5, 8.3), **changes}
        return {"track_id": track, "fix": {name: value for name, value in changed.items() if value is not None}}

    return payload


def plain(payload: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    return lambda _track: payload


# event, payload for a track of the rider's own, expected code, expected field
BAD: list[tuple[str, Callable[[str], Any], str, str]] = [
    ("location:update", update(latitude=90.1), "invalid", "fix.latitude"),
    ("location:update", update(latitude="46.5"), "invalid", "fix.latitude"),
    ("location:update", update(latitude=None), "invalid", "fix.latitude"),
    ("location:update", update(longitude=-180.5), "invalid", "fix.longitude"),
    ("location:update", update(latitude=0, longitude=0), "invalid", "fix.latitude"),
    ("location:update", update(timestamp=-1), "invalid", "fix.timestamp"),
    ("location:update", update(timestamp=now_ms() + 2 * DAY_MS), "invalid", "fix.timestamp"),
    ("location:update", update(timestamp="now"), "invalid", "fix.timestamp"),
    ("location:update", update(timestamp=now_ms() // 1000), "invalid", "fix.timestamp"),
    ("location:update", update(seq=-1), "invalid", "fix.seq"),
    ("location:update", update(seq=2**31), "invalid", "fix.seq"),
    ("location:update", update(seq=1.5), "invalid", "fix.seq"),
    ("location:update", update(seq=True), "invalid", "fix.seq"),
    ("location:update", update(heading=361), "invalid", "fix.heading"),
    ("location:update", update(battery=2), "invalid", "fix.battery"),
    ("location:update", update(colour="red"), "invalid", "fix.colour"),
    ("location:update", lambda track: {"track_id": track}, "invalid", "fix"),
    ("location:update", lambda track: {"track_id": track, "fix": []}, "invalid", "fix"),
    ("location:update", lambda track: {"track_id": track, "fix": {}, "more": 1}, "invalid", "more"),
    ("location:update", plain({"track_id": "no id", "fix": fix(0, 1, 1)}), "invalid", "track_id"),
    ("location:update", plain({"track_id": TRACK, "fix": fix(0, 1, 1)}), "not_found", "track_id"),
    ("location:batch", plain({"track_id": TRACK, "fixes": []}), "not_found", "track_id"),
    ("location:batch", lambda track: {"track_id": track, "fixes": [{}] * 1001}, "too_large", "fixes"),
    ("location:batch", lambda track: {"track_id": track, "fixes": {}}, "invalid", "fixes"),
    ("track:start", plain({"track_id": TRACK, "started_at": -5}), "invalid", "started_at"),
    ("track:start", plain({"track_id": TRACK, "started_at": now_ms() // 1000}), "invalid", "started_at"),
    ("track:start", plain({"track_id": TRACK, "started_at": now_ms(), "ride_id": 5}), "invalid", "ride_id"),
    ("track:stop", lambda track: {"track_id": track, "last_seq": -2}, "invalid", "last_seq"),
    ("track:stop", lambda track: {"track_id": track, "last_seq": 5, "lost": [[3, 2]]}, "invalid", "lost"),
    ("track:stop", lambda track: {"track_id": track, "last_seq": 5, "lost": [[3, 9]]}, "invalid", "lost"),
    ("map:watch", plain({"bounds": [-180, -91, 180, 90], "zoom": 1}), "invalid", "bounds"),
    ("map:watch", plain({"bounds": [8, 47, 9, 46], "zoom": 12}), "invalid", "bounds"),
    ("map:watch", plain({"bounds": [8, 46, 9], "zoom": 12}), "invalid", "bounds"),
    ("map:watch", plain({"bounds": [8, 46, 9, 91], "zoom": 12}), "invalid", "bounds"),
    ("map:watch", plain({"bounds": [8, 46, 9, 47], "zoom": 99}), "invalid", "zoom"),
    ("riders:watch", plain({"user_ids": [TRACK]}), "forbidden", "user_ids"),
    ("riders:info", plain({"riders": [0]}), "invalid", "riders[0]"),
    ("sharing:set", plain({"audience": "everybody"}), "invalid", "audience"),
    ("sharing:set", plain({"audience": "groups"}), "unsupported", "audience"),
    ("sharing:set", plain({"audience": "public", "expires_at": 5}), "invalid", "expires_at"),
]


async def test_each_refusal_names_a_code_a_field_and_what_to_do(pair: Pair) -> None:
    async with phone(await register(pair.one.url)) as rider:
        track = await rider.start_track()
        for event, make, code, field in BAD:
            payload = make(track)
            answer = await rider.ask(event, payload)
            assert "error" in answer, (event, payload, answer)
            error = answer["error"]
            assert (error["code"], error.get("field")) == (code, field), (event, payload, error)
            assert len(error["message"]) > 10, error
        assert await rider.move(track, 1, 46.5, 8.3) == {}


@pytest.mark.parametrize(
    "bounds",
    [
        [179.99, -16.01, -179.99, -15.99],  # across the antimeridian
        [0.0, 89.999, 0.1, 90.0],  # up to the pole
        [8.3, 46.5, 8.3, 46.5],  # a point
    ],
)
async def test_unusual_boxes_are_watched(pair: Pair, bounds: list[float]) -> None:
    async with phone(await register(pair.one.url)) as watcher:
        watched = await watcher.ask("map:watch", {"bounds": bounds, "zoom": 14})
        assert watched["resolution"] in (5, 7, 9)
        assert 1 <= len(watched["cells"]) <= 64


@pytest.mark.parametrize(("latitude", "longitude"), [(-16.0, 179.9999), (-16.0, -179.9999), (89.9995, 12.0)])
async def test_a_dot_at_the_edge_of_the_map_is_where_it_is(pair: Pair, latitude: float, longitude: float) -> None:
    west, east = max(longitude - 0.01, -180.0), min(longitude + 0.01, 180.0)
    async with phone(await register(pair.one.url)) as rider, phone(await register(pair.two.url)) as watcher:
        track = await rider.start_track()
        box = {"bounds": [west, latitude - 0.01, east, min(latitude + 0.01, 90.0)], "zoom": 14}
        assert "resolution" in await watcher.ask("map:watch", box)
        assert await rider.move(track, 0, latitude, longitude) == {}

        def at_its_place() -> bool:
            seen = watcher.sees(rider.account.rider)
            # Around a pole, and across the antimeridian, offsets may lead beyond ±180°: the same meridian.
            return (
                seen is not None
                and abs(seen[0] - latitude) < 2e-5
                and abs((seen[1] - longitude + 180) % 360 - 180) < 2e-5
            )

        await eventually(at_its_place)


async def test_somebody_elses_track_cannot_be_touched(pair: Pair) -> None:
    async with phone(await register(pair.one.url)) as anna, phone(await register(pair.two.url)) as ben:
        track = await anna.start_track()
        taken = await ben.ask("track:start", {"track_id": track, "started_at": now_ms()})
        assert (taken["error"]["code"], taken["error"]["field"]) == ("conflict", "track_id")
        for event, payload in (
            ("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}),
            ("location:batch", {"track_id": track, "fixes": [fix(0, 46.5, 8.3)]}),
            ("track:stop", {"track_id": track, "last_seq": 0}),
        ):
            assert (await ben.ask(event, payload))["error"]["code"] == "not_found", event


async def test_a_batch_keeps_the_good_and_names_the_bad_and_the_first_write_wins(storing_pair: Pair) -> None:
    async with phone(await register(storing_pair.one.url)) as rider:
        track = await rider.start_track()
        fixes = [
            {**fix(0, 46.5, 8.3), "timestamp": Y2000_MS},
            fix(1, 95.0, 8.3),
            {"seq": 2, "latitude": 46.5},
            {**fix(3, 46.6, 8.4), "timestamp": now_ms() + DAY_MS - 60_000},
            "no fix",
            fix(4, 46.7, 8.5),
            {**fix(5, 46.7, 8.5), "timestamp": now_ms() // 1000},
        ]
        answer = await rider.ask("location:batch", {"track_id": track, "fixes": fixes})
        assert answer["accepted"] == 3
        assert [(one["seq"], one["code"]) for one in answer["rejected"]] == [
            (1, "invalid"),
            (2, "invalid"),
            (None, "invalid"),
            (5, "invalid"),
        ]
        assert [one["field"] for one in answer["rejected"]] == ["latitude", "timestamp", "fix", "timestamp"]
        assert await rider.move(track, 0, 10.0, 10.0) == {}  # again, with other values: the first stays
        assert await rider.ask("track:stop", {"track_id": track, "last_seq": 5}) == {}
        await finished(storing_pair.site, track)
        rows = await points(storing_pair.site, track)
    assert [(row["seq"], row["latitude"]) for row in rows] == [(0, 46.5), (3, 46.6), (4, 46.7)]
    assert rows[0]["timestamp"].year == 2000


async def test_a_fix_that_was_refused_is_not_waited_for(storing_pair: Pair) -> None:
    async with phone(await register(storing_pair.one.url)) as rider:
        track = await rider.start_track()
        for seq, bad in enumerate(({"latitude": "46.5"}, {"colour": "red"}, {"heading": 361})):
            refused = await rider.ask("location:update", {"track_id": track, "fix": {**fix(seq, 46.5, 8.3), **bad}})
            assert refused["error"]["field"] == f"fix.{next(iter(bad))}"
        assert await rider.move(track, 3, 46.5, 8.3) == {}
        assert await rider.ask("track:stop", {"track_id": track, "last_seq": 3}) == {}
        await finished(storing_pair.site, track)
    assert [row["seq"] for row in await points(storing_pair.site, track)] == [3]


async def test_a_phone_that_comes_back_goes_on_without_starting_again(storing_pair: Pair) -> None:
    account = await register(storing_pair.one.url)
    first = Phone(account)
    await first.connect()
    track = await first.begin_track()
    # The start and the updates are sent without waiting for an answer; order is kept.
    other = str(new_id())
    begun = await first.tell("track:start", {"track_id": other, "started_at": now_ms()})
    sent = [await first.tell("location:update", {"track_id": other, "fix": fix(n, 46.5, 8.3)}) for n in range(3)]
    assert "rider" in await begun
    assert [await answer for answer in sent] == [{}] * 3
    assert await first.move(track, 0, 46.5, 8.3) == {}
    await first.disconnect()
    async with phone(account, storing_pair.two.url) as again:
        batch = {"track_id": track, "fixes": [fix(n, 46.5, 8.3 + n / 1000) for n in (1, 2)]}
        assert await again.ask("location:batch", batch) == {"accepted": 2, "rejected": []}
        assert await again.move(track, 3, 46.5, 8.31) == {}
        stop = {"track_id": track, "last_seq": 6, "lost": [[4, 6]]}
        assert await again.ask("track:stop", stop) == {}
        assert await again.ask("track:stop", stop) == {}
        await finished(storing_pair.site, track)
    assert [row["seq"] for row in await points(storing_pair.site, track)] == [0, 1, 2, 3]


async def test_a_phone_sends_more_often_while_somebody_watches(pair: Pair) -> None:
    async with phone(await register(pair.one.url)) as rider, phone(await register(pair.two.url)) as watcher:
        track = await rider.start_track()
        await rider.move(track, 0, 46.9, 8.9, speed=20.0)
        await eventually(lambda: ("rate:set", {"send_interval_ms": 5000, "reason": "unwatched"}) in rider.heard)
        await watcher.ask("map:watch", around(46.9, 8.9))
        await rider.move(track, 1, 46.9, 8.9, speed=20.0)
        await eventually(lambda: rider.heard[-1] == ("rate:set", {"send_interval_ms": 1000, "reason": "watched"}))


async def test_a_watched_phone_that_comes_back_is_told_to_send_often(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with phone(account) as rider, phone(await register(pair.two.url)) as watcher:
        track = await rider.start_track()
        await watcher.ask("map:watch", around(46.95, 8.95))
        await rider.move(track, 0, 46.95, 8.95, speed=20.0)
        await eventually(lambda: watcher.sees(account.rider))
        await rider.disconnect()
        async with phone(account) as again:
            assert again.ready["send_interval_ms"] == 5000
            await again.move(track, 1, 46.95, 8.95, speed=20.0)
            await eventually(lambda: ("rate:set", {"send_interval_ms": 1000, "reason": "watched"}) in again.heard)


async def points(site: Site, track: str) -> list[asyncpg.Record]:
    database = await asyncpg.connect(site.database_url)
    try:
        rows: list[asyncpg.Record] = await database.fetch(
            "SELECT * FROM track_points WHERE track_id = $1 ORDER BY seq", track
        )
        return rows
    finally:
        await database.close()


async def finished(site: Site, track: str) -> None:
    database = await asyncpg.connect(site.database_url)
    try:
        await eventually(lambda: database.fetchval("SELECT finished_at FROM tracks WHERE id = $1", track), timeout=60)
    finally:
        await database.close()

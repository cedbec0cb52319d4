"""Fixes that come when their track has long been finished: it is computed again, as if they had been there."""

import asyncpg
import pytest

from tests.e2e.phones import Phone, around, fix, now_ms, phone, register
from tests.e2e.processes import Pair, Site
from tests.support import eventually

EVERY_MS = 10_000
NORTH = 0.001
METRES = 111.15
"""From one fix to the next, at 46.5° north."""


def fixes(began_ms: int, *numbers: int) -> list[dict[str, object]]:
    return [fix(seq, 46.5 + seq * NORTH, 8.3, timestamp=began_ms + seq * EVERY_MS) for seq in numbers]


async def send(device: Phone, track: str, late: list[dict[str, object]]) -> None:
    answer = await device.ask("location:batch", {"track_id": track, "fixes": late})
    assert answer == {"accepted": len(late), "rejected": []}


async def finished(site: Site, track: str, *, points: int) -> asyncpg.Record:
    """The track, once it is finished with so many fixes."""
    sql = await asyncpg.connect(site.database_url)
    try:
        query = """SELECT fixes, stored, distance_metres, duration_seconds, ST_NPoints(line) AS points,
                          ST_Y(ST_EndPoint(line)) AS ends, ST_IsValidTrajectory(line) AS valid
                   FROM tracks WHERE id = $1 AND finished_at IS NOT NULL AND NOT recompute AND stored = $2"""
        return await eventually(lambda: sql.fetchrow(query, track, points), timeout=60)
    finally:
        await sql.close()


async def test_fixes_that_come_after_the_end_lengthen_the_finished_track(storing_pair: Pair) -> None:
    async with phone(await register(storing_pair.one.url)) as device:
        track, began = await device.begin_track(), now_ms() - 600_000
        await send(device, track, fixes(began, 0, 1, 3))
        # Number 2 was given up for lost, and what follows 3 was not known of.
        assert await device.ask("track:stop", {"track_id": track, "last_seq": 3, "lost": [[2, 2]]}) == {}
        short = await finished(storing_pair.site, track, points=3)
        assert (short["fixes"], short["points"], short["duration_seconds"]) == (3, 3, 30)
        assert short["distance_metres"] == pytest.approx(3 * METRES, rel=1e-3)

        await send(device, track, fixes(began, 2, 4, 5))
        whole = await finished(storing_pair.site, track, points=6)
        assert (whole["fixes"], whole["points"], whole["duration_seconds"]) == (6, 6, 50)
        assert whole["distance_metres"] == pytest.approx(5 * METRES, rel=1e-3)
        assert whole["ends"] == pytest.approx(46.5 + 5 * NORTH)
        assert whole["valid"]


async def test_a_late_fix_on_a_node_that_does_not_know_the_track_takes_nobody_off_the_map(storing_pair: Pair) -> None:
    """Said again on another connection, it was read there after it had been stored."""
    one, two, here = storing_pair.one, storing_pair.two, (46.5, 8.3)
    account = await register(one.url)
    async with phone(account) as device, phone(await register(two.url), two.url) as watcher:
        await device.share("public")
        await watcher.ask("map:watch", around(*here))
        track, began = await device.begin_track(), now_ms() - 60_000
        for seq in (0, 1):
            assert await device.move(track, seq, *here, timestamp=began + seq * EVERY_MS) == {}
        await eventually(lambda: watcher.sees(account.rider) == here, timeout=20)
        sql = await asyncpg.connect(storing_pair.site.database_url)
        stored = "SELECT count(*) FROM track_points WHERE track_id = $1"
        await eventually(lambda: sql.fetchval(f"SELECT ({stored}) = 2", track), timeout=60)
        await sql.close()
        async with phone(account, two.url) as again:
            assert await again.move(track, 0, *here, timestamp=began) == {}
            assert await watcher.ask("map:unwatch", {}) == {}
            await watcher.ask("map:watch", around(*here))
            assert watcher.sees(account.rider) == here

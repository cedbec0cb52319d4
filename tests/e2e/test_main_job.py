"""From phone to disk: a position reaches other riders on any node, and PostGIS, once."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import redis

from domain.tracks.entries import TRACK_STREAM
from server.stack import RedisServer
from tests.e2e.phones import around, fix, phone, register
from tests.e2e.processes import Node, Pair, site
from tests.support import eventually

LONG_TICK_MS = 2000


async def test_a_position_is_seen_on_another_node_and_stored_once(storing_pair: Pair) -> None:
    anna, ben = await register(storing_pair.one.url), await register(storing_pair.two.url)
    async with phone(anna) as rider, phone(ben) as watcher:
        track = await rider.start_track()
        watched = await watcher.ask("map:watch", around(46.5, 8.3))
        assert watched["resolution"] in (5, 7, 9)
        assert await rider.move(track, 0, 46.5, 8.3, speed=15.0, heading=90.0, altitude=1800.5) == {}
        await eventually(lambda: watcher.sees(anna.rider) == (46.5, 8.3))
        dot = watcher.dots[anna.rider]
        assert (dot["heading"], dot["speed"]) == (45, 150)
        known = await watcher.ask("riders:info", {"riders": [anna.rider, 999_999]})
        assert [person["user_id"] for person in known["riders"]] == [anna.user_id]
        assert await rider.ask("track:stop", {"track_id": track, "last_seq": 0}) == {}
        await eventually(lambda: watcher.sees(anna.rider) is None)
    database = await asyncpg.connect(storing_pair.site.database_url)
    try:
        await eventually(lambda: database.fetchval("SELECT finished_at FROM tracks WHERE id = $1", track), timeout=60)
        (point,) = await database.fetch("SELECT * FROM track_points WHERE track_id = $1", track)
    finally:
        await database.close()
    assert (point["seq"], point["latitude"], point["longitude"], point["altitude"]) == (0, 46.5, 8.3, 1800.5)


async def test_a_hundred_pipelined_updates_are_acknowledged_in_order_within_two_ticks(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    # With ticks this long the machine's own pauses do not decide. Each appends once to the stream, which nobody reads.
    with site(database_url, own_redis.url, tmp_path, {"THROTTLECOVE_TICK_MILLISECONDS": str(LONG_TICK_MS)}) as running:
        node = await running.node()
        with redis.Redis.from_url(own_redis.url) as client:

            def appended() -> int:
                return int(client.xlen(TRACK_STREAM))

            await _pipeline_a_hundred(node, appended)


async def _pipeline_a_hundred(node: Node, appended: Callable[[], int]) -> None:
    async with phone(await register(node.url)) as rider:
        track = await rider.start_track()
        order: list[int] = []
        before = appended()
        answers = []
        for seq in range(100):
            answer = await rider.tell("location:update", {"track_id": track, "fix": fix(seq, 46.5, 8.3 + seq / 1e4)})
            answer.add_done_callback(lambda _done, seq=seq: order.append(seq))
            answers.append(answer)
        assert [await answer for answer in answers] == [{}] * 100
    assert order == list(range(100))
    assert appended() - before <= 2

"""What is full refuses and forgets nothing: the fixes a node holds, its memory, the track stream."""

import asyncio
from pathlib import Path

import psutil
import redis

from domain.tracks.entries import TRACK_STREAM
from server.stack import RedisServer
from tests.e2e.outages import assert_kept_once, outage, riding, says, seen_moving, watching
from tests.e2e.phones import Phone, fix, now_ms, phone, register
from tests.e2e.processes import site
from tests.support import eventually

PENDING_FIXES = 2000
BATCH = 500
PHONES = 4
BATCHES = 100
FLOOD_SECONDS = 90.0
MOST_GROWTH_BYTES = 24 * 1024 * 1024
"""Of 200,000 fixes that are sent; those held take a MiB, the rest is what was read and not yet looked at."""
STREAM_LIMIT_BYTES = 40_000


async def test_while_redis_is_silent_fixes_are_refused_and_memory_is_bounded(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    settings = {
        "THROTTLECOVE_PENDING_FIXES": str(PENDING_FIXES),
        "THROTTLECOVE_BATCHES_PER_SECOND": "1000",
        "THROTTLECOVE_BATCHES_BURST": "1000",
    }
    with site(database_url, own_redis.url, tmp_path, settings) as running:
        node = await running.node()
        account = await register(node.url)
        phones = [Phone(account) for _ in range(PHONES)]
        for device in phones:
            await device.connect()
        tracks = [await device.begin_track() for device in phones]
        await asyncio.gather(*(flood(*one, batches=10) for one in zip(phones, tracks, strict=True)))
        process = psutil.Process(node.pid)
        before = process.memory_info().rss
        async with outage("pause", own_redis):
            answers = await asyncio.gather(*(flood(*one, batches=BATCHES) for one in zip(phones, tracks, strict=True)))
            grown = process.memory_info().rss - before
            assert {code for codes in answers for code in codes} == {"unavailable"}
            assert grown < MOST_GROWTH_BYTES

        async def accepted() -> bool:
            batch = {"track_id": tracks[0], "fixes": [fix(0, 46.5, 8.3)]}
            return await phones[0].ask("location:batch", batch) == {"accepted": 1, "rejected": []}

        await eventually(accepted, timeout=30)
        for device in phones:
            await device.disconnect()


async def flood(device: Phone, track: str, batches: int) -> list[str | None]:
    """Send batches without waiting for answers; their codes, None for those that were accepted."""
    fixes = [fix(seq, 46.5, 8.3, timestamp=now_ms() - 10_000 + seq) for seq in range(BATCH)]
    asked = [await device.tell("location:batch", {"track_id": track, "fixes": fixes}) for _ in range(batches)]
    await eventually(lambda: all(each.done() for each in asked), timeout=FLOOD_SECONDS)
    answers = [each.result() for each in asked]
    return [answer["error"]["code"] if "error" in answer else None for answer in answers]


async def test_a_full_stream_refuses_and_forgets_nothing(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    settings = {"THROTTLECOVE_STREAM_LIMIT_BYTES": str(STREAM_LIMIT_BYTES)}
    with site(database_url, own_redis.url, tmp_path, settings) as running:
        node = await running.node()
        async with watching(node) as watcher, riding(node) as rider, phone(await register(node.url)) as filling:
            track = await filling.begin_track()
            seq = 0
            while not any("at its limit" in error["message"] for error in rider.refused):
                batch = {"track_id": track, "fixes": [fix(seq + n, 46.6, 8.4) for n in range(20)]}
                if "error" not in await filling.ask("location:batch", batch):
                    seq += 20
            await says(node, 200, stream="unhealthy", redis="healthy")
            with redis.Redis.from_url(own_redis.url) as client:
                first, length = client.xrange(TRACK_STREAM, count=1), client.xlen(TRACK_STREAM)
                refusals = len(rider.refused)
                await eventually(lambda: len(rider.refused) > refusals + 5, timeout=60)
                await seen_moving(watcher, rider)
                assert client.xrange(TRACK_STREAM, count=1) == first
                assert length <= client.xlen(TRACK_STREAM) <= length + 2  # a smaller one may still have found room
                assert client.memory_usage(TRACK_STREAM) < 2 * STREAM_LIMIT_BYTES
            running.worker()
            before = rider.newest
            await eventually(lambda: rider.acked_after(before) > 3, timeout=60)
            await says(node, 200, stream="healthy")
            assert await filling.ask("track:stop", {"track_id": track, "last_seq": seq - 1}) == {}
            await rider.finish()
        await assert_kept_once(database_url, rider)

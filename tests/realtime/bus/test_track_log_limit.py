"""The hard limit of the track stream: at it the server refuses rather than forgets."""

from collections.abc import AsyncIterator

import pytest
import structlog
from redis.asyncio import Redis

from domain.kit.errors import Unavailable
from domain.tracks.entries import TRACK_STREAM
from realtime.bus.track_log import RedisTrackLog
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of


def make_log(server: RedisServer, limit: int) -> RedisTrackLog:
    return RedisTrackLog(options_of(server.url), stream_limit_bytes=limit)


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url) as client:
        yield client


async def test_at_the_limit_it_refuses_all_or_nothing_and_goes_on_when_there_is_room(
    own_redis: RedisServer, client: Redis
) -> None:
    log = make_log(own_redis, 200_000)
    entry = bytes(10_000)
    appended = 0
    with pytest.raises(Unavailable) as refused:
        while True:
            await log.append([entry, entry])
            appended += 2
    assert refused.value.retry_after_ms
    assert 10 <= appended <= 20
    assert await client.xlen(TRACK_STREAM) == appended
    assert log.stream_bytes <= 200_000
    await client.xtrim(TRACK_STREAM, maxlen=2, approximate=False)
    await log.append([entry])
    await log.aclose()


async def test_small_entries_first_do_not_hide_large_ones_behind_them(own_redis: RedisServer, client: Redis) -> None:
    """Redis' own estimate of a long stream is made from its first nodes."""
    log = make_log(own_redis, 4_000_000)
    for _ in range(20):
        await log.append([b"x" * 4_000] * 20)
    with pytest.raises(Unavailable):
        for _ in range(400):
            await log.append([bytes(100_000)])
    used = int(await client.execute_command("MEMORY", "USAGE", TRACK_STREAM, "SAMPLES", 0))
    assert used < 1.5 * 4_000_000
    await log.aclose()


async def test_the_size_is_exact_after_any_trimming(own_redis: RedisServer, client: Redis) -> None:
    log = make_log(own_redis, 1 << 30)
    for number in range(50):
        await log.append([bytes(100 * (number % 7))] * 3)
        await client.xtrim(TRACK_STREAM, maxlen=11, approximate=False)
    await log.append([b"last"])
    entries = [fields[b"records"] for _, fields in await client.xrange(TRACK_STREAM)]
    assert log.stream_bytes == sum(len(entry) + 256 for entry in entries)
    await client.delete(TRACK_STREAM)
    await log.append([b"first"])
    assert log.stream_bytes == len(b"first") + 256
    await log.aclose()


async def test_a_full_stream_is_logged_once_and_so_is_its_end(own_redis: RedisServer, client: Redis) -> None:
    log = make_log(own_redis, 10_000)
    with structlog.testing.capture_logs() as entries:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await log.append([bytes(20_000)])
        for _ in range(3):
            await log.append([b"small"])
    assert [(entry["log_level"], entry["refusing"]) for entry in entries] == [("error", True), ("info", False)]
    await log.aclose()

"""The track log: an append that returned is in the stream and on disk; everything else is Unavailable, soon."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from domain.kit.errors import Unavailable
from domain.tracks.entries import ENTRY_FIELD, TRACK_STREAM
from realtime.bus.connections import BusOptions
from realtime.bus.track_log import REPLICA_MARK, RedisTrackLog
from server.stack import RedisServer
from tests.realtime.wire.transports import turned_clock
from tests.support.redis_topologies import ask
from tests.support.servers import running
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

PATIENT_SECONDS = 30.0
HASTY_SECONDS = 0.5
"""For what has to be refused: a replica that does not answer is waited for by Redis, whose clock nobody turns."""


def make_log(server: RedisServer, *, seconds: float = PATIENT_SECONDS, replicas: int | None = None) -> RedisTrackLog:
    options = BusOptions(server.url, timeout_seconds=seconds)
    return RedisTrackLog(options, stream_limit_bytes=1 << 30, replicas=replicas)


@pytest.fixture
async def log(own_redis: RedisServer) -> AsyncIterator[RedisTrackLog]:
    log = make_log(own_redis)
    yield log
    await log.aclose()


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url) as client:
        yield client


@contextmanager
def replica_of(server: RedisServer, directory: Path) -> Iterator[RedisServer]:
    ask(server, "CONFIG", "SET", "repl-diskless-sync-delay", 0)  # it need not wait for others
    replica = RedisServer(directory, ephemeral=True, settings={"replicaof": f"127.0.0.1 {server.port}"})
    with running(replica):
        yield replica


async def connected_replicas(client: Redis) -> int:
    about = await client.info("replication")
    return sum(
        1
        for name, value in about.items()
        if name.startswith("slave") and isinstance(value, dict) and value["state"] == "online"
    )


async def stored(client: Redis) -> list[bytes]:
    return [fields[ENTRY_FIELD.encode()] for _, fields in await client.xrange(TRACK_STREAM)]


async def test_entries_are_appended_in_order(log: RedisTrackLog, client: Redis) -> None:
    entries = [b"entry %d" % number for number in range(100)]
    await log.append(entries[:40])
    await log.append([])
    await log.append(entries[40:])
    assert await stored(client) == entries


async def test_what_was_acknowledged_survives_a_kill(log: RedisTrackLog, own_redis: RedisServer, client: Redis) -> None:
    acknowledged: list[bytes] = []

    async def append_for_ever() -> None:
        for number in itertools.count():
            await log.append([b"entry %d" % number])
            acknowledged.append(b"entry %d" % number)

    appending = asyncio.create_task(append_for_ever())
    await eventually(lambda: len(acknowledged) >= 20)
    own_redis.kill()
    with pytest.raises(Unavailable) as problem:
        await appending
    assert problem.value.retry_after_ms
    await asyncio.to_thread(own_redis.start)
    kept = await stored(client)
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) <= 1


async def test_a_redis_out_of_memory_is_unavailable(log: RedisTrackLog, client: Redis) -> None:
    await log.append([b"before"])
    await client.config_set("maxmemory", 1)
    with pytest.raises(Unavailable):
        await log.append([b"during"])
    with pytest.raises(Unavailable):
        await log.claim_track(uuid4(), b"me")
    await client.config_set("maxmemory", 0)
    await log.append([b"after"])
    assert await stored(client) == [b"before", b"after"]


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_a_fault_is_unavailable_within_a_bounded_time(
    log: RedisTrackLog, own_redis: RedisServer, client: Redis, fault: str
) -> None:
    with turned_clock() as clock:
        await log.append([b"before"])
        getattr(own_redis, fault)()
        attempts: list[Coroutine[Any, Any, object]] = [
            log.append([b"x"]),
            log.claim_track(uuid4(), b"me"),
            log.read_claim(uuid4()),
        ]
        for attempt in attempts:
            with pytest.raises(Unavailable):
                await clock.within(2 * PATIENT_SECONDS, attempt)
        await asyncio.to_thread(own_redis.start)
        await log.append([b"after"])
    kept = await stored(client)
    assert (kept[0], kept[-1]) == (b"before", b"after")


async def test_with_a_replica_an_append_waits_for_it_and_without_it_is_unavailable(
    own_redis: RedisServer, client: Redis, tmp_path: Path
) -> None:
    log, hasty = make_log(own_redis), make_log(own_redis, seconds=HASTY_SECONDS)
    await log.append([b"alone"])
    with replica_of(own_redis, tmp_path / "replica") as replica:
        await eventually(lambda: connected_replicas(client), timeout=20)
        await eventually(lambda: _goes_through(log, b"both"))
        async with Redis.from_url(replica.url) as copy:
            for number in range(20):
                await log.append([b"both %d" % number])
                assert (await stored(copy))[-1] == b"both %d" % number
            replica.pause()
            with pytest.raises(Unavailable):
                await hasty.append([b"paused"])
            replica.resume()
            await eventually(lambda: _goes_through(log, b"resumed"))
            replica.kill()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await hasty.append([b"killed"])
            with pytest.raises(Unavailable):
                await hasty.claim_track(uuid4(), b"me")
    await log.aclose()
    await hasty.aclose()


async def test_a_replica_that_was_taken_away_for_good_is_waited_for_until_somebody_says_so(
    own_redis: RedisServer, client: Redis, tmp_path: Path
) -> None:
    log = make_log(own_redis, seconds=HASTY_SECONDS)
    with replica_of(own_redis, tmp_path / "replica") as replica:
        await eventually(lambda: connected_replicas(client), timeout=20)
        await eventually(lambda: _goes_through(log, b"both"))  # it may still be loading what came before
        replica.kill()
    with pytest.raises(Unavailable):
        await log.append([b"refused"])
    assert log.misses_a_replica
    newcomer = make_log(own_redis, seconds=HASTY_SECONDS)
    with pytest.raises(Unavailable):
        await newcomer.append([b"by a node that has never seen a replica"])
    assert newcomer.misses_a_replica
    await newcomer.aclose()
    assert await client.delete(REPLICA_MARK)
    with pytest.raises(Unavailable):
        await log.append([b"refused, and told"])
    await eventually(lambda: _goes_through(log, b"alone"))
    assert not log.misses_a_replica
    with replica_of(own_redis, tmp_path / "another") as another:
        await eventually(lambda: connected_replicas(client), timeout=20)
        await eventually(lambda: _goes_through(log, b"both again"))
        assert await client.exists(REPLICA_MARK)
        another.kill()
    await log.aclose()


async def test_a_node_that_has_appended_nothing_yet_waits_with_its_first_claim(
    own_redis: RedisServer, client: Redis, tmp_path: Path
) -> None:
    """The retry of a claim, too, on whatever node: it is written by then, and not yet on a replica."""
    fresh, next_door = make_log(own_redis, seconds=HASTY_SECONDS), make_log(own_redis, seconds=HASTY_SECONDS)
    track = uuid4()
    with replica_of(own_redis, tmp_path / "replica") as replica:
        await eventually(lambda: connected_replicas(client), timeout=20)
        replica.pause()
        with pytest.raises(Unavailable):
            await fresh.claim_track(track, b"me")
        assert await client.exists(REPLICA_MARK)
        for log in (fresh, next_door):
            with pytest.raises(Unavailable):
                await log.claim_track(track, b"me")
            assert log.misses_a_replica
        assert await client.exists(f"track:{track}")
        replica.resume()
        await eventually(lambda: _claims(next_door, track))
    for log in (fresh, next_door):
        await log.aclose()


async def test_a_look_at_the_stream_finds_a_replica_that_came_later(
    log: RedisTrackLog, own_redis: RedisServer, client: Redis, tmp_path: Path
) -> None:
    assert await log.claim_track(uuid4(), b"me") == b"me"
    assert not await client.exists(REPLICA_MARK)
    with replica_of(own_redis, tmp_path / "replica") as replica:
        await eventually(lambda: connected_replicas(client), timeout=20)
        await log.fullness()
        assert await client.exists(REPLICA_MARK)
        track = uuid4()
        await log.claim_track(track, b"me")
        async with Redis.from_url(replica.url) as copy:
            assert await copy.get(f"track:{track}") == b"me"


async def _claims(log: RedisTrackLog, track: UUID) -> bool:
    try:
        return await log.claim_track(track, b"me") == b"me"
    except Unavailable:
        return False


async def _goes_through(log: RedisTrackLog, entry: bytes) -> bool:
    try:
        await log.append([entry])
    except Unavailable:
        return False
    return True


async def test_as_many_replicas_as_are_demanded_must_be_there_from_the_start(own_redis: RedisServer) -> None:
    log = make_log(own_redis, seconds=HASTY_SECONDS, replicas=1)
    with pytest.raises(Unavailable):
        await log.append([b"alone"])
    await log.aclose()


async def test_of_fifty_claims_at_once_one_wins_and_all_learn_which(own_redis: RedisServer) -> None:
    logs = [make_log(own_redis) for _ in range(5)]
    track = uuid4()
    assert await logs[0].read_claim(track) is None
    winners = await asyncio.gather(*(logs[number % 5].claim_track(track, b"rider %d" % number) for number in range(50)))
    assert len(set(winners)) == 1
    assert await logs[0].read_claim(track) == winners[0]
    assert await logs[1].claim_track(track, b"late") == winners[0]
    for log in logs:
        await log.aclose()


async def test_a_claim_has_no_end_until_the_worker_gives_it_one(log: RedisTrackLog, client: Redis) -> None:
    track = uuid4()
    await log.claim_track(track, b"me")
    assert await client.ttl(f"track:{track}") == -1

"""The worker among ruins: real processes killed, paused and refusing while fixes are under way. It heals by itself."""

import asyncio
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import redis as blocking_redis

from domain.db.migrate import migrate_database
from domain.tracks.entries import TRACK_STREAM, WRITERS_GROUP
from domain.tracks.lag import stream_lag
from server.stack import PostgresServer, RedisServer
from tests.support import eventually
from tests.workers.recording import Recording, Ride, recording_on

FIXES = 100

pytestmark = pytest.mark.timeout(180)  # processes start and end here again and again


@contextmanager
def ending(*workers: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens, the workers end with the test."""
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


async def fill(recording: Recording, rides: list[Ride], batches: int) -> None:
    """Records of all the rides, interleaved; every one starts, and stops before its last fixes."""
    await recording.append(*(ride.start() for ride in rides), *(ride.stop(batches * FIXES - 1) for ride in rides))
    for number in range(batches):
        await recording.append(*(ride.fixes(range(number * FIXES, (number + 1) * FIXES)) for ride in rides))


async def assert_exactly_once(recording: Recording, rides: list[Ride], count: int) -> None:
    for ride in rides:
        assert await recording.seqs(ride) == list(range(count))
        track = await recording.track(ride)
        assert (track["stored"], track["max_seq"]) == (count, count - 1)
    assert await recording.dead_letters() == []


async def until_finished(recording: Recording, rides: list[Ride]) -> None:
    async def finished() -> bool:
        rows = [await recording.track(ride) for ride in rides]
        return all(row["finished_at"] is not None and not row["recompute"] for row in rows)

    await eventually(finished, timeout=40)


async def stored(recording: Recording) -> int:
    return int(await recording.sql.fetchval("SELECT count(*) FROM track_points"))


@pytest.mark.parametrize("seed", range(2))
async def test_a_worker_killed_again_and_again_stores_each_fix_once(recording: Recording, seed: int) -> None:
    chance = random.Random(seed)
    rides = [await recording.ride() for _ in range(8)]
    await fill(recording, rides, 40)
    killed_with_entries = 0
    for _ in range(6):
        worker = recording.start_worker(batch_bytes=20_000, read_entries=2)
        with ending(worker):
            await eventually(lambda: is_at_work(recording), timeout=30)
            moment = asyncio.get_running_loop().time() + chance.uniform(0, 0.15)
            await eventually(lambda moment=moment: asyncio.get_running_loop().time() >= moment)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        killed_with_entries += (await stream_lag(recording.redis)).in_hand > 0
    assert killed_with_entries > 0
    last = recording.start_worker()
    with ending(last):
        await recording.until_drained()
        await until_finished(recording, rides)
    await assert_exactly_once(recording, rides, 40 * FIXES)


async def is_at_work(recording: Recording) -> bool:
    lag = await stream_lag(recording.redis)
    return lag.in_hand > 0 or lag.entries == 0


async def writer_waits(recording: Recording) -> bool:
    """Whether a worker has begun to store a batch, and waits for what this connection holds."""
    await recording.sql.execute("SELECT pg_stat_clear_snapshot()")
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'throttlecove-writer' AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
    """
    return bool(await recording.sql.fetchval(query))


async def test_a_paused_worker_that_wakes_up_does_no_harm(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(8)]
    await fill(recording, rides, 30)
    sleeper = recording.start_worker(batch_bytes=20_000, read_entries=2)
    with ending(sleeper):
        async with recording.sql.transaction():
            await recording.sql.execute("LOCK TABLE tracks IN EXCLUSIVE MODE")
            await eventually(lambda: writer_waits(recording), timeout=30, every=0.05)
            sleeper.send_signal(signal.SIGSTOP)
        assert (await stream_lag(recording.redis)).entries > 0
        other = recording.start_worker()
        with ending(other):
            await recording.until_drained()
            before = await stored(recording)
            sleeper.send_signal(signal.SIGCONT)
            more = await recording.ride()
            await recording.append(more.fixes(range(FIXES)))
            sleeper.send_signal(signal.SIGTERM)
            await eventually(lambda: sleeper.poll() is not None, timeout=30)
            await recording.until_drained()
            assert await stored(recording) == before + FIXES
    await assert_exactly_once(recording, rides, 30 * FIXES)


async def test_told_to_stop_it_stores_what_it_has_and_leaves_the_group(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(4)]
    worker = recording.start_worker(worker_id="leaving")
    with ending(worker):
        await fill(recording, rides, 5)
        await eventually(lambda: stored(recording), timeout=30)
        assert await eventually(lambda: recording.redis.get("worker:leaving"))
        worker.send_signal(signal.SIGTERM)
        await eventually(lambda: worker.poll() is not None, timeout=30)
        assert worker.returncode == 0
    assert (await stream_lag(recording.redis)).in_hand == 0
    assert await recording.redis.xinfo_consumers(TRACK_STREAM, WRITERS_GROUP) == []
    assert await recording.redis.get("worker:leaving") is None


async def test_three_workers_share_the_work(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(10)]
    workers = [recording.start_worker(batch_bytes=20_000, read_entries=3) for _ in range(3)]
    with ending(*workers):
        await fill(recording, rides, 30)
        await fill(recording, rides, 30)  # phones that heard no answer send everything again
        await recording.until_drained()
        await until_finished(recording, rides)
    await assert_exactly_once(recording, rides, 30 * FIXES)


class Servers:
    """A Postgres and a Redis of one test's own, and the recording on them."""

    def __init__(self, postgres: PostgresServer, redis: RedisServer, recording: Recording) -> None:
        self.postgres = postgres
        self.redis = redis
        self.recording = recording


@pytest.fixture
async def servers(own_postgres: PostgresServer, own_redis: RedisServer) -> AsyncIterator[Servers]:
    await migrate_database(own_postgres.url)
    async with recording_on(own_postgres.url, own_redis.url) as recording:
        yield Servers(own_postgres, own_redis, recording)


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_without_postgres_entries_wait_and_are_stored_when_it_is_back(servers: Servers, fault: str) -> None:
    recording = servers.recording
    rides = [await recording.ride() for _ in range(4)]
    await recording.append(*(ride.start() for ride in rides))
    worker = recording.start_worker(statement_timeout_seconds=1, connect_timeout_seconds=1)
    with ending(worker):
        await recording.until_drained()  # acknowledged as well: it is not among those that wait
        assert await recording.sql_sees_tracks()
        await asyncio.to_thread(getattr(servers.postgres, fault))
        await fill(recording, rides, 10)
        await eventually(lambda: is_held(recording, 11), timeout=30)
        assert worker.poll() is None
        await asyncio.to_thread(servers.postgres.resume if fault == "pause" else servers.postgres.start)
        await recording.until_drained()
        async with recording_on(servers.postgres.url, servers.redis.url) as later:
            await until_finished(later, rides)
            await assert_exactly_once(later, rides, 10 * FIXES)


async def is_held(recording: Recording, entries: int) -> bool:
    """All entries wait, and a worker has some of them in its hands."""
    lag = await stream_lag(recording.redis)
    return lag.entries == entries and lag.in_hand > 0


async def test_postgres_killed_in_the_middle_of_much_work(servers: Servers) -> None:
    recording = servers.recording
    rides = [await recording.ride() for _ in range(8)]
    await fill(recording, rides, 60)
    worker = recording.start_worker(batch_bytes=20_000, read_entries=2)
    with ending(worker):
        for _ in range(3):
            await eventually(lambda: is_at_work(recording), timeout=30)
            await asyncio.to_thread(servers.postgres.kill)
            await asyncio.to_thread(servers.postgres.start)
        await recording.until_drained()
    async with recording_on(servers.postgres.url, servers.redis.url) as later:
        await assert_exactly_once(later, rides, 60 * FIXES)


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_without_redis_the_worker_waits_and_goes_on_where_it_was(servers: Servers, fault: str) -> None:
    recording = servers.recording
    rides = [await recording.ride() for _ in range(8)]
    await fill(recording, rides, 60)
    worker = recording.start_worker(batch_bytes=20_000, read_entries=2, redis_timeout_seconds=0.5)
    with ending(worker):
        await eventually(lambda: stored(recording), timeout=30)
        await asyncio.to_thread(getattr(servers.redis, fault))
        with pytest.raises((blocking_redis.RedisError, OSError)):
            blocking_redis.Redis.from_url(servers.redis.url, socket_timeout=0.2).ping()
        assert worker.poll() is None
        await asyncio.to_thread(servers.redis.resume if fault == "pause" else servers.redis.start)
        async with recording_on(servers.postgres.url, servers.redis.url) as later:
            await later.until_drained()
            await assert_exactly_once(later, rides, 60 * FIXES)
            assert worker.poll() is None


async def test_a_worker_that_starts_before_its_servers_waits_for_them(servers: Servers) -> None:
    ride = await servers.recording.ride()
    await servers.recording.append(ride.fixes(range(5)))
    await asyncio.to_thread(servers.postgres.kill)
    await asyncio.to_thread(servers.redis.kill)
    worker = servers.recording.start_worker()
    with ending(worker):
        await asyncio.to_thread(servers.redis.start)
        await asyncio.to_thread(servers.postgres.start)
        async with recording_on(servers.postgres.url, servers.redis.url) as later:
            await later.until_drained()
            assert await later.seqs(ride) == list(range(5))


async def test_told_to_stop_while_postgres_is_gone_it_leaves_its_entries_to_others(servers: Servers) -> None:
    ride = await servers.recording.ride()
    await asyncio.to_thread(servers.postgres.kill)
    await servers.recording.append(ride.fixes(range(5)))
    worker = servers.recording.start_worker()
    with ending(worker):
        await eventually(lambda: is_held(servers.recording, 1), timeout=30)
        worker.send_signal(signal.SIGTERM)
        await eventually(lambda: worker.poll() is not None, timeout=30)
        assert worker.returncode == 0
    assert (await stream_lag(servers.recording.redis)).in_hand == 1
    await asyncio.to_thread(servers.postgres.start)
    successor = servers.recording.start_worker()
    with ending(successor):
        await servers.recording.until_drained()
    async with recording_on(servers.postgres.url, servers.redis.url) as later:
        assert await later.seqs(ride) == list(range(5))


async def test_partitions_are_there_before_the_first_fix(recording: Recording) -> None:
    worker = recording.start_worker(partition_months=3)
    with ending(worker):

        async def made() -> bool:
            query = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'track_points'::regclass"
            return int(await recording.sql.fetchval(query)) == 3

        await eventually(made, timeout=30)

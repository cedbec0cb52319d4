"""What is bounded: the wait for a silent Postgres, a full Redis, the memory for a long track."""

import asyncio
import tracemalloc

import pytest
from redis.exceptions import ResponseError

from domain.db.migrate import migrate_database
from domain.kit.clock import ManualClock
from domain.tracks.entries import DEAD_LETTERS, TRACK_STREAM, WRITERS_GROUP
from domain.tracks.lag import stream_lag
from server.stack import PostgresServer, RedisServer
from tests.support import eventually
from tests.workers.recording import NOW, Recording, recording_on
from workers.database import Database, DatabaseOptions
from workers.main import connect_redis
from workers.options import WorkerOptions
from workers.tracks.items import DeadLetter, Reason
from workers.tracks.source import StreamSource

MILLION = 1_000_000
MEGABYTE = 2**20


async def test_a_silent_postgres_is_given_up_and_a_new_connection_heals(own_postgres: PostgresServer) -> None:
    database = Database(DatabaseOptions(own_postgres.url, answer_timeout_seconds=0.3), name="test")

    async def answers() -> bool:
        try:
            async with database.connection() as connection:
                return bool(await connection.fetchval("SELECT 1") == 1)
        except TimeoutError:
            return False

    await eventually(answers)  # on a busy machine an answer that comes may take longer, too
    await asyncio.to_thread(own_postgres.pause)
    assert not await answers()
    await asyncio.to_thread(own_postgres.resume)
    await eventually(answers)
    await database.aclose()


async def test_a_transaction_held_open_by_a_sleeper_lets_go_of_its_locks(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0]))
    await recording.drain()
    sleeper = Database(DatabaseOptions(recording.database_url, idle_in_transaction_seconds=0.2), name="sleeper")
    async with sleeper.connection() as connection:
        await connection.execute("BEGIN; SELECT FROM tracks FOR UPDATE")
        await recording.append(ride.fixes([1]))
        await recording.drain()
        assert await recording.seqs(ride) == [0, 1]
        await eventually(connection.is_closed)
    await sleeper.aclose()


async def test_a_full_redis_keeps_dead_letters_waiting_and_acknowledges_the_rest(own_redis: RedisServer) -> None:
    async with connect_redis(own_redis.url, WorkerOptions()) as redis:
        source = StreamSource(
            redis, ManualClock(), consumer="worker", entries=10, claim_idle_seconds=60, block_seconds=0.01
        )
        for _ in range(3):
            await redis.xadd(TRACK_STREAM, {"records": b"x"})
        first, second, third = [entry.id for entry in await source.read(wait=False)]
        letters = [DeadLetter(second, Reason.UNDECODABLE, "", b"x")]
        await redis.config_set("maxmemory", "1")
        with pytest.raises(ResponseError, match="maxmemory"):
            await source.settle([first, second, third], letters)
        assert [
            each["message_id"] for each in await redis.xpending_range(TRACK_STREAM, WRITERS_GROUP, "-", "+", 9)
        ] == [second]
        await redis.config_set("maxmemory", "0")
        await source.settle([first, second, third], letters)
        assert await redis.xlen(DEAD_LETTERS) == 1
        assert (await stream_lag(redis)).entries == 0


@pytest.mark.timeout(180)
async def test_a_million_fixes_are_finished_in_moderate_memory(own_postgres: PostgresServer, redis_url: str) -> None:
    await migrate_database(own_postgres.url)
    async with recording_on(own_postgres.url, redis_url) as recording:
        ride = await recording.ride()
        await recording.append(ride.fixes([0]))
        await recording.drain()
        await recording.sql.execute(
            """INSERT INTO track_points (track_month, track_id, seq, timestamp, latitude, longitude, speed, received_at)
               SELECT 202611, $1, seq, to_timestamp(1793500000 + seq * 0.04), 45 + seq * 4e-6, 9, 11.1, now()
               FROM generate_series(1, $2::int - 1) AS seq""",
            ride.track_id,
            MILLION,
        )
        await recording.sql.execute("UPDATE tracks SET stored = $1, max_seq = $1 - 1, recompute = true", MILLION)
        tracemalloc.start()
        try:
            assert await recording.finish(ManualClock(NOW)) == 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        track = await recording.track(ride)
        assert track["fixes"] == MILLION
        assert track["distance_metres"] == pytest.approx(MILLION * 4e-6 * 111_150, rel=0.01)
        assert peak < 800 * MEGABYTE

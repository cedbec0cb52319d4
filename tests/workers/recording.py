"""What the tests of recording share: tracks to record, a stream to put them in, and what Postgres has of them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from domain.kit.clock import Clock, ManualClock, SystemClock
from domain.tracks.entries import (
    DEAD_LETTERS,
    ENTRY_FIELD,
    TRACK_STREAM,
    Fixes,
    FixRow,
    Record,
    Rejected,
    Started,
    Stopped,
    encode_records,
)
from domain.tracks.lag import stream_lag
from tests.support import eventually
from workers.database import Database, DatabaseOptions
from workers.main import connect_redis, create_writer
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.tracks.finisher import Finisher
from workers.tracks.items import Item
from workers.tracks.point_store import WRITER_SET_UP, PointStore, Written
from workers.tracks.prepare import prepare

MONTH = 202611
NOW_MS = 1_793_500_000_000
"""A moment in November 2026."""
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
ROOT = Path(__file__).resolve().parents[2]


def row(seq: int, *, timestamp: int | None = None, **values: Any) -> FixRow:
    """A fix that rides north at 11 m/s, one fix a second."""
    named = {
        "latitude": 45.0 + seq * 1e-4,
        "longitude": 9.0,
        "altitude": 300.5,
        "accuracy": 5.0,
        "speed": 11.1,
        "heading": 0.0,
        "lean": None,
        "battery": 0.5,
        "flags": 0,
    } | values
    return (seq, NOW_MS + seq * 1000 if timestamp is None else timestamp, *named.values())  # type: ignore[return-value]


@dataclass
class Ride:
    """A track and the records that nodes would write for it."""

    user_id: UUID
    track_id: UUID = field(default_factory=uuid4)
    month: int = MONTH
    heard_ms: int = NOW_MS

    def start(self, started_ms: int = NOW_MS) -> Started:
        return Started(self.track_id, self.user_id, self.month, self.heard_ms, started_ms)

    def fixes(self, seqs: Iterable[int], **values: Any) -> Fixes:
        return self.rows([row(seq, **values) for seq in seqs])

    def rows(self, rows: Sequence[FixRow]) -> Fixes:
        return Fixes(self.track_id, self.user_id, self.month, self.heard_ms, list(rows))

    def rejected(self, *seqs: int, code: str = "invalid") -> Rejected:
        return Rejected(self.track_id, self.user_id, self.month, self.heard_ms, [(seq, code) for seq in seqs])

    def stop(self, last_seq: int, lost: Sequence[tuple[int, int]] = ()) -> Stopped:
        return Stopped(self.track_id, self.user_id, self.month, self.heard_ms, last_seq, list(lost))


async def write(store: PointStore, *records: Record) -> Written:
    """Write one batch."""
    return await store.write(prepare([Item(b"1-1", record) for record in records]))


class Recording:
    """The stream and the database of one test."""

    def __init__(self, database_url: str, redis_url: str, redis: Redis, sql: Any) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self.redis = redis
        self.sql = sql
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)

    async def rider(self) -> UUID:
        """A new user."""
        user_id = uuid4()
        await self.sql.execute(
            "INSERT INTO users (id, username, username_key, email, email_key, password_hash, created_at)"
            f" VALUES ($1, '{user_id}', '{user_id}', '{user_id}', '{user_id}', '', now())",
            user_id,
        )
        return user_id

    async def ride(self, **values: Any) -> Ride:
        """A new track of a new rider."""
        return Ride(await self.rider(), **values)

    async def append(self, *records: Record) -> bytes:
        """One stream entry with these records."""
        return await self.append_raw(encode_records(list(records)))

    async def append_raw(self, data: bytes) -> bytes:
        """One stream entry with these bytes."""
        entry_id: bytes = await self.redis.xadd(TRACK_STREAM, {ENTRY_FIELD: data})
        return entry_id

    @asynccontextmanager
    async def database(self, set_up: str = WRITER_SET_UP, **options: float) -> AsyncIterator[Database]:
        """A worker's connection."""
        database = Database(DatabaseOptions(self.database_url, **options), name="test", set_up=set_up)
        try:
            yield database
        finally:
            await database.aclose()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[PointStore]:
        """What writes batches."""
        async with self.database() as database:
            yield PointStore(database)

    async def drain(self, **options: Any) -> None:
        """Run a writer until nothing waits in the stream, then stop it."""
        async with self.writing(**options):
            await self.until_drained()

    @asynccontextmanager
    async def writing(self, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
        """A writer at work in this process, stopped in good order at the end."""
        redis, stop = connect_redis(self.redis_url, WorkerOptions()), asyncio.Event()
        async with self.database() as database:
            writer = create_writer(redis, database, SystemClock(), _options(options), self.metrics)
            task = asyncio.create_task(writer.run(stop), name="writer")
            try:
                yield task
            finally:
                stop.set()
                await task
                await redis.aclose()

    async def until_drained(self, *, timeout: float = 40) -> None:
        """Wait until every entry is acknowledged."""

        async def drained() -> bool:
            return (await stream_lag(self.redis)).entries == 0

        await eventually(drained, timeout=timeout)

    async def finish(self, clock: Clock | None = None, **options: Any) -> int:
        """Compute what is due (at NOW, unless the clock says otherwise); how many tracks."""
        async with self.database("", idle_in_transaction_seconds=600) as database:
            finisher = Finisher(database, clock or ManualClock(NOW), _options(options), self.metrics)
            return await finisher.finish_due()

    async def points(self, ride: Ride) -> list[Any]:
        """The stored fixes of a track by seq."""
        return list(
            await self.sql.fetch(
                "SELECT *, (extract(epoch FROM timestamp) * 1000)::bigint AS ms FROM track_points"
                " WHERE track_id = $1 ORDER BY seq",
                ride.track_id,
            )
        )

    async def seqs(self, ride: Ride) -> list[int]:
        """The sequence numbers stored for a track."""
        return [point["seq"] for point in await self.points(ride)]

    async def track(self, ride: Ride) -> Any:
        """The row of a track, or None."""
        return await self.sql.fetchrow("SELECT * FROM tracks WHERE id = $1", ride.track_id)

    async def sql_sees_tracks(self) -> bool:
        """Whether any track is stored."""
        return bool(await self.sql.fetchval("SELECT count(*) FROM tracks"))

    async def gaps(self, ride: Ride) -> list[tuple[int, int, str]]:
        """The gaps noted for a track."""
        rows = await self.sql.fetch(
            "SELECT first_seq, last_seq, reason FROM track_gaps WHERE track_id = $1 ORDER BY 1, 2", ride.track_id
        )
        return [tuple(each) for each in rows]

    async def dead_letters(self) -> list[dict[str, bytes]]:
        """The dead letters in order."""
        return [
            {name.decode(): value for name, value in fields.items()}
            for _, fields in await self.redis.xrange(DEAD_LETTERS)
        ]

    def start_worker(self, **options: Any) -> subprocess.Popen[bytes]:
        """A worker as a process of its own."""
        return start_worker(self.database_url, self.redis_url, **options)


def start_worker(database_url: str, redis_url: str, **options: Any) -> subprocess.Popen[bytes]:
    """A worker as a process of its own."""
    arguments = json.dumps({"database_url": database_url, "redis_url": redis_url, **_QUICK, **options})
    command = [sys.executable, "-m", "tests.workers.worker_process", arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


_QUICK = {"block_seconds": 0.05, "claim_idle_seconds": 0.5, "finish_poll_seconds": 0.05, "settle_seconds": 0.0}


def _options(options: dict[str, Any]) -> WorkerOptions:
    return WorkerOptions(**{**_QUICK, **options})


@asynccontextmanager
async def recording_on(database_url: str, redis_url: str) -> AsyncIterator[Recording]:
    """A recording on these servers."""
    redis = Redis.from_url(redis_url)
    sql = await asyncpg.connect(database_url)
    try:
        yield Recording(database_url, redis_url, redis, sql)
    finally:
        sql.terminate()
        await redis.aclose()

"""The track writer against a floor: `copy_records_to_table` of ready tuples into an identical indexed partition.

Both write the same fixes durably into tables with the same columns and the same key, in turn, several times. The floor
decodes nothing, asks for no duplicates and does it in one COPY; the writer reads the stream, decodes, locks the tracks,
counts, commits in batches and acknowledges. Two kinds of traffic: `live` (every record has one fix, as a node writes
them when riders send one by one) and `batches` (500 fixes a record, as phones send what they recorded offline).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from domain.kit.clock import SystemClock
from domain.tracks.entries import ENTRY_FIELD, TRACK_STREAM, Fixes, FixRow, encode_records
from domain.tracks.partitions import ensure_partition, partition_name
from loadtests.bench.private_stack import Addresses, changed_settings, private_stack
from workers.main import run_worker
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions

MONTH = 202611
GOAL = 0.5
_TRACKS = 200
_ENTRY_FIXES = 500
_FLOOR = "bench_floor"
_COLUMNS = (
    "track_month", "track_id", "seq", "timestamp", "latitude", "longitude", "altitude", "accuracy", "speed",
    "heading", "lean", "battery", "flags", "received_at",
)  # fmt: skip
_BEGIN_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Round:
    """One measurement: seconds on the wall, and CPU seconds of this process (the database's own are not in it)."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Figures:
    """What one kind of traffic came to."""

    floor: list[Round]
    writer: list[Round]

    def ratio(self) -> float:
        """The writer's throughput as a share of the floor's, by medians."""
        return _median(self.floor) / _median(self.writer)


async def run(options: argparse.Namespace) -> int:
    """Measure and print; exit status 1 when the goal is missed."""
    with private_stack() as addresses:
        figures = {
            traffic: await _measure(addresses, traffic, options.rounds, options.fixes, talk=not options.json)
            for traffic in ("live", "batches")
        }
    worst = round(min(one.ratio() for one in figures.values()), 3)  # as it is told
    if options.json:
        print(json.dumps(_object(figures, options.fixes, worst)))
    else:
        _table(figures, options.fixes, worst)
    return 0 if worst >= GOAL else 1


async def _measure(addresses: Addresses, traffic: str, rounds: int, fixes: int, *, talk: bool) -> Figures:
    figures = Figures([], [])
    connection = await asyncpg.connect(addresses.database_url)
    redis = Redis.from_url(addresses.redis_url)
    try:
        rider = await _rider(connection)
        await ensure_partition(connection, MONTH)
        await connection.execute(f"CREATE TABLE IF NOT EXISTS {_FLOOR} (LIKE {partition_name(MONTH)} INCLUDING ALL)")
        for number in range(rounds + 1):
            made = list(_fixes(random.Random(number), fixes, 1 if traffic == "live" else _ENTRY_FIXES))
            floor = await _copy(connection, _ready_tuples(made))
            await _fill(redis, rider, made)
            writer = await _drain(addresses, fixes)
            await _check(connection, fixes)
            if number:  # the first round warms both up
                figures.floor.append(floor)
                figures.writer.append(writer)
                if talk:
                    share = floor.wall_seconds / writer.wall_seconds
                    print(f"{traffic}: round {number} of {rounds}, {share:.2f} of the floor", file=sys.stderr)
            await connection.execute(f"TRUNCATE {_FLOOR}, track_points, track_gaps, tracks")
            await connection.execute("CHECKPOINT")
    finally:
        await redis.aclose()
        await connection.close()
    return figures


class _Stopwatch:
    """Wall and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Round:
        return Round(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def _fixes(chance: random.Random, count: int, run_length: int) -> Iterator[tuple[UUID, list[FixRow]]]:
    """Records of `run_length` fixes, the tracks taking turns."""
    tracks = [uuid4() for _ in range(_TRACKS)]
    sent = [0] * _TRACKS
    made = turn = 0
    while made < count:
        turn = (turn + 1) % _TRACKS
        length = min(run_length, count - made)
        rows = [_row(chance, sent[turn] + step) for step in range(length)]
        sent[turn] += length
        made += length
        yield tracks[turn], rows


def _row(chance: random.Random, seq: int) -> FixRow:
    latitude, longitude = chance.uniform(-60, 60), chance.uniform(-180, 180)
    return (
        seq, _BEGIN_MS + 1000 * seq, latitude, longitude, chance.uniform(0, 2000), chance.uniform(2, 20),
        chance.uniform(0, 40), chance.uniform(0, 360), None, 0.5, 0,
    )  # fmt: skip


async def _copy(connection: asyncpg.Connection, records: list[tuple[object, ...]]) -> Round:
    watch = _Stopwatch()
    await connection.copy_records_to_table(_FLOOR, records=records, columns=_COLUMNS)
    return watch.read()


def _ready_tuples(made: Sequence[tuple[UUID, list[FixRow]]]) -> list[tuple[object, ...]]:
    received = datetime.fromtimestamp(_BEGIN_MS / 1000, UTC)
    return [
        (MONTH, track, row[0], datetime.fromtimestamp(row[1] / 1000, UTC), *row[2:], received)
        for track, rows in made
        for row in rows
    ]


async def _fill(redis: Redis, rider: UUID, made: Sequence[tuple[UUID, list[FixRow]]]) -> None:
    """Append to the stream what nodes would have appended."""
    pipeline = redis.pipeline(transaction=False)
    entry: list[Fixes] = []
    weight = 0
    for track, rows in made:
        entry.append(Fixes(track, rider, MONTH, _BEGIN_MS, rows))
        weight += len(rows)
        if weight >= _ENTRY_FIXES:
            pipeline.execute_command("XADD", TRACK_STREAM, "*", ENTRY_FIELD, encode_records(entry))
            entry, weight = [], 0
    if entry:
        pipeline.execute_command("XADD", TRACK_STREAM, "*", ENTRY_FIELD, encode_records(entry))
    await pipeline.execute()


async def _drain(addresses: Addresses, fixes: int) -> Round:
    """Run a worker until it has stored everything; its connecting is in the time, its stopping is not."""
    watch = _Stopwatch()
    stop = asyncio.Event()
    registry = CollectorRegistry()
    worker = asyncio.create_task(
        run_worker(
            database_url=addresses.database_url,
            redis_url=addresses.redis_url,
            clock=SystemClock(),
            stop=stop,
            options=WorkerOptions(),
            metrics=WorkerMetrics(registry),
        )
    )
    while (registry.get_sample_value("throttlecove_fixes_stored_total") or 0) < fixes:
        if worker.done():
            worker.result()
        await asyncio.sleep(0.005)
    needed = watch.read()
    stop.set()
    await worker
    return needed


async def _check(connection: asyncpg.Connection, fixes: int) -> None:
    for table in (_FLOOR, "track_points"):
        stored = await connection.fetchval(f"SELECT count(*) FROM {table}")
        if stored != fixes:
            raise RuntimeError(f"{table} has {stored} of {fixes} fixes: what was measured is not the whole work")


async def _rider(connection: asyncpg.Connection) -> UUID:
    rider = uuid4()
    await connection.execute(
        "INSERT INTO users (id, username, username_key, email, email_key, password_hash, created_at)"
        " VALUES ($1, $2::text, $2::text, $2::text, $2::text, '', now())",
        rider,
        f"bench-{rider}"[:50],
    )
    return rider


def _median(rounds: Sequence[Round]) -> float:
    return statistics.median(one.wall_seconds for one in rounds)


def _cpu_us(rounds: Sequence[Round], fixes: int) -> float:
    return statistics.median(one.cpu_seconds for one in rounds) / fixes * 1e6


def _object(figures: dict[str, Figures], fixes: int, worst: float) -> dict[str, object]:
    return {
        "ratio": worst,
        "goal": GOAL,
        "fixes": fixes,
        **{
            traffic: {
                "ratio": round(one.ratio(), 3),
                "floor_fixes_per_second": round(fixes / _median(one.floor)),
                "writer_fixes_per_second": round(fixes / _median(one.writer)),
                "floor_client_cpu_us_per_fix": round(_cpu_us(one.floor, fixes), 2),
                "writer_client_cpu_us_per_fix": round(_cpu_us(one.writer, fixes), 2),
            }
            for traffic, one in figures.items()
        },
        "settings_changed": changed_settings(),
    }


def _table(figures: dict[str, Figures], fixes: int, worst: float) -> None:
    print(
        f"{'traffic':10} {'COPY fixes/s':>14} {'writer fixes/s':>15} {'ratio':>7} {'CPU µs/fix COPY':>16} {'writer':>8}"
    )
    for traffic, one in figures.items():
        copied, written = fixes / _median(one.floor), fixes / _median(one.writer)
        cpu = f"{_cpu_us(one.floor, fixes):16.2f} {_cpu_us(one.writer, fixes):8.2f}"
        print(f"{traffic:10} {copied:14,.0f} {written:15,.0f} {one.ratio():7.2f} {cpu}")
    print(f"goal {GOAL}: {'reached' if worst >= GOAL else 'missed'}; CPU is this process's own, without the database's")
    print(f"settings that differ from their defaults: {json.dumps(changed_settings())}")

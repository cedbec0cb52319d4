"""A worker process: track writer, finisher, partitions, stream history and heartbeat, run together until told to stop.

Any number of workers may run; they share the stream and the tracks, and take over from one that dies. Neither Postgres
nor Redis has to be there at the start. A fault nobody foresaw ends the worker, and its successor takes over.
"""

import asyncio
import gc
from dataclasses import replace

import structlog
from redis.asyncio import Redis

from domain.kit.clock import Clock
from domain.kit.redis_clients import create_redis
from domain.kit.tasks import run_together
from workers.database import Database, DatabaseOptions
from workers.heartbeat import Heartbeat
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions
from workers.streams.pruner import StreamPruner
from workers.tracks.claims import ClaimExpiry
from workers.tracks.finisher import Finisher
from workers.tracks.loop import TrackWriter
from workers.tracks.partition_keeper import PartitionKeeper
from workers.tracks.point_store import WRITER_SET_UP, PointStore
from workers.tracks.source import StreamSource

_log = structlog.get_logger(__name__)

_GARBAGE_THRESHOLDS = (400_000, 10, 10)
"""More objects than the batches in hand have, so that the collector looks only when something is left of them."""


def tune_garbage_collection() -> None:
    """A batch is hundreds of thousands of small objects without cycles: looking for some takes half of the CPU time."""
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


async def run_worker(
    *,
    database_url: str,
    redis_url: str,
    clock: Clock,
    stop: asyncio.Event,
    options: WorkerOptions,
    metrics: WorkerMetrics,
) -> None:
    """Work until `stop` is set and the batch in hand is stored (or cannot be: then it is left to others).

    `database_url` is libpq's form. Raises what is no fault of Postgres or Redis.
    """
    tune_garbage_collection()
    redis = connect_redis(redis_url, options)
    writing = Database(_database_options(database_url, options), name="throttlecove-writer", set_up=WRITER_SET_UP)
    finishing = Database(_finisher_options(database_url, options), name="throttlecove-finisher")
    pruning = Database(_database_options(database_url, options), name="throttlecove-pruner")
    making = Database(_database_options(database_url, options), name="throttlecove-partitions")
    partitions = PartitionKeeper(
        making, clock, months=options.partition_months, check_seconds=options.partition_check_seconds
    )
    heartbeat = Heartbeat(redis, clock, metrics, worker_id=options.worker_id, seconds=options.heartbeat_seconds)
    parts = {
        "writer": create_writer(redis, writing, clock, options, metrics).run(stop),
        "finisher": Finisher(finishing, clock, options, metrics).run(stop),
        "partitions": partitions.run(stop),
        "heartbeat": heartbeat.run(stop),
        "pruner": StreamPruner(
            pruning, clock, days=options.stream_history_days, check_seconds=options.prune_check_seconds
        ).run(stop),
    }
    _log.info("worker_started", worker=options.worker_id)
    try:
        await run_together("worker", parts)
    finally:
        for database in (writing, finishing, making, pruning):
            await database.aclose()
        await redis.aclose()
    _log.info("worker_stopped", worker=options.worker_id)


def connect_redis(redis_url: str, options: WorkerOptions) -> Redis:
    """A client with a limit on every wait and no retries of its own."""
    return create_redis(redis_url, name="worker", timeout_seconds=options.redis_timeout_seconds)


def create_writer(
    redis: Redis, database: Database, clock: Clock, options: WorkerOptions, metrics: WorkerMetrics
) -> TrackWriter:
    """The track writer of this worker; its database needs `WRITER_SET_UP`."""
    source = StreamSource(
        redis,
        clock,
        consumer=options.worker_id,
        entries=options.read_entries,
        claim_idle_seconds=options.claim_idle_seconds,
        block_seconds=options.block_seconds,
    )
    claims = ClaimExpiry(redis, clock, life_seconds=options.claim_life_seconds)
    return TrackWriter(source, PointStore(database), claims, clock, metrics, batch_bytes=options.batch_bytes)


def _database_options(url: str, options: WorkerOptions) -> DatabaseOptions:
    return DatabaseOptions(
        url,
        connect_timeout_seconds=options.connect_timeout_seconds,
        statement_timeout_seconds=options.statement_timeout_seconds,
        answer_timeout_seconds=options.statement_timeout_seconds + 10,
    )


def _finisher_options(url: str, options: WorkerOptions) -> DatabaseOptions:
    """Computing a long track takes longer than a writer may hold a transaction open, and keeps nobody waiting."""
    return replace(_database_options(url, options), idle_in_transaction_seconds=600)

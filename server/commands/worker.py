"""`python -m server worker`: one worker, storing and finishing tracks until it is told to stop."""

import argparse
import asyncio
import signal

import uvloop
from prometheus_client import start_http_server

from domain.kit.clock import SystemClock
from server.settings import Settings, load
from server.telemetry import create_registry, start_logging
from workers.main import run_worker
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("worker", help="run one worker")
    parser.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Work until SIGTERM or Ctrl-C; the batch in hand is finished first."""
    settings = load()
    start_logging(settings)
    uvloop.run(_work(settings))
    return 0


def options_of(settings: Settings) -> WorkerOptions:
    """What of the settings concerns a worker. It waits for an entry for less than silence of Redis may last."""
    return WorkerOptions(
        batch_bytes=settings.worker_batch_bytes,
        block_seconds=min(WorkerOptions.block_seconds, settings.redis_timeout_seconds / 2),
        claim_idle_seconds=settings.worker_claim_idle_seconds,
        finish_after_seconds=settings.finish_after_seconds,
        stream_history_days=settings.stream_history_days,
        redis_timeout_seconds=settings.redis_timeout_seconds,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
    )


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    registry = create_registry()
    if settings.worker_metrics_port:
        start_http_server(settings.worker_metrics_port, addr="127.0.0.1", registry=registry)
    await run_worker(
        database_url=settings.database_url.get_secret_value(),
        redis_url=settings.redis_url.get_secret_value(),
        clock=SystemClock(),
        stop=stop,
        options=options_of(settings),
        metrics=WorkerMetrics(registry),
    )

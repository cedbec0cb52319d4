"""One worker as a process, for tests that kill it: `python -m tests.workers.worker_process <options as JSON>`."""

import asyncio
import json
import signal
import sys
from typing import Any

from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from workers.main import run_worker
from workers.metrics import WorkerMetrics
from workers.options import WorkerOptions


async def _work(database_url: str, redis_url: str, **options: Any) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_worker(
        database_url=database_url,
        redis_url=redis_url,
        clock=SystemClock(),
        stop=stop,
        options=WorkerOptions(**options),
        metrics=WorkerMetrics(CollectorRegistry()),
    )


if __name__ == "__main__":
    asyncio.run(_work(**json.loads(sys.argv[1])))

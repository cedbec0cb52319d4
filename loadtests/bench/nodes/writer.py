"""`python -m loadtests.bench.nodes.writer STREAMS PER-SECOND`: append to durable streams, as a worker would.

STREAMS is a file with a name in each line. Every stream gets so many events a second, each in a transaction of its own.
An append that fails is not made again, and is not counted by anybody: what was kept is in Postgres.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from domain.db.engine import create_engine
from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from domain.kit.sealed import Sealer
from domain.kit.tasks import TaskOwner
from domain.streams.service import Streams
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.stream_hints import RedisStreamHints
from server import settings

_TEXT = "On the way, at the pass by noon; the café there has the good cake"


class Message(msgspec.Struct, frozen=True):
    """Something as long as what people write."""

    kind: str = "text"
    body: str = _TEXT


async def _run(names: list[str], per_second: float) -> None:
    node, clock = settings.read(), SystemClock()
    options = BusOptions(node.redis_url.get_secret_value())
    hints = RedisStreamHints(clock, options, BusMetrics(CollectorRegistry()))
    engine = create_engine(
        node.database_url.get_secret_value(),
        pool_size=8,
        max_overflow=0,
        connect_timeout_seconds=node.database_connect_timeout_seconds,
        statement_timeout_seconds=node.database_statement_timeout_seconds,
    )
    seals = {name: key.get_secret_value() for name, key in node.seal_keys.items()}
    streams = Streams(engine, clock, Sealer(seals, node.seal_active_key), hints)
    async with TaskOwner("writer") as owner:
        owner.start(hints.run(), "hints")
        pace = 1 / per_second
        works = [_write(streams, name, number / len(names) * pace, pace) for number, name in enumerate(names)]
        await asyncio.gather(*(owner.start(work, "stream") for work in works))


async def _write(streams: Streams, name: str, begins_after: float, pace_seconds: float) -> None:
    """One stream's events, at their times: late ones follow at once."""
    loop = asyncio.get_running_loop()
    due = loop.time() + begins_after
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        with contextlib.suppress(Unavailable):
            async with streams.writing() as writer:
                await writer.append(name, "bench:message", Message())
        due += pace_seconds


def main() -> None:
    """Write until killed."""
    names = Path(sys.argv[1]).read_text().split()
    uvloop.run(_run(names, float(sys.argv[2])))


if __name__ == "__main__":
    main()

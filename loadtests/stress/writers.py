"""Writers: append durable events to streams from outside the nodes, as a worker does, and know what was kept.

An append that is answered `unavailable` may have been kept all the same: it is never made again here, so that every
note is in its stream once at most.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import msgspec
from prometheus_client import CollectorRegistry

from domain.db.engine import create_engine
from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from domain.kit.sealed import Sealer
from domain.kit.tasks import TaskOwner
from domain.streams.service import Streams
from loadtests.stress.figures import Seconds
from loadtests.stress.system import System
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.stream_hints import RedisStreamHints
from server.settings import Settings

NOTE = "stress:note"
_EVERY_SECONDS = (0.0, 0.15)
_AGAIN_SECONDS = 0.3
_SEVERAL = 0.3
"""How often one transaction writes to several streams."""
_PAGE = 1000


class Note(msgspec.Struct, frozen=True):
    """An event that says which it is."""

    note: int


class Writers:
    """Several that write at the same time."""

    def __init__(self, streams: Streams, names: Sequence[str], seed: int, count: int) -> None:
        self.kept: dict[str, dict[int, int]] = {name: {} for name in names}
        """By stream and number: the notes that were acknowledged."""
        self.unknown = 0
        """Appends that were answered `unavailable`."""
        self.under_way = 0
        self.seconds = Seconds()
        """How long an append took."""
        self._streams = streams
        self._names = list(names)
        self._randoms = [Random(f"{seed} writer {number}") for number in range(count)]
        self._note = 0

    def work(self) -> "list[asyncio.Future[None]]":
        """Write until cancelled."""
        return [asyncio.ensure_future(self._write(random)) for random in self._randoms]

    async def _write(self, random: Random) -> None:
        while True:
            count = 2 if random.random() < _SEVERAL else 1
            try:
                await self._append(random.sample(self._names, min(count, len(self._names))))
            except Unavailable:
                self.unknown += 1
                await asyncio.sleep(_AGAIN_SECONDS)
            await asyncio.sleep(random.uniform(*_EVERY_SECONDS))

    async def _append(self, names: Sequence[str]) -> None:
        began = time.monotonic()
        notes = [self._note + number + 1 for number in range(len(names))]
        self._note += len(names)
        self.under_way += len(names)
        try:
            async with self._streams.writing() as writer:
                events = [(name, NOTE, Note(note)) for name, note in zip(names, notes, strict=True)]
                seqs = await writer.append_all(events)
        finally:
            self.under_way -= len(names)
        self.seconds.add(time.monotonic() - began)
        for name, seq, note in zip(names, seqs, notes, strict=True):
            self.kept[name][seq] = note


@asynccontextmanager
async def streams_of(system: System) -> AsyncIterator[Streams]:
    """Streams as a process beside the nodes has them: it writes to Postgres, and hints through Redis."""
    settings, clock = Settings(), SystemClock()
    sealer = Sealer(
        {name: key.get_secret_value() for name, key in settings.seal_keys.items()}, settings.seal_active_key
    )
    hints = RedisStreamHints(clock, BusOptions(system.redis_url), BusMetrics(CollectorRegistry()))
    engine = create_engine(
        system.database_url,
        pool_size=4,
        max_overflow=4,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
    )
    try:
        async with TaskOwner("writers") as owner:
            owner.start(hints.run(), "hints")
            yield Streams(engine, clock, sealer, hints)
    finally:
        await engine.dispose()


async def everything(streams: Streams, name: str) -> dict[int, object]:
    """All events of a stream as Postgres has them, by number: each by what it says it is. Raises Unavailable."""
    found: dict[int, object] = {}
    after = 0
    while True:
        part = await streams.read(name, after, _PAGE)
        for event in part.events:
            body = msgspec.json.decode(event.payload)
            found[event.seq] = body.get("note") or body.get("expires_at")
        if not part.events:
            return found
        after = part.events[-1].seq

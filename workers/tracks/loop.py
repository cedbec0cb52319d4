"""The track writer: reads batches from the stream, stores them, acknowledges them, for as long as the worker lives.

One task reads and decodes the next batch while Postgres works on the one before; batches are stored in stream order.
Whatever fails is tried again until it works, because the entries stay in the stream until they are acknowledged, and
they are acknowledged only after the commit. Told to stop, it stores what it has in hand, or leaves it to others.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from domain.kit.clock import Clock
from domain.kit.tasks import TaskOwner
from workers.metrics import TRACK_DELETED, WorkerMetrics
from workers.pauses import Backoff, pause
from workers.tracks.bisect import store_all
from workers.tracks.claims import ClaimExpiry
from workers.tracks.failures import DATABASE_ERRORS
from workers.tracks.items import DeadLetter, Entry, Item, items_of
from workers.tracks.point_store import PointStore, Written
from workers.tracks.prepare import Prepared, prepare
from workers.tracks.source import REDIS_ERRORS, StreamSource

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Gathered:
    """Entries that are stored together."""

    began: float
    ids: list[bytes] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    """What decoding found."""
    bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Decode one more entry."""
        items, letters = items_of(entry)
        self.ids.append(entry.id)
        self.items += items
        self.letters += letters
        self.bytes += len(entry.data)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch and what is to be written for it."""

    gathered: _Gathered
    prepared: Prepared


class _Abandoned(Exception):
    """The worker was told to stop while something did not work: its entries stay in the stream."""


class TrackWriter:
    """Drains the track stream into Postgres."""

    def __init__(
        self,
        source: StreamSource,
        store: PointStore,
        claims: ClaimExpiry,
        clock: Clock,
        metrics: WorkerMetrics,
        *,
        batch_bytes: int,
    ) -> None:
        """A batch ends when its entries have `batch_bytes`, or when the stream has no more for now."""
        self._source = source
        self._store = store
        self._claims = claims
        self._clock = clock
        self._metrics = metrics
        self._batch_bytes = batch_bytes

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set and what was read by then is stored, or cannot be for now."""
        async with TaskOwner("track_writer") as tasks:
            reading = tasks.start(self._next_batch(stop), "read")
            try:
                while (batch := await reading) is not None:
                    reading = tasks.start(self._next_batch(stop), "read")
                    await self._finish(batch, stop)
                await self._source.leave()
            except _Abandoned:
                _log.warning("batch_left_to_others")
            except REDIS_ERRORS as error:
                _log.warning("consumer_not_removed", error=type(error).__name__)

    async def _next_batch(self, stop: asyncio.Event) -> _Batch | None:
        """The next batch, as soon as there is one; None once `stop` is set."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                gathered = await self._gather()
            except REDIS_ERRORS as error:
                _log.warning("stream_unavailable", error=type(error).__name__)
                self._source.recover()
                await pause(self._clock, stop, backoff.next_seconds())
                continue
            if gathered.ids:
                return _Batch(gathered, prepare(gathered.items))
        return None

    async def _gather(self) -> _Gathered:
        """Entries, decoded, until there are enough or the stream has no more for now."""
        gathered = _Gathered(self._clock.monotonic())
        entries = await self._source.read(wait=True)
        while entries:
            for entry in entries:
                gathered.add(entry)
                await asyncio.sleep(0)  # Postgres is fed by another task meanwhile
            if gathered.bytes >= self._batch_bytes:
                break
            entries = await self._source.read(wait=False)
        return gathered

    async def _finish(self, batch: _Batch, stop: asyncio.Event) -> None:
        written = await self._stored(batch, stop)
        letters = batch.gathered.letters + written.letters
        await self._settled(batch.gathered.ids, letters, stop)
        await self._claims.extend(written.track_ids)
        self._metrics.fixes_stored.inc(written.fixes)
        self._metrics.fixes_dropped.labels(TRACK_DELETED).inc(written.dropped)
        self._metrics.entry_bytes.inc(batch.gathered.bytes)
        self._metrics.batch_seconds.observe(self._clock.monotonic() - batch.gathered.began)
        for letter in letters:
            self._metrics.dead_letters.labels(letter.reason).inc()
            _log.warning("dead_letter", entry=letter.entry_id.decode(), reason=letter.reason, detail=letter.detail)

    async def _stored(self, batch: _Batch, stop: asyncio.Event) -> Written:
        """Store a batch, however long Postgres is away."""
        backoff = Backoff()
        while True:
            try:
                return await store_all(self._store, batch.gathered.items, batch.prepared)
            except DATABASE_ERRORS as error:
                self._metrics.store_failures.labels(type(error).__name__).inc()
                _log.warning("store_failed", error=type(error).__name__, sqlstate=getattr(error, "sqlstate", None))
            await self._wait(stop, backoff)

    async def _settled(self, ids: list[bytes], letters: list[DeadLetter], stop: asyncio.Event) -> None:
        """Acknowledge a batch, however long Redis is away."""
        backoff = Backoff()
        while True:
            try:
                await self._source.settle(ids, letters)
                return
            except REDIS_ERRORS as error:
                _log.warning("acknowledgement_failed", error=type(error).__name__)
            await self._wait(stop, backoff)

    async def _wait(self, stop: asyncio.Event, backoff: Backoff) -> None:
        if stop.is_set():
            raise _Abandoned
        await pause(self._clock, stop, backoff.next_seconds())

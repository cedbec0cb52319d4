"""Durable events: numbered in the transaction that commits them, then hinted to the nodes, read by any who missed one.

Promises: numbers of a stream have no holes, and their order is the order of commits; what `writing` was left without
an error is kept; one transaction locks several streams in the order of their names, so that two never wait for each
other. What is kept is sealed, because much of it is personal.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from asyncpg import UndefinedTableError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.db.driver import asking
from domain.db.engine import unavailable_when_down
from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.kit.sealed import SealBroken, Sealer
from domain.streams import store
from domain.streams.ports import StreamHints
from domain.streams.rules import Appended, Event, Head, Slice, new_epoch, payload_of

MOST_BYTES = 256 << 10
"""Of events that one slice has."""

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Streams:
    """Appends to streams and reads them. Every method raises Unavailable when Postgres is away."""

    def __init__(self, engine: AsyncEngine, clock: Clock, sealer: Sealer, hints: StreamHints) -> None:
        self._engine = engine
        self._clock = clock
        self._sealer = sealer
        self._hints = hints

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["StreamWriter"]:
        """A transaction: leaving the block commits it, then the nodes are told.

        Raises Unavailable when it is not known to be kept; then nothing of it is, or all of it.
        """
        async with unavailable_when_down(), self._engine.begin() as connection:
            writer = StreamWriter(connection, self._clock, self._sealer)
            yield writer
        if writer.appended:
            await self._hints.said(writer.appended)

    async def heads(self, streams: Collection[str]) -> dict[str, Head]:
        """Where the streams stand; one without an event stands at 0."""
        async with self._reading() as driver:
            return await store.heads(driver, streams)

    async def differing(self, epoch: str, known: Mapping[str, int]) -> dict[str, Head]:
        """Of streams thought to be at these numbers of this epoch: where those stand that are not."""
        async with self._reading() as driver:
            return await store.differing(driver, epoch, known)

    async def read(self, stream: str, after: int, limit: int) -> Slice:
        """At most `limit` events that follow the number `after`, and at most MOST_BYTES of them."""
        return (await self.read_all({stream: after}, limit))[stream]

    async def read_all(self, after: Mapping[str, int], limit: int) -> dict[str, Slice]:
        """The same of several streams, as one moment has them: for each so many events and bytes at most."""
        async with self._reading() as driver:
            found = await store.read(driver, after, limit, MOST_BYTES)
        return {stream: self._slice(stream, kept) for stream, kept in found.items()}

    async def renew_epochs(self) -> tuple[str, int]:
        """Say that no number known so far means anything: the new epoch, and how many streams have it.

        For a database that was restored from a backup: it gives numbers again that clients have seen with other events.
        """
        epoch = new_epoch()
        async with unavailable_when_down(), self._engine.begin() as connection:
            return epoch, await store.renew_epochs(connection, epoch)

    async def epoch(self) -> str:
        """The epoch that new streams begin with."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.current_epoch(connection)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        """An asyncpg connection; nodes read all the time, also while somebody has forgotten to migrate."""
        try:
            async with asking(self._engine) as driver:
                yield driver
        except UndefinedTableError as error:
            raise Unavailable("the database has no streams yet: run python -m server migrate") from error

    def _slice(self, stream: str, kept: store.Kept) -> Slice:
        """The events opened. What cannot be opened is as good as pruned, and all before it."""
        pruned_to, events = kept.pruned_to, list[Event]()
        for row in kept.events:
            sent_at_ms = round(row.sent_at.timestamp() * 1000)
            try:
                body = self._sealer.open(row.body, _bound_to(stream, row.name, sent_at_ms))
            except SealBroken:
                _log.error("stream_event_unreadable", kind=stream.partition(":")[0], seq=row.seq)
                pruned_to, events = row.seq, []
            else:
                events.append(Event(row.seq, row.name, payload_of(stream, row.seq, sent_at_ms, body)))
        return Slice(kept.head, pruned_to, tuple(events))


class StreamWriter:
    """One transaction that appends to streams; `connection` is for the feature's own SQL in it."""

    def __init__(self, connection: AsyncConnection, clock: Clock, sealer: Sealer) -> None:
        self.connection = connection
        self.appended: list[Appended] = []
        """What the nodes are told of after the commit."""
        self._clock = clock
        self._sealer = sealer
        self._last_locked = ""

    async def append(self, stream: str, name: str, payload: msgspec.Struct) -> int:
        """Add an event; the number it has if the transaction commits.

        The stream is locked from here to the commit: do this last. Several streams: see `append_all`.
        """
        (seq,) = await self.append_all([(stream, name, payload)])
        return seq

    async def append_all(self, events: Sequence[tuple[str, str, msgspec.Struct]]) -> list[int]:
        """Add events (stream, name, payload); their numbers, in the same order.

        One transaction locks streams in the order of their names: all at once here, or one call after another in that
        order. Raises ValueError for a call that would lock a stream out of order, which could end in a deadlock.
        """
        self._check_order({stream for stream, _, _ in events})
        # PostgreSQL keeps microseconds, clients get milliseconds: what is kept is what was said.
        sent_at_ms = self._clock.epoch_ms()
        bodies = [_encode(payload) for _, _, payload in events]
        behind = _counted_from_the_end([stream for stream, _, _ in events])
        rows = [
            store.NewEvent(stream, left, name, self._sealer.seal(body, _bound_to(stream, name, sent_at_ms)))
            for (stream, name, _), body, left in zip(events, bodies, behind, strict=True)
        ]
        heads = await store.append(self.connection, rows, datetime.fromtimestamp(sent_at_ms / 1000, UTC))
        seqs = [heads[row.stream].seq - row.behind for row in rows]
        told: dict[str, list[Event]] = {}
        for row, body, seq in zip(rows, bodies, seqs, strict=True):
            payload = payload_of(row.stream, seq, sent_at_ms, body)
            told.setdefault(row.stream, []).append(Event(seq, row.name, payload))
        self.appended += [Appended(stream, heads[stream].epoch, tuple(new)) for stream, new in told.items()]
        return seqs

    def _check_order(self, streams: Collection[str]) -> None:
        held = {appended.stream for appended in self.appended}
        for stream in sorted(set(streams) - held):
            if stream < self._last_locked:
                raise ValueError("streams are locked in the order of their names: append to all of them in one call")
            self._last_locked = stream


def _counted_from_the_end(streams: Sequence[str]) -> list[int]:
    """For each how many of the same follow it."""
    left: dict[str, int] = {}
    counted: list[int] = []
    for stream in reversed(streams):
        counted.append(left.get(stream, 0))
        left[stream] = counted[-1] + 1
    return counted[::-1]


def _bound_to(stream: str, name: str, sent_at_ms: int) -> str:
    """What a sealed body belongs to. Its number is not known when it is sealed: that is given under the lock."""
    return f"stream:{stream}/{name}/{sent_at_ms}"

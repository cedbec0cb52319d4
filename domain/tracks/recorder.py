"""Group commit: what riders send during a tick goes to the track stream in one append, then every phone is answered.

Promises: records and answers keep the order in which they were accepted, or settled when they were left for later; a
phone is told `unavailable` whenever its record is not known to be kept; memory is bounded, because beyond
`pending_limit` fixes new ones are refused at once.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from domain.kit.clock import Clock
from domain.kit.errors import Problem, Unavailable
from domain.tracks.entries import Fixes, Record, Rejected, encode_records
from domain.tracks.ports import TrackLog

A = TypeVar("A")

ENTRY_FIXES = 500
"""Fixes in one stream entry at most, so that a worker can take over, or bisect, in small steps."""
_MOST_LATER = 256
"""Works left for later; some milliseconds that nobody else has a turn in when they are done."""


class _Group:
    """What was accepted since the last append, in order; neighbouring fixes of one track share a record."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.notes: list[Rejected] = []
        """Those among the records that nobody waits for, nor will send again."""
        self.answers: list[tuple[asyncio.Future[Any], Any]] = []
        self.fixes = 0
        self._open: dict[UUID, Fixes] = {}

    def add_rows(self, head: Fixes) -> None:
        """Append rows to the track's open record, or begin one."""
        self.fixes += len(head.rows)
        record = self._open.get(head.track_id)
        if record is not None and len(record.rows) + len(head.rows) <= ENTRY_FIXES:
            record.rows.extend(head.rows)
            return
        if len(head.rows) <= ENTRY_FIXES:
            self.records.append(head)
            self._open[head.track_id] = head
            return
        for begin in range(0, len(head.rows), ENTRY_FIXES):
            record = Fixes(
                head.track_id, head.user_id, head.month, head.received_ms, head.rows[begin : begin + ENTRY_FIXES]
            )
            self.records.append(record)
            self._open[head.track_id] = record

    def add(self, record: Record) -> None:
        """Append any other record; the fixes that follow it stay behind it."""
        self._open.pop(record.track_id, None)
        self.records.append(record)
        self.fixes += len(record.reasons) if isinstance(record, Rejected) else 1

    def note(self, record: Rejected) -> None:
        """Append refused numbers."""
        self.add(record)
        self.notes.append(record)

    def put_first(self, notes: list[Rejected]) -> None:
        """Begin with refused numbers that an earlier group could not keep."""
        self.records[:0] = notes
        self.notes[:0] = notes
        self.fixes += sum(len(note.reasons) for note in notes)

    def entries(self) -> list[bytes]:
        """The records as encoded stream entries of at most about ENTRY_FIXES fixes each."""
        entries: list[bytes] = []
        batch: list[Record] = []
        weight = 0
        for record in self.records:
            size = len(record.rows) if isinstance(record, Fixes) else 1
            if batch and weight + size > ENTRY_FIXES:
                entries.append(encode_records(batch))
                batch, weight = [], 0
            batch.append(record)
            weight += size
        if batch:
            entries.append(encode_records(batch))
        return entries

    def answer(self, problem: Problem | None) -> None:
        """Tell every phone, in order; one that has gone meanwhile is passed over."""
        for future, answer in self.answers:
            if future.done():
                continue
            if problem is None:
                future.set_result(answer)
            else:
                future.set_exception(problem)
                future.exception()  # a phone may have gone before its answer: its failure is nobody's error


class Recorder:
    """Collects what one node accepts and commits it once a tick."""

    def __init__(self, log: TrackLog, clock: Clock, *, tick_seconds: float, pending_limit: int) -> None:
        self._log = log
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._pending_limit = pending_limit
        self._group = _Group()
        self._later: list[tuple[Callable[[asyncio.Future[None]], None], asyncio.Future[None]]] = []
        self._in_flight = 0
        self._committing = asyncio.Lock()
        self._wake = asyncio.Event()

    @property
    def pending(self) -> int:
        """Fixes accepted and not yet committed."""
        return self._group.fixes + self._in_flight + len(self._later)

    def record_rows(self, fixes: Fixes, answer: A) -> asyncio.Future[A]:
        """Take fixes of one track; the future has the answer once they are kept, or fails with Unavailable."""
        self._admit(len(fixes.rows))
        self._group.add_rows(fixes)
        return self._promise(answer)

    def record_later(self, work: Callable[[asyncio.Future[None]], None]) -> asyncio.Future[None]:
        """Have `work` take fixes with `keep_rows` before the next commit; the future is as that of `record_rows`.

        What comes one by one is worked through together: each by itself would find cold caches, and that costs several
        times as much as the work. `work` is called once; what it raises is what the future fails with.
        """
        self._admit(1)
        promise: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._later.append((work, promise))
        self._wake.set()
        if len(self._later) >= _MOST_LATER:
            self.settle()
        return promise

    def keep_rows(self, fixes: Fixes, promise: asyncio.Future[None]) -> None:
        """Take fixes of one track for the `promise` that `record_later` gave."""
        self._group.add_rows(fixes)
        self._group.answers.append((promise, None))

    def settle(self) -> None:
        """Have the work done that was left for later: whoever depends on what comes of it calls this first."""
        while self._later:
            later, self._later = self._later, []
            for work, promise in later:
                try:
                    work(promise)
                except Exception as error:  # noqa: BLE001 - it is whoever waits for the promise who answers and logs
                    if not promise.done():
                        promise.set_exception(error)
                        promise.exception()  # a phone may have gone before its answer: its failure is nobody's error

    def record(self, record: Record, answer: A) -> asyncio.Future[A]:
        """Take any other record (a start, a stop, rejected numbers); the future is as that of `record_rows`."""
        self._admit(1)
        self._group.add(record)
        return self._promise(answer)

    def note(self, record: Rejected) -> None:
        """Take refused numbers, which nobody waits for; they are dropped when there is no room.

        No phone sends them again: what an append does not keep goes into the next one.
        """
        if self.pending < self._pending_limit:
            self._group.note(record)
            self._wake.set()

    def _admit(self, weight: int) -> None:
        if self.pending + weight > self._pending_limit:
            raise Unavailable("too much is waiting to be kept; send it again", retry_after_ms=2000)

    def _promise(self, answer: A) -> asyncio.Future[A]:
        promise: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._group.answers.append((promise, answer))
        self._wake.set()
        return promise

    async def run(self) -> None:
        """Commit at every tick in which something was accepted, until cancelled; what is left is committed then."""
        try:
            while True:
                await self._wake.wait()
                await self._clock.sleep(self._tick_seconds)
                await self.commit()
        finally:
            await self.commit()

    async def commit(self) -> None:
        """Append what has been accepted so far, and answer everybody who waits for it; one append at a time."""
        async with self._committing:
            self.settle()
            group, self._group = self._group, _Group()
            self._wake.clear()
            self._in_flight = group.fixes
            try:
                await self._append(group)
            finally:
                self._in_flight = 0

    async def _append(self, group: _Group) -> None:
        try:
            if group.records:
                await self._log.append(group.entries())
        except Problem as problem:
            group.answer(problem)
            if self._group.fixes < self._pending_limit:
                self._group.put_first(group.notes)
        except asyncio.CancelledError:
            group.answer(Unavailable("the server is stopping; send it again", retry_after_ms=1000))
            raise
        else:
            group.answer(None)

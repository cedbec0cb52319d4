"""The group commit: one append a tick, answers in order, bounded memory, and no ack without the disk."""

import asyncio
from collections.abc import Sequence
from types import NoneType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kit.clock import ManualClock
from domain.kit.errors import Unavailable
from domain.tracks.entries import Fixes, FixRow, Record, Rejected, Stopped, decode_records
from domain.tracks.recorder import ENTRY_FIXES, Recorder
from tests.support import eventually

RIDER = UUID(int=1)
TICK = 0.2


class MemoryLog:
    """A track log that keeps entries in a list, or refuses."""

    def __init__(self) -> None:
        self.appends: list[list[bytes]] = []
        self.refuses = False
        self.gate = asyncio.Event()
        """An append waits for it: shut, Redis is slow."""
        self.gate.set()
        self.under_way = 0

    async def append(self, entries: Sequence[bytes]) -> None:
        assert self.under_way == 0, "two appends at once may reach the stream in either order"
        self.under_way += 1
        await self.gate.wait()
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.refuses:
            raise Unavailable("Redis did not answer", retry_after_ms=1000)
        self.appends.append(list(entries))

    async def claim_track(self, track_id: UUID, claim: bytes) -> bytes:
        return claim

    async def read_claim(self, track_id: UUID) -> bytes | None:
        return None

    @property
    def records(self) -> list[Record]:
        return [record for append in self.appends for entry in append for record in decode_records(entry)]


def row(seq: int) -> FixRow:
    return (seq, 1_700_000_000_000 + seq, 45.0, 9.0, None, None, None, None, None, None, 0)


def fixes(*seqs: int, track: int = 7) -> Fixes:
    return Fixes(UUID(int=track), RIDER, 202611, 1, [row(seq) for seq in seqs])


def recorder_on(log: MemoryLog, clock: ManualClock, limit: int = 10_000) -> Recorder:
    return Recorder(log, clock, tick_seconds=TICK, pending_limit=limit)


async def test_what_a_tick_brings_goes_out_in_one_append_and_is_answered_in_order() -> None:
    log, clock = MemoryLog(), ManualClock()
    recorder = recorder_on(log, clock)
    running = asyncio.create_task(recorder.run())
    answered: list[int] = []
    for seq in range(100):
        recorder.record_rows(fixes(seq), seq).add_done_callback(lambda done: answered.append(done.result()))
    await eventually(lambda: clock.sleepers == 1)
    assert answered == []
    await clock.turn(TICK)
    await eventually(lambda: len(answered) == 100)
    assert answered == list(range(100))
    assert len(log.appends) == 1
    running.cancel()


async def test_a_commit_at_the_stop_waits_for_the_one_under_way() -> None:
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock(), limit=3)
    log.gate.clear()
    answered: list[int] = []
    recorder.record_rows(fixes(1), 1).add_done_callback(lambda done: answered.append(done.result()))
    first = asyncio.create_task(recorder.commit())
    await eventually(lambda: log.under_way)
    recorder.record_rows(fixes(2), 2).add_done_callback(lambda done: answered.append(done.result()))
    last = asyncio.create_task(recorder.commit())
    await asyncio.sleep(0)
    assert recorder.pending == 2
    log.gate.set()
    await asyncio.gather(first, last)
    await eventually(lambda: answered == [1, 2])
    assert [len(append) for append in log.appends] == [1, 1]
    assert recorder.pending == 0


async def test_a_refused_append_answers_unavailable_and_the_next_tick_works_again() -> None:
    log, clock = MemoryLog(), ManualClock()
    recorder = recorder_on(log, clock)
    log.refuses = True
    lost = recorder.record_rows(fixes(1), None)
    await recorder.commit()
    with pytest.raises(Unavailable) as refusal:
        await lost
    assert refusal.value.retry_after_ms == 1000
    log.refuses = False
    kept = recorder.record_rows(fixes(1), "kept")
    await recorder.commit()
    assert await kept == "kept"
    assert recorder.pending == 0


async def test_refused_numbers_outlive_an_append_that_fails() -> None:
    """No phone sends them again."""
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock(), limit=3)
    refused = [Rejected(UUID(int=7), RIDER, 202611, 1, [(seq, "invalid")]) for seq in (0, 1)]
    log.refuses = True
    for note in refused:
        recorder.note(note)
        await recorder.commit()
    assert recorder.pending == 2
    log.refuses = False
    kept = recorder.record_rows(fixes(2), "kept")
    await recorder.commit()
    assert await kept == "kept"
    assert log.records == [*refused, fixes(2)]
    assert recorder.pending == 0


async def test_beyond_the_limit_new_fixes_are_refused_at_once() -> None:
    recorder = recorder_on(MemoryLog(), ManualClock(), limit=10)
    recorder.record_rows(fixes(*range(10)), None)
    with pytest.raises(Unavailable):
        recorder.record_rows(fixes(10), None)
    recorder.note(Rejected(UUID(int=7), RIDER, 202611, 1, [(11, "invalid")]))
    assert recorder.pending == 10


async def test_a_batch_without_a_usable_fix_is_answered() -> None:
    recorder = recorder_on(MemoryLog(), ManualClock())
    answer = recorder.record_rows(fixes(), "nothing to keep")
    await recorder.commit()
    assert await answer == "nothing to keep"


async def test_stopping_commits_what_was_accepted() -> None:
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock())
    running = asyncio.create_task(recorder.run())
    kept = recorder.record_rows(fixes(1), "kept")
    await asyncio.sleep(0)
    running.cancel()
    assert await kept == "kept"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("fixes"), st.integers(1, 3), st.integers(1, 700)),
            st.tuples(st.just("stop"), st.integers(1, 3), st.just(0)),
        ),
        max_size=30,
    )
)
def test_records_of_one_track_keep_their_order_and_no_entry_is_large(steps: list[tuple[str, int, int]]) -> None:
    log = MemoryLog()

    async def accept() -> None:
        recorder = recorder_on(log, ManualClock(), limit=100_000)
        next_seq = dict.fromkeys((1, 2, 3), 0)
        for kind, track, count in steps:
            if kind == "fixes":
                seqs = range(next_seq[track], next_seq[track] + count)
                next_seq[track] += count
                recorder.record_rows(fixes(*seqs, track=track), None)
            else:
                recorder.record(Stopped(UUID(int=track), RIDER, 202611, 1, next_seq[track] - 1), None)
        await recorder.commit()

    asyncio.run(accept())
    for entries in log.appends:
        for entry in entries:
            weight = sum(len(one.rows) for one in decode_records(entry) if isinstance(one, Fixes))
            assert weight <= ENTRY_FIXES
    for track in (1, 2, 3):
        seen = 0
        for record in log.records:
            if record.track_id != UUID(int=track):
                continue
            if isinstance(record, Fixes):
                assert [one[0] for one in record.rows] == list(range(seen, seen + len(record.rows)))
                seen += len(record.rows)
            else:
                assert isinstance(record, Stopped)
                assert record.last_seq == seen - 1
        assert seen == sum(count for kind, one, count in steps if kind == "fixes" and one == track)


async def test_what_is_left_for_later_is_done_before_the_commit_in_order() -> None:
    log, clock = MemoryLog(), ManualClock()
    recorder = recorder_on(log, clock)
    running = asyncio.create_task(recorder.run())
    done: list[int] = []

    def later(seq: int) -> "asyncio.Future[None]":
        def work(promise: "asyncio.Future[None]") -> None:
            done.append(seq)
            if seq == 1:
                raise Unavailable("not this one")
            if seq == 2:
                raise RuntimeError("a fault")
            recorder.keep_rows(fixes(seq), promise)

        return recorder.record_later(work)

    promises = [later(seq) for seq in range(5)]
    await eventually(lambda: clock.sleepers == 1)
    assert (done, recorder.pending) == ([], 5)
    await clock.turn(TICK)
    outcomes = await asyncio.gather(*promises, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NoneType, Unavailable, RuntimeError, NoneType, NoneType]
    assert done == list(range(5))
    assert [row[0] for record in log.records if isinstance(record, Fixes) for row in record.rows] == [0, 3, 4]
    assert recorder.pending == 0
    running.cancel()


async def test_what_is_left_for_later_is_done_when_somebody_depends_on_it() -> None:
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock())
    recorder.record_later(lambda promise: recorder.keep_rows(fixes(0), promise))
    recorder.settle()
    recorder.record(Stopped(UUID(int=7), RIDER, 202611, 1, 0, []), None)
    await recorder.commit()
    assert [type(record) for record in log.records] == [Fixes, Stopped]


async def test_what_is_left_for_later_is_bounded_and_counts_as_pending() -> None:
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock(), limit=300)
    done: list[int] = []

    def work(promise: "asyncio.Future[None]") -> None:
        done.append(len(done))
        recorder.keep_rows(fixes(len(done)), promise)

    promises = [recorder.record_later(work) for _ in range(300)]
    assert 0 < len(done) < 300, "many are not left for one turn"
    assert recorder.pending == 300
    with pytest.raises(Unavailable):
        recorder.record_later(work)
    await recorder.commit()
    assert len(done) == 300
    assert all(promise.done() for promise in promises)
    assert recorder.pending == 0


async def test_who_has_gone_is_recorded_all_the_same() -> None:
    log = MemoryLog()
    recorder = recorder_on(log, ManualClock())
    recorder.record_later(lambda promise: recorder.keep_rows(fixes(0), promise)).cancel()
    recorder.record_later(lambda promise: 1 // 0).cancel()  # type: ignore[arg-type, return-value]
    await recorder.commit()
    assert len(log.records) == 1

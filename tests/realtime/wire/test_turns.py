"""One handler at a time for a socket, in order, whatever the handlers do."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from domain.kit.errors import RateLimited
from domain.kit.tasks import TaskOwner
from realtime.wire import turns as module
from realtime.wire.turns import Turns

pytestmark = pytest.mark.usefixtures("faultless")


async def test_plain_work_runs_at_once_and_coroutines_in_order() -> None:
    async with TaskOwner("test") as owner:
        turns, log, gate = Turns(owner, "socket"), [], asyncio.Event()

        def plain(name: str) -> Callable[[], None]:
            return lambda: log.append(name)

        async def slow() -> None:
            log.append("began")
            await gate.wait()
            log.append("ended")

        turns.take(plain("first"), 1)
        assert log == ["first"] and len(owner) == 0
        turns.take(slow, 1)
        for name in ("second", "third"):
            turns.take(plain(name), 1)
        turns.take(slow, 1)
        turns.take_last(plain("last"))
        await asyncio.sleep(0)
        assert log == ["first", "began"] and len(owner) == 1
        gate.set()
        await owner.drain(5)
        assert log == ["first", "began", "ended", "second", "third", "began", "ended", "last"]
        turns.take(plain("after"), 1)
        assert log[-1] == "after" and len(owner) == 0


async def test_work_that_gives_itself_more_does_it_afterwards() -> None:
    async with TaskOwner("test") as owner:
        turns, log = Turns(owner, "socket"), []

        def outer() -> None:
            turns.take(lambda: log.append("inner"), 1)
            log.append("outer")

        turns.take(outer, 1)
        assert log == ["outer", "inner"]


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    gate, log = asyncio.Event(), []

    async def wait() -> None:
        await gate.wait()

    def work(name: int) -> Callable[[], Awaitable[None] | None]:
        return lambda: log.append(name)

    async with TaskOwner("test") as owner:
        turns = Turns(owner, "socket")
        turns.take(wait, 1)
        turns.take(work(0), 60)
        with pytest.raises(RateLimited):
            turns.take(work(1), 41)
        turns.take(work(2), 1)
        turns.take(work(3), 1)
        with pytest.raises(RateLimited):
            turns.take(work(4), 1)
        turns.take_last(work(5))
        gate.set()
        await owner.drain(5)
    assert log == [0, 2, 3, 5]


async def test_a_cancellation_of_its_own_ends_one_handler_only() -> None:
    log: list[str] = []

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with TaskOwner("test") as owner:
        turns = Turns(owner, "socket")
        turns.take(cancelled, 1)
        turns.take(lambda: log.append("next"), 1)
        await owner.drain(5)
    assert log == ["next"]


async def test_a_drain_ends_in_time() -> None:
    async with TaskOwner("test") as owner:
        turns, gate = Turns(owner, "socket"), asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        turns.take(wait, 1)
        await owner.drain(0.01)
        assert len(owner) == 1
        gate.set()
        await owner.drain(5)
        assert len(owner) == 0

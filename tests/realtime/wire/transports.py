"""A transport without a network and a clock to turn, so that a test decides what happens when."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.support.waiting import eventually

T = TypeVar("T")


class RecordingTransport(asyncio.Transport):
    """Writes down what is written; may be stalled, and then tells its protocol when it is full as loops do."""

    def __init__(self, protocol: asyncio.Protocol, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 4711)})
        self._protocol = protocol
        self._high, self._low = 64 * 1024, 16 * 1024
        self._kept = bytearray()
        self._full = False
        self._closing = False
        self.stalled = False
        self.reading = True
        self.ended = False
        """Whether the protocol was told that the connection is lost."""
        self.eof_written = False
        self.sent = bytearray()

    def write(self, data: Any) -> None:
        if self._closing and self.ended:
            return
        (self._kept if self.stalled else self.sent).extend(data)
        if not self._full and len(self._kept) > self._high:
            self._full = True
            self._protocol.pause_writing()

    def stall(self) -> None:
        """The peer reads no more."""
        self.stalled = True

    def drain(self) -> None:
        """The peer reads on."""
        self.stalled = False
        self.sent += self._kept
        self._kept.clear()
        if self._full and not self._closing:
            self._full = False
            self._protocol.resume_writing()
        elif self._closing:
            self._lose(None)

    def feed(self, data: bytes) -> None:
        """The peer says this, if anybody listens."""
        if not self._closing:
            self._protocol.data_received(data)

    def hang_up(self) -> None:
        """The peer says end-of-file."""
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def reset(self) -> None:
        """The peer is gone."""
        self._closing = True
        self._lose(ConnectionResetError())

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if not self._kept:
                self._lose(None)

    def abort(self) -> None:
        self._closing = True
        self._kept.clear()
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._kept)


class Clock:
    """The event loop's clock, which runs on and may be turned forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self._ahead = 0.0

    def time(self) -> float:
        return self._time() + self._ahead

    async def turn(self, seconds: float) -> None:
        """Later: what is due by then has happened."""
        self._ahead += seconds
        await settle()

    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of `work`, which has to end when so many seconds have passed, however slow the machine is."""
        task = asyncio.create_task(work)
        await settle()
        await self.turn(seconds)
        await eventually(task.done)
        return await task


@contextmanager
def turned_clock() -> Iterator[Clock]:
    """Have the running loop go by a clock that can be turned; not for uvloop, whose clock is its own."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    loop.time = clock.time  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        del loop.time  # type: ignore[method-assign]


async def all_of(works: Iterable[Awaitable[object]]) -> list[object]:
    """The answers of all, or their errors."""
    return await asyncio.gather(*works, return_exceptions=True)


async def settle() -> None:
    """Let the loop do what it has to do."""
    for _ in range(8):
        await asyncio.sleep(0)

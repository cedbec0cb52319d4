"""One connection to one Redis on which nothing stands between a caller and the socket: no task, no stream, no pool.

redis-py opens it (addresses, TLS, login, database); then its bytes come here. `Pipe` writes and hands over what Redis
says; `Line` is a pipe on which every command has its answer, any number of them under way, in order.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import hiredis
import msgspec
from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import InvalidResponse, ReadOnlyError

from domain.kit.transports import is_closed_transport

_INCOMPLETE = object()
_LEISURE_SECONDS = 0.2
"""After so long the answers that nobody waits for are read by the next post, where posts follow upon one another, and
after twice as long without one: a process that is awake anyway reads them at a tenth of the cost."""

OnEnd: TypeAlias = Callable[[int, Exception | None], None]
"""Told once what became of commands for whose answers nobody waits: their note, and what went wrong or None."""


class Pipe(asyncio.Protocol):
    """Takes the bytes of a connection that redis-py has opened; `on_answer` is given each answer, errors as values."""

    def __init__(self, connection: AbstractConnection, on_answer: Callable[[Any], None]) -> None:
        self._connection = connection
        self._on_answer = on_answer
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_INCOMPLETE
        )
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is lost or closed; with an exception when what came could not be taken."""
        self.reads = 0
        """How often something came: what `on_answer` is given meanwhile came together."""
        stream, writer = connection._reader, connection._writer
        if stream is None or writer is None:
            raise ConnectionLost("the connection is not open")
        self.transport: Any = writer.transport
        self.transport.set_protocol(self)
        if early := bytes(stream._buffer):  # type: ignore[attr-defined]  # what came while redis-py was reading
            self.data_received(early)
        if stream.at_eof() or self.transport.is_closing():
            self.connection_lost(None)

    def write(self, data: bytes) -> None:
        """Send packed commands. Raises ConnectionLost."""
        if self.ended.done():
            raise ConnectionLost("the connection was lost")
        try:
            self.transport.write(data)
        except RuntimeError as error:
            if not is_closed_transport(error):
                raise
            raise ConnectionLost("the connection was closed by the server") from error

    def pause(self) -> None:
        """Have nothing more read for now."""
        if not self.ended.done():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Have more read."""
        if not self.ended.done():
            self.transport.resume_reading()

    def fail(self, error: Exception) -> None:
        """End it, because what came could not be taken."""
        self._end(error)
        self.transport.abort()

    def close(self) -> None:
        """End it now; what has been written may still arrive."""
        self.transport.abort()
        self.connection_lost(None)

    async def aclose(self) -> None:
        """The same, and the loop has had its turn to let go of the socket."""
        self.close()
        await asyncio.sleep(0)

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Hand over every answer that is complete."""
        reader, on_answer = self._reader, self._on_answer
        self.reads += 1
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not _INCOMPLETE:
                on_answer(answer)
        except Exception as error:  # noqa: BLE001 - whoever waits for `ended` is told, and the transport has no use for it
            self.fail(error)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever waits."""
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        self._connection._close()  # type: ignore[no-untyped-call]  # any other way waits for a stream that is no more
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # not everybody asks


class _Call:
    """Commands under way whose answers somebody waits for, and what has come of them."""

    __slots__ = ("answers", "count", "due", "future")

    def __init__(self, future: "asyncio.Future[list[Any]]", count: int, due: float) -> None:
        self.future = future
        self.count = count
        self.due = due
        self.answers: list[Any] = []

    def take(self, answer: Any) -> bool:
        """One more answer; whether it was the last."""
        self.answers.append(answer)
        return len(self.answers) == self.count

    def succeed(self) -> None:
        if not self.future.done():
            self.future.set_result(self.answers)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # whoever waits is told; whoever does not wait any more needs no log


class _Post(msgspec.Struct, gc=False):
    """Commands under way for whose answers nobody waits; a struct because one is made for each emit."""

    on_end: OnEnd
    note: int
    left: int
    due: float
    error: Exception | None = None

    def take(self, answer: Any) -> bool:
        """One more answer; whether it was the last."""
        if self.error is None and isinstance(answer, Exception):
            self.error = answer
        self.left -= 1
        return not self.left

    def succeed(self) -> None:
        self.on_end(self.note, self.error)

    def fail(self, error: Exception) -> None:
        self.on_end(self.note, error)


class Line:
    """Commands and their answers. A call that has no answer in time ends the connection, and all calls with it.

    Answers for which nobody waits are read together, a few times a second: to wake up for one costs a process that
    sleeps in between as much as all that it did for the command.
    """

    def __init__(self, connection: AbstractConnection, deadline_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline_seconds = deadline_seconds
        self._leisure_seconds = min(_LEISURE_SECONDS, deadline_seconds / 4)
        self._calls: deque[_Call | _Post] = deque()
        self._posted_at = -math.inf
        self._read_at = math.inf
        self._reading_later: asyncio.TimerHandle | None = None
        """Set while nothing is read."""
        self._timer: asyncio.TimerHandle | None = None
        self._pipe = Pipe(connection, self._answered)
        self._pipe.ended.add_done_callback(self._ended)

    @property
    def open(self) -> bool:
        """Whether commands can be sent."""
        return not self._pipe.ended.done()

    def begin(self, commands: bytes, count: int) -> "asyncio.Future[list[Any]]":
        """Send `count` packed commands now; the future has their answers, errors of Redis among them as values.

        It fails with ConnectionLost or TimeoutError, when what became of them is not known; cancelling it changes
        nothing for them. Raises ConnectionLost when nothing was sent.
        """
        self._pipe.write(commands)
        call = _Call(self._loop.create_future(), count, self._loop.time() + self._deadline_seconds)
        if self._reading_later is not None:
            self._read()
        self._calls.append(call)
        if self._timer is None:
            self._timer = self._loop.call_at(call.due, self._check)
        return call.future

    def post(self, commands: bytes, count: int, on_end: OnEnd, note: int) -> bool:
        """The same for whom it is enough to be told later, by `on_end`.

        False when nothing was sent; `on_end` is not called then. Raises what the transport does when it is closed.
        """
        if self._pipe.ended.done():
            return False
        self._pipe.transport.write(commands)
        now = self._loop.time()
        if self._reading_later is not None:
            if now >= self._read_at:
                self._read()
        # With calls under way it is being read, which has to come to an end before it is put off again.
        elif not self._calls and now - self._posted_at < self._leisure_seconds:
            self._pipe.pause()
            self._read_at = now + self._leisure_seconds
            self._reading_later = self._loop.call_at(self._read_at + self._leisure_seconds, self._read_at_last)
        self._posted_at = now
        self._calls.append(_Post(on_end, note, count, now + self._deadline_seconds))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._deadline_seconds, self._check)
        return True

    def close(self) -> None:
        """End the connection; calls under way fail."""
        self._pipe.close()

    def _read(self) -> None:
        if self._reading_later is not None:
            self._reading_later.cancel()
            self._reading_later = None
            self._pipe.resume()

    def _read_at_last(self) -> None:
        """No post has done so. A process that stood still reads what has come before it counts as too late."""
        self._read()
        if self._timer is not None and self._timer.when() <= self._loop.time():
            self._timer.cancel()
            self._timer = self._loop.call_later(self._leisure_seconds, self._check)

    def _answered(self, answer: Any) -> None:
        if isinstance(answer, hiredis.PushNotification):
            return
        call = self._calls[0]
        if call.take(answer):
            self._calls.popleft()
            call.succeed()
        if isinstance(answer, ReadOnlyError):
            self._pipe.close()  # who connects anew may find the master

    def _check(self) -> None:
        """The oldest call is the next that can be too late; a timer for each one would cost more than they do."""
        self._timer = None
        if not self._calls:
            return
        due = self._calls[0].due
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._check)
        else:
            self._fail(TimeoutError("Redis did not answer in time"))
            self._pipe.close()

    def _ended(self, ended: "asyncio.Future[None]") -> None:
        for timer in (self._timer, self._reading_later):
            if timer is not None:
                timer.cancel()
        self._timer = self._reading_later = None
        error = ended.exception()
        self._fail(error if isinstance(error, Exception) else ConnectionLost("the connection was lost"))

    def _fail(self, error: Exception) -> None:
        calls, self._calls = self._calls, deque()
        for call in calls:
            call.fail(error)

"""Takes connections over from siblings, at a Unix socket that only processes of the same user are heard at.

Promises: whatever comes is a TCP connection or is closed; each is read from where its giver stopped; none of it waits.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from domain.kit.tasks import TaskOwner
from server.nodes.giving import INLINE_BYTES, Handovers
from server.nodes.place import of_this_user

Protocols = Callable[[bytes], asyncio.Protocol]
"""Makes the protocol of a connection of which so much was read."""

_log = structlog.get_logger(__name__)

_AT_ONCE = 16
"""Connections taken over before others get their turn."""
_MOST_DESCRIPTORS = 2
_LOST = socket.MSG_CTRUNC | socket.MSG_TRUNC


class Taker:
    """Listens for siblings from `open` to `close`."""

    def __init__(self, path: str, protocols: Protocols, tasks: TaskOwner, handovers: Handovers) -> None:
        self._path = path
        self._protocols = protocols
        self._tasks = tasks
        self._handovers = handovers
        self._listener: socket.socket | None = None
        self._lines: set[socket.socket] = set()

    def open(self) -> None:
        """Begin to listen. Raises OSError."""
        Path(self._path).unlink(missing_ok=True)  # a process before this one was killed
        self._listener = listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        listener.bind(self._path)
        listener.listen()
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def close(self) -> None:
        """Take over no more: siblings answer for themselves."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _stop(listener)
            Path(self._path).unlink(missing_ok=True)
        while self._lines:
            _stop(self._lines.pop())

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101 - it is what has become readable
        try:
            line, _ = self._listener.accept()
        except OSError:
            return
        if not of_this_user(line):
            line.close()
            return
        line.setblocking(False)
        self._lines.add(line)
        asyncio.get_running_loop().add_reader(line, self._read, line)

    def _read(self, line: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, descriptors, flags, _ = socket.recv_fds(
                    line, INLINE_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors, flags = b"", [], 0
            if not data and not descriptors and not flags & _LOST:
                self._lines.discard(line)
                _stop(line)
                return
            self._take(data, descriptors, lost=bool(flags & _LOST))

    def _take(self, data: bytes, descriptors: Sequence[int], *, lost: bool) -> None:
        """One message. What is not as it should be ends the connection that it is about and nothing else."""
        try:
            given = _read_file(descriptors[1]) if len(descriptors) > 1 else data
            if lost or not given:
                raise OSError("not whole")
            connection = _connection(descriptors)
        except OSError as fault:
            self._fail(descriptors, fault)
            return
        _close(descriptors[1:])
        self._tasks.start(self._begin(connection, given), "take-over")

    async def _begin(self, connection: socket.socket, given: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: self._protocols(given), connection)
        except OSError as fault:
            connection.close()
            self._fail([], fault)
        else:
            self._handovers.taken.inc()

    def _fail(self, descriptors: Sequence[int], fault: OSError) -> None:
        _close(descriptors)
        self._handovers.failed.inc()
        _log.warning("take_over_failed", error=str(fault))


def _connection(descriptors: Sequence[int]) -> socket.socket:
    """The first of them as a TCP connection. Raises OSError, and closes nothing, when it is something else."""
    if not descriptors:
        raise OSError("no descriptor came with it")
    connection = socket.socket(fileno=descriptors[0])
    if connection.type == socket.SOCK_STREAM and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setblocking(False)
        return connection
    connection.detach()
    raise OSError("not a TCP connection")


def _read_file(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


def _stop(endpoint: socket.socket) -> None:
    asyncio.get_running_loop().remove_reader(endpoint)
    endpoint.close()


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)

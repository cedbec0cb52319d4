"""Gives connections to siblings: one Unix socket to each, opened when it is first needed.

A connection and what was read of it are one message, taken whole or not at all (SOCK_SEQPACKET). Promises: never waits;
what a busy sibling does not take at once it gets in order, some hundred connections at most; a sibling that is not
there is known at once, and found again when it is back.
"""

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter

from server.nodes.place import Place

INLINE_BYTES = 64 * 1024
"""What was read of a connection travels in the message up to here, and in a file in memory beyond."""
_MOST_WAITING = 512
"""Connections for one sibling."""


class Handovers:
    """How many connections changed hands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(
            "throttlecove_handovers",
            "Connections handed over between the nodes of this machine, by what became of them here.",
            ["outcome"],
            registry=registry,
        )
        self.given = counter.labels("given")
        self.taken = counter.labels("taken")
        self.failed = counter.labels("failed")


class Giver:
    """The siblings as the wire sees them: see `realtime.wire.handover.Siblings`."""

    def __init__(self, place: Place, handovers: Handovers) -> None:
        self._lines = {name: _Line(place.connections_of(name)) for name in place.others}
        self._handovers = handovers

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def give(self, name: str, descriptor: int, data: bytes) -> bool:
        """Hand a connection over, with what was read of it. False: that node is not there, or takes no more."""
        try:
            given = self._lines[name].send(descriptor, data)
        except OSError:  # no descriptor left, or as many under way as the kernel allows
            given = False
        (self._handovers.given if given else self._handovers.failed).inc()
        return given

    def close(self) -> None:
        """Let go of the sockets."""
        for line in self._lines.values():
            line.close()


class _Line:
    """The way to one sibling."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    def send(self, descriptor: int, data: bytes) -> bool:
        """One connection. Raises OSError when this process has no descriptor left."""
        if len(self._waiting) >= _MOST_WAITING:
            return False
        message, file = (data, None) if len(data) <= INLINE_BYTES else (b"", _in_memory(data))
        descriptors = [descriptor] if file is None else [descriptor, file]
        try:
            return self._send(message, descriptors)
        finally:
            if file is not None:
                os.close(file)

    def _send(self, message: bytes, descriptors: list[int]) -> bool:
        for _ in range(2):  # a socket that is open may be one to a process that has gone, and been started again
            if self._socket is None and not self._open():
                return False
            assert self._socket is not None  # noqa: S101 - just opened
            try:
                if not self._waiting:
                    socket.send_fds(self._socket, [message], descriptors)
                    return True
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._socket, self._go_on)
            except ConnectionError:
                self.close()
                continue
            self._waiting.append((message, _copies(descriptors)))
            return True
        return False

    def _open(self) -> bool:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        try:
            line.connect(self._path)
        except OSError:
            line.close()
            return False
        self._socket = line
        return True

    def _go_on(self) -> None:
        """The sibling takes more."""
        assert self._socket is not None  # noqa: S101 - it is what has become writable
        while self._waiting:
            message, descriptors = self._waiting[0]
            try:
                socket.send_fds(self._socket, [message], descriptors)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._waiting.popleft()
            _close(descriptors)
        asyncio.get_running_loop().remove_writer(self._socket)

    def close(self) -> None:
        """Clients of connections that wait for the sibling find them closed."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)
            self._socket.close()
            self._socket = None
        while self._waiting:
            _close(self._waiting.popleft()[1])


def _in_memory(data: bytes) -> int:
    """A file with this in it that has no name."""
    file = os.memfd_create("read")
    try:
        with open(file, "wb", closefd=False) as writing:
            writing.write(data)
    except OSError:
        os.close(file)
        raise
    return file


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _copies(descriptors: Sequence[int]) -> list[int]:
    """All of them, or none: what was copied before there was no room for more is closed again."""
    copies: list[int] = []
    try:
        for each in descriptors:
            copies.append(os.dup(each))
    except OSError:
        for copy in copies:
            os.close(copy)
        raise
    return copies

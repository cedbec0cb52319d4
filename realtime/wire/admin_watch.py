"""What the admin UI is shown is counted and noticed here: wrappers round the parts of a wire that is instrumented.

A wire that is not has none of them. Of what clients say and hear nothing is kept but how much it was.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from domain.kit.errors import Problem
from realtime.wire.arguments import Arguments
from realtime.wire.connection import Listener
from realtime.wire.interface import Endpoint, Inbox, Socket
from realtime.wire.link import Taker
from realtime.wire.rooms import Rooms


class Traffic:
    """Counts by second and type, until they are taken."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str]] = Counter()

    def count(self, kind: str, number: int = 1) -> None:
        """So many more, now."""
        self._counts[int(time.time()) * 1000, kind] += number

    def take(self) -> list[dict[str, object]]:
        """What was counted since the last time."""
        counts, self._counts = self._counts, Counter()
        return [{"timestamp": at, "type": kind, "count": number} for (at, kind), number in counts.items()]


class CountedListener:
    """Counts the messages of one connection, and its end."""

    __slots__ = ("_inner", "_traffic")

    def __init__(self, inner: Listener, traffic: Traffic) -> None:
        self._inner = inner
        self._traffic = traffic
        traffic.count("rawConnection")

    def message(self, data: str | bytes) -> Awaitable[None] | None:
        self._traffic.count("packetsIn")
        self._traffic.count("bytesIn", len(data))
        return self._inner.message(data)

    def ended(self, reason: str) -> None:
        self._traffic.count("rawDisconnection")
        self._inner.ended(reason)


class CountedTaker:
    """Counts what is taken on the short way."""

    __slots__ = ("_inner", "_traffic")

    def __init__(self, inner: Taker, traffic: Traffic) -> None:
        self._inner = inner
        self._traffic = traffic

    def take(self, packet: bytes) -> bool:
        if not self._inner.take(packet):
            return False
        self._traffic.count("packetsIn")
        self._traffic.count("bytesIn", len(packet))
        return True


class CountedTransport:
    """Counts what is written to a WebSocket; several packets may be one write."""

    __slots__ = ("_inner", "_traffic", "_write")

    def __init__(self, inner: Any, traffic: Traffic) -> None:
        self._inner = inner
        self._write = inner.write
        self._traffic = traffic

    def write(self, data: bytes) -> None:
        self._traffic.count("packetsOut")
        self._traffic.count("bytesOut", len(data))
        self._write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedEndpoint:
    """Tells of one socket of a namespace, that it comes and goes.

    It is in the rooms of the namespace, so that the UI can name it; those of python-socketio's handlers are already.
    """

    def __init__(
        self,
        inner: Endpoint,
        rooms: Rooms,
        *,
        came: Callable[[Socket], None],
        went: Callable[[Socket, str], None],
    ) -> None:
        self._inner = inner
        self._rooms = rooms
        self._came = came
        self._went = went
        self._told = False
        self._added = False

    def admit(self, socket: Socket, auth: Arguments) -> Awaitable[None] | None:
        return self._inner.admit(socket, auth)

    def opened(self, socket: Socket) -> None:
        self._added = socket.sid not in self._rooms
        if self._added:
            self._rooms.add(socket)
        self._told = True
        self._came(socket)
        self._inner.opened(socket)

    def inbox_of(self, socket: Socket) -> Inbox | None:
        inbox_of = getattr(self._inner, "inbox_of", None)
        inbox: Inbox | None = inbox_of(socket) if inbox_of is not None else None
        return inbox

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        self._inner.event(socket, name, arguments, ack_id)

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        self._inner.fault(socket, problem, ack_id)

    def closed(self, socket: Socket, reason: str) -> None:
        if self._told:
            self._went(socket, reason)
        self._inner.closed(socket, reason)
        if self._added:
            self._rooms.remove(socket.sid)

"""A Socket.IO client of one namespace on its connection: the wire's implementation of `interface.Socket`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from realtime.wire.arguments import Arguments
from realtime.wire.connection import Connection
from realtime.wire.interface import Closing, Endpoint, Inbox, Reconnect, Socket
from realtime.wire.packets import Format, Lane, Packet, ack_frame, encode_ack, encode_disconnect, encode_event

if TYPE_CHECKING:
    from realtime.wire.peer import Peer

_JSON = Format.JSON
_LIVE = Lane.LIVE
_MOST_EXPECTED = 1024
"""Answers one client may owe: whoever asks forgets in time, and this bounds whoever does not."""


class WireSocket:
    """One connected client."""

    __slots__ = (
        "_connection",
        "_expected",
        "_peer",
        "asked",
        "closed",
        "endpoint",
        "inbox",
        "namespace",
        "open",
        "sid",
    )

    def __init__(self, sid: str, namespace: str, endpoint: Endpoint, connection: Connection, peer: "Peer") -> None:
        self.sid = sid
        self.namespace = namespace
        self.endpoint = endpoint
        self.inbox: Inbox | None = None
        """Where its usual events go while it is open, if the endpoint has such a thing."""
        self.open = False
        """Whether its CONNECT was answered, and it has not left since: otherwise nothing is sent."""
        self.closed = False
        self.asked = False
        """Whether it was ever sent a packet that wants to be answered."""
        self._connection = connection
        self._peer = peer
        self._expected: dict[int, Callable[[Socket, Arguments | None], None]] | None = None

    @property
    def address(self) -> str:
        return self._connection.address

    @property
    def connection(self) -> Connection:
        """The Engine.IO session below."""
        return self._connection

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        if not self.open:
            return
        connection = self._connection
        if (write := connection.write) is not None:
            if packet.lane is _LIVE:
                connection.hold(packet)
            else:
                write(packet.json if connection.format is _JSON else packet.frames(connection.format))
            return
        connection.send(packet, volatile=volatile)

    def acknowledge(self, ack_id: int, *answers: object) -> None:
        connection = self._connection
        write = connection.write
        if write is not None and self.open and connection.format is _JSON and self.namespace == "/":
            write(ack_frame(ack_id, answers))  # as below, without an object for what is written once
            return
        self.send(encode_ack(ack_id, *answers, namespace=self.namespace))

    def expect(self, ack_id: int, on_answer: Callable[[Socket, Arguments | None], None]) -> None:
        if self.closed:
            on_answer(self, None)
            return
        self.asked = True
        expected = self._expected
        if expected is None:
            expected = self._expected = {}
        elif len(expected) >= _MOST_EXPECTED:
            oldest = next(iter(expected))
            expected.pop(oldest)(self, None)
        expected[ack_id] = on_answer

    def forget(self, ack_id: int) -> None:
        if self._expected is not None:
            self._expected.pop(ack_id, None)
            if not self._expected:
                self._expected = None

    def answered(self, ack_id: int, arguments: Arguments) -> None:
        """The client's answer came; one that nobody waits for any more is passed over."""
        on_answer = self._expected.get(ack_id) if self._expected is not None else None
        if on_answer is not None:
            self.forget(ack_id)
            on_answer(self, arguments)

    def drop_expected(self) -> None:
        """No answer will come any more."""
        expected, self._expected = self._expected, None
        for on_answer in (expected or {}).values():
            on_answer(self, None)

    def backlog(self) -> int:
        return self._connection.backlog()

    def mute(self) -> None:
        self._peer.mute()

    def close(self, closing: Closing) -> None:
        if self.closed:
            return
        self.closed = True
        if self.open:
            self._peer.close(closing)
        else:
            self._connection.end(closing.code, (), closing.status)

    def leave(self) -> None:
        if not self.closed and self.open:
            self._peer.leave(self, encode_disconnect(self.namespace))


def farewell(closing: Closing, namespace: str = "/") -> tuple[Packet, ...]:
    """The last packets of a socket: why it is closed and, when it shall not come back, the DISCONNECT that says so."""
    told = {"code": closing.code, "message": closing.message, "reconnect": closing.reconnect.value}
    error = encode_event("error", told, namespace=namespace)
    return (error, encode_disconnect(namespace)) if closing.reconnect is Reconnect.NEVER else (error,)

"""A Socket.IO client of namespace `/` on its connection: the wire's implementation of `interface.Socket`."""

from realtime.wire.connection import Connection
from realtime.wire.interface import OVERFLOWED, Closing, Reconnect
from realtime.wire.packets import Packet, encode_ack, encode_event

_DISCONNECT = Packet("41")


class WireSocket:
    """One connected client."""

    __slots__ = ("_connection", "closed", "open", "sid")

    def __init__(self, sid: str, connection: Connection) -> None:
        self.sid = sid
        self.open = False
        """Whether its CONNECT was answered: before, nothing is sent."""
        self.closed = False
        self._connection = connection

    @property
    def address(self) -> str:
        return self._connection.address

    def send(self, packet: Packet) -> None:
        if self.closed or not self.open:
            return
        self._connection.send(packet)
        if self._connection.overflowing:
            self.close(OVERFLOWED)

    def acknowledge(self, ack_id: int, answer: object) -> None:
        self.send(encode_ack(ack_id, answer))

    def backlog(self) -> int:
        return self._connection.backlog()

    def close(self, closing: Closing) -> None:
        if self.closed:
            return
        self.closed = True
        self._connection.end(closing.code, farewell(closing) if self.open else (), closing.status)


def farewell(closing: Closing) -> tuple[Packet, ...]:
    """The last packets of a socket: why it is closed and, when it shall not come back, the DISCONNECT that says so."""
    told = {"code": closing.code, "message": closing.message, "reconnect": closing.reconnect.value}
    error = encode_event("error", told)
    return (error, _DISCONNECT) if closing.reconnect is Reconnect.NEVER else (error,)

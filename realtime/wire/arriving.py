"""Stands for a socket whose CONNECT is not answered yet: what is sent to it then follows the answer.

Official clients take an event before the answer for one of a namespace that they are not in.
"""

from collections.abc import Callable

from realtime.wire.interface import Closing, Socket
from realtime.wire.packets import Arguments, Packet

MOST_HELD = 256
"""Packets; a connect handler that emits more is told nothing, and its client gets the first ones."""


class Arriving:
    """Implements `interface.Socket`."""

    __slots__ = ("_held", "namespace", "sid", "socket")

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.sid = socket.sid
        self.namespace = socket.namespace
        self._held: list[Packet] = []

    def release(self) -> None:
        """Send what was held."""
        held, self._held = self._held, []
        for packet in held:
            self.socket.send(packet)

    @property
    def address(self) -> str:
        return self.socket.address

    @property
    def closed(self) -> bool:
        return self.socket.closed

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        if not volatile and len(self._held) < MOST_HELD:
            self._held.append(packet)

    def acknowledge(self, ack_id: int, *answers: object) -> None:
        self.socket.acknowledge(ack_id, *answers)

    def expect(self, ack_id: int, on_answer: Callable[[Socket, Arguments | None], None]) -> None:
        self.socket.expect(ack_id, on_answer)

    def forget(self, ack_id: int) -> None:
        self.socket.forget(ack_id)

    def backlog(self) -> int:
        return len(self._held)

    def mute(self) -> None:
        self.socket.mute()

    def close(self, closing: Closing) -> None:
        self.socket.close(closing)

    def leave(self) -> None:
        self.socket.leave()

"""What the layers above see of the wire: a socket to write to, and the calls the wire makes when something arrives.

Everything above is written against these types only, so that another wire can take this one's place.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from domain.kit.errors import Problem
from realtime.wire.packets import Arguments, Packet


class Reconnect(StrEnum):
    """What a client does after the server closed its socket."""

    AT_ONCE = "at_once"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True)
class Closing:
    """Why the server closes a socket, as the client is told in the `error` event that goes before the close.

    Official Socket.IO clients hide the WebSocket status. `NEVER` also sends the Socket.IO DISCONNECT that stops their
    automatic reconnection; after the others they come back with their usual delays.
    """

    status: int
    """WebSocket close status, 4000 to 4999."""
    code: str
    message: str
    reconnect: Reconnect


OVERFLOWED = Closing(
    4008, "too_slow", "More is waiting for this socket than it may hold: reconnect and resume", Reconnect.AT_ONCE
)
SILENT = Closing(4001, "connect_timeout", "No CONNECT with a token arrived in time", Reconnect.LATER)
STOPPING = Closing(4012, "stopping", "This server is stopping: reconnect to another one", Reconnect.AT_ONCE)


class Socket(Protocol):
    """One connected client, over either transport."""

    @property
    def sid(self) -> str:
        """The Socket.IO id, unique and unguessable."""
        ...

    @property
    def address(self) -> str:
        """The client's network address."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more is sent or heard."""
        ...

    def send(self, packet: Packet) -> None:
        """Queue a packet. Never waits and never raises; order is kept; after the close it does nothing."""
        ...

    def acknowledge(self, ack_id: int, answer: object) -> None:
        """Answer the client's packet `ack_id` with one argument, in the same order as `send`."""
        ...

    def backlog(self) -> int:
        """Packets queued and not yet handed to the transport."""
        ...

    def close(self, closing: Closing) -> None:
        """Drop what is queued, say why (best effort), and close the transport.

        The peer reads end-of-file within a second, whether or not it reads or answers.
        """
        ...


class Endpoint(Protocol):
    """What the wire calls. All but `admit` are synchronous and are called in the order of arrival for one socket."""

    async def admit(self, socket: Socket, auth: Arguments) -> None:
        """A CONNECT arrived. Raises Problem to refuse it. What is sent to the socket meanwhile is not delivered."""
        ...

    def opened(self, socket: Socket) -> None:
        """The admitted client has its answer: from now on events come and packets go."""
        ...

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """An event arrived; admission only, nothing in here may wait."""
        ...

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        """A packet of an open socket could not be read; the connection stays."""
        ...

    def closed(self, socket: Socket, reason: str) -> None:
        """The end of an admitted client, called exactly once, also when it never was `opened`."""
        ...

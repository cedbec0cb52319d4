"""What the layers above see of the wire: a socket to write to, and the calls the wire makes when something arrives.

Everything above is written against these types only, so that another wire can take this one's place.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol

from domain.kit.errors import Problem
from realtime.wire.packets import Arguments, Lane, Packet

__all__ = (
    "DISMISSED",
    "OVERFLOWED",
    "SILENT",
    "STOPPING",
    "Closing",
    "Endpoint",
    "Inbox",
    "Lane",
    "Reconnect",
    "Refused",
    "Socket",
    "Taken",
)


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
DISMISSED = Closing(4009, "dismissed", "Whoever runs this server has ended the connection", Reconnect.NEVER)
STOPPING = Closing(4012, "stopping", "This server is stopping: reconnect to another one", Reconnect.AT_ONCE)


class Refused(Exception):
    """A CONNECT that an endpoint refuses in its own words: `body` is sent as it is."""

    def __init__(self, body: dict[str, object]) -> None:
        super().__init__(body.get("message"))
        self.body = body


class Socket(Protocol):
    """One client in one namespace, over either transport, in either format."""

    @property
    def sid(self) -> str:
        """The Socket.IO id, unique and unguessable."""
        ...

    @property
    def namespace(self) -> str:
        """Where it is: `/` or another."""
        ...

    @property
    def address(self) -> str:
        """The client's network address."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more is sent or heard."""
        ...

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        """Send a packet. Never waits and never raises; after the close it does nothing.

        Order is kept within the packet's lane. A `volatile` packet is dropped where it would have to wait.
        """
        ...

    def acknowledge(self, ack_id: int, *answers: object) -> None:
        """Answer the client's packet `ack_id`."""
        ...

    def expect(self, ack_id: int, on_answer: Callable[["Socket", Arguments | None], None]) -> None:
        """Have `on_answer` called with the answer to the packet sent with this id, or with None if none can come.

        Ids come from `Wire.next_ack_id`. It is called once, unless `forget` comes first.
        """
        ...

    def forget(self, ack_id: int) -> None:
        """Not wait for this answer any more."""
        ...

    def backlog(self) -> int:
        """Packets queued and not yet handed to the transport."""
        ...

    def mute(self) -> None:
        """Pass over what its connection says from now on: whoever is about to close it answers what came before."""
        ...

    def close(self, closing: Closing) -> None:
        """Drop what is queued, say why (best effort), and close the whole connection.

        The peer reads end-of-file within a second, whether or not it reads or answers.
        """
        ...

    def leave(self) -> None:
        """End this namespace alone: the client is told, `Endpoint.closed` follows, the connection stays."""
        ...


class Endpoint(Protocol):
    """What the wire calls. For one socket the calls come in the order of arrival, and none of them may wait.

    One that decodes each event's value into a type of its own may have a method `inbox_of(socket)` too: what it gives
    takes the usual events of that socket without a first pass over their values (`Inbox`).
    """

    def admit(self, socket: Socket, auth: Arguments) -> Awaitable[None] | None:
        """A CONNECT arrived: raise Problem or Refused to refuse it, now or in what is returned to be awaited.

        What is sent to the socket meanwhile is not delivered, and what it sends waits.
        """
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


class Taken(Enum):
    """What became of an event that an `Inbox` was shown."""

    NOT = 0
    """Nothing has happened: the event is read as any other, and comes by `Endpoint.event`."""
    DONE = 1
    """It is done, and acknowledged with an empty object if its sender asked."""
    ANSWERED = 2
    """The endpoint answers itself, now or later."""


class Inbox(Protocol):
    """Takes the usual events of one socket as they arrived; whatever is wrong with one is said by `Endpoint.event`."""

    def take(self, name: bytes, value: bytes, ack: bytes) -> Taken:
        """An event: its name as it was written, what seems to be its only argument in JSON, and the digits of its ack.

        `ack` is empty when none is asked for. Nothing but the ends of the value was looked at: it may be no JSON, or
        two arguments, or no UTF-8.
        """
        ...

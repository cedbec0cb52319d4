"""A signed-in client: one socket of one device of one rider, and what the features keep with it."""

from typing import TYPE_CHECKING, Any, TypeVar, cast

from domain.kit.ids import new_trace_id
from realtime.gateway.contracts import Emission
from realtime.wire.interface import Closing, Socket
from realtime.wire.packets import Packet

if TYPE_CHECKING:
    from domain.accounts.tokens import Identity

P = TypeVar("P")
S = TypeVar("S")


class Client:
    """What handlers are given. It has the shape of a hub listener: `id`, `send`, `backlog`."""

    def __init__(self, socket: Socket, identity: "Identity", *, app: str | None = None, protocol: int = 1) -> None:
        self.socket = socket
        self.id = socket.sid
        self.identity = identity
        """Replaced by `auth:refresh`; user, rider number and session stay the same for the life of the client."""
        self.app = app
        self.protocol = protocol
        self.trace_id = new_trace_id()
        """Names this connection in logs."""
        self._states: dict[type[Any], Any] = {}

    @property
    def closed(self) -> bool:
        """Whether the socket has ended: worth asking after every await."""
        return self.socket.closed

    def send(self, packet: Packet) -> None:
        """Queue a packet that was encoded once for many; never waits."""
        self.socket.send(packet)

    def emit(self, emission: Emission[P], payload: P) -> None:
        """Encode and queue an event for this client alone; never waits."""
        self.socket.send(emission.packet(payload))

    def backlog(self) -> int:
        """Packets queued and not yet handed to the transport."""
        return self.socket.backlog()

    def close(self, closing: Closing) -> None:
        """End the connection: the client is told why, then the transport is closed within a second."""
        self.socket.close(closing)

    def attach(self, state: object) -> None:
        """Keep a feature's state with the client; there is one of each type."""
        self._states[type(state)] = state

    def get(self, kind: type[S]) -> S | None:
        """The attached state of this type, or None."""
        return cast("S | None", self._states.get(kind))

    def require(self, kind: type[S]) -> S:
        """The attached state of this type. Raises LookupError when there is none."""
        return cast(S, self._states[kind])

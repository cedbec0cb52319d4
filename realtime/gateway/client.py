"""A signed-in client: one socket of one device of one rider, and what the features keep with it."""

from hashlib import blake2s
from typing import TYPE_CHECKING, TypeVar

from realtime.gateway.contracts import Emission
from realtime.wire.interface import Closing, Socket
from realtime.wire.packets import Packet

if TYPE_CHECKING:
    from domain.accounts.tokens import Identity
    from realtime.gateway.streams.cursor import Hearing

P = TypeVar("P")
S = TypeVar("S")


class Client:
    """What handlers are given. It has the shape of a hub listener: `id`, `send`, `backlog`.

    There are thousands that do nothing: whatever is not always needed is made when it is.
    """

    __slots__ = ("_states", "app", "hearings", "id", "identity", "protocol", "socket")

    def __init__(self, socket: Socket, identity: "Identity", *, app: str | None = None, protocol: int = 1) -> None:
        self.socket = socket
        self.id = socket.sid
        self.identity = identity
        """Replaced by `auth:refresh`; user, rider number and session stay the same for the life of the client."""
        self.app = app
        self.protocol = protocol
        self.hearings: tuple[Hearing, ...] = ()
        """The durable streams that it hears, and from where on."""
        self._states: tuple[object, ...] = ()

    @property
    def trace_id(self) -> str:
        """Names this connection in logs: 32 hexadecimal digits that do not give its id away."""
        return blake2s(self.id.encode(), digest_size=16).hexdigest()

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

    def mute(self) -> None:
        """Pass over what it says from now on, which has no ack: it is about to be closed."""
        self.socket.mute()

    def close(self, closing: Closing) -> None:
        """End the connection: the client is told why, then the transport is closed within a second."""
        self.socket.close(closing)

    def attach(self, state: object) -> None:
        """Keep a feature's state with the client; there is one of each type."""
        self._states = (*(other for other in self._states if type(other) is not type(state)), state)

    def get(self, kind: type[S]) -> S | None:
        """The attached state of this type, or None."""
        for state in self._states:
            if type(state) is kind:
                return state
        return None

    def require(self, kind: type[S]) -> S:
        """The attached state of this type. Raises LookupError when there is none."""
        state = self.get(kind)
        if state is None:
            raise LookupError(kind.__name__)
        return state

"""The Socket.IO side of one connection: a CONNECT for each namespace first, then events in order, each fault answered.

A peer that says anything before its CONNECT, or does not CONNECT in time, is not ours: its connection is closed. Its
first CONNECT, in text or binary, decides in which format everything is said on this connection.
"""

import secrets
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING

from domain.kit.errors import Conflict, Internal, Invalid, Problem, TooLarge
from domain.kit.ids import new_trace_id
from realtime.wire.connection import Connection, Violation
from realtime.wire.header import Format, Header, Kind, Malformed
from realtime.wire.interface import OVERFLOWED, SILENT, STOPPING, Closing, Refused, Taken
from realtime.wire.packets import EMPTY_ACKS, EMPTY_ANSWER, Packet, encode_connect, encode_connect_error
from realtime.wire.parser import parse_ack, parse_auth, parse_event, parse_header, unpack_header
from realtime.wire.socket import WireSocket, farewell

if TYPE_CHECKING:
    from realtime.wire.server import Wire

_NOT, _DONE = Taken.NOT, Taken.DONE
_STARTS = (b"42", b"420")
_BRACKET = ord("]")
_MOST_DIGITS = 15
"""Of an ack id that is taken as it comes; longer ones are looked at more closely."""
_MOST_CONNECTS = 20
_CONNECT_SECONDS = 5.0
"""After so long one more CONNECT is allowed."""
_MOST_NAMESPACES = 16
_SID_BYTES = 15
_MOST_STRAYS = 1000
_INVALID_NAMESPACE: dict[str, object] = {"message": "Invalid namespace"}
_STRAY = "binary where text is due: send one JSON object"


class _Partial:
    """A packet whose attachments are still coming."""

    __slots__ = ("bytes", "header", "missing", "parts")

    def __init__(self, header: Header) -> None:
        self.header = header
        self.missing = header.attachments
        self.parts: list[bytes] = []
        self.bytes = len(header.body)


class Peer:
    """Reads one connection's packets and keeps its sockets, one for each namespace."""

    __slots__ = (
        "_admitting",
        "_connected_at",
        "_connection",
        "_connects",
        "_left",
        "_partial",
        "_root",
        "_sockets",
        "_strays",
        "_wire",
    )

    def __init__(self, wire: "Wire", connection: Connection) -> None:
        self._wire = wire
        self._connection = connection
        connection.taker = self
        self._root: WireSocket | None = None
        """The open socket of namespace `/`, which most connections have alone."""
        self._sockets: dict[str, WireSocket] | None = None
        """Open sockets of other namespaces."""
        self._left: set[str] | None = None
        """Namespaces that the server has ended: what is still on its way for them is passed over."""
        self._admitting: WireSocket | None = None
        self._partial: _Partial | None = None
        self._strays = 0
        """Attachments to come of a packet that was refused: they are passed over."""
        self._connects = 0.0
        """CONNECTs that came lately."""
        self._connected_at = 0.0

    # What the connection calls

    def message(self, data: str | bytes) -> Awaitable[None] | None:
        """One Engine.IO message. Raises Violation when the connection cannot go on."""
        try:
            if isinstance(data, bytes):
                return self._binary(data)
            self._strays = 0
            if self._partial is not None:
                self._partial = None
                self._answer(Malformed(Invalid("a packet came before all announced attachments of the one before")))
            if self._connection.format is not Format.JSON:
                self._speaks(Format.JSON)
            return self._packet(parse_header(data))
        except Malformed as fault:
            self._strays = min(fault.attachments, _MOST_STRAYS)
            self._answer(fault)
        return None

    def take(self, packet: bytes) -> bool:
        """Hand on a whole Engine.IO text packet if it is a usual event: `42<ack id>["name",value]`, of namespace `/`.

        False, and nothing has happened, for every other packet: that is for `message`. All that a client does often
        comes through here, so this is one function, without a regular expression or an object for what is found.
        """
        root = self._root
        if root is None or (inbox := root.inbox) is None or self._partial is not None or root.closed:
            return False
        head, _, rest = packet.partition(b'",')
        start, _, name = head.partition(b'["')
        # Digits compare as text does: this is 42 and an ack id, if there is one, that does not begin with a 0.
        if not start.isdigit() or not (b"421" <= start < b"43" or start in _STARTS) or packet[-1] != _BRACKET:
            return False
        ack = start[2:]
        if len(ack) > _MOST_DIGITS or len(packet) > self._wire.options.event_bytes:
            return False
        if not packet.isascii():
            packet.decode()  # raises UnicodeDecodeError
        taken = inbox.take(name, rest[:-1], ack)
        if taken is _DONE and ack and root.open:  # the handler may have ended this client
            if (write := self._connection.write) is not None:
                write(EMPTY_ACKS[len(ack)] + ack + EMPTY_ANSWER)
            else:
                root.acknowledge(int(ack), {})
        return taken is not _NOT

    def ended(self, reason: str) -> None:
        """The connection is over."""
        self._wire.peer_ended(self, self._connection)
        sockets = list(self._open_sockets())
        self._root = self._sockets = self._partial = None
        if self._admitting is not None:
            self._admitting.closed = True
        for socket in sockets:
            self._tell_closed(socket, reason)

    # What the wire calls

    def silent(self) -> None:
        """No CONNECT came in time."""
        self._connection.end(SILENT.code, status=SILENT.status)

    def stop(self) -> None:
        """This server stops."""
        self.close(STOPPING)

    def mute(self) -> None:
        """Hear its connection no more, but for its end."""
        self._connection.mute()

    def too_slow(self) -> None:
        """Too much waits, or something durable has waited for too long."""
        self.close(OVERFLOWED)

    def close(self, closing: Closing) -> None:
        """End the connection; whoever has a socket is told why."""
        last = [packet for socket in self._open_sockets() for packet in farewell(closing, socket.namespace)]
        for socket in self._open_sockets():
            socket.closed = True
        self._connection.end(closing.code, last, closing.status)

    # Packets by type

    def _packet(self, header: Header) -> Awaitable[None] | None:
        kind = header.kind
        if kind is Kind.CONNECT:
            return self._connect(header)
        socket = self._socket_of(header.namespace)
        if socket is None:
            self._unheard(header)
        elif not socket.closed:
            try:
                self._heard(socket, header)
            except Malformed as fault:
                socket.endpoint.fault(socket, fault.problem, fault.ack_id)
        return None

    def _heard(self, socket: WireSocket, header: Header) -> None:
        kind = header.kind
        if kind is Kind.EVENT:
            name, arguments = parse_event(header, self._wire.options.event_bytes)
            socket.endpoint.event(socket, name, arguments, header.ack_id)
        elif header.attachments:
            self._partial = _Partial(header)
        elif kind is Kind.ACK:
            self._acknowledged(socket, header)
        elif kind is Kind.DISCONNECT:
            self._disconnect(socket)
        else:
            raise Malformed(Invalid("CONNECT_ERROR is for servers to send"))

    def _binary(self, data: bytes) -> Awaitable[None] | None:
        partial = self._partial
        if partial is not None:
            self._attachment(partial, data)
            return None
        if self._strays:
            self._strays -= 1
            return None
        if self._connection.format is not Format.MSGPACK:
            self._speaks(Format.MSGPACK)
        return self._packet(unpack_header(data))

    def _speaks(self, form: Format) -> None:
        """The first CONNECT decides; before it there is nothing that could have been written in another format."""
        if self._is_open:
            raise Malformed(Invalid(_STRAY if form is Format.MSGPACK else "this connection speaks msgpack"))
        self._connection.format = form

    def _attachment(self, partial: _Partial, data: bytes) -> None:
        partial.missing -= 1
        partial.bytes += len(data)
        if partial.bytes <= self._wire.options.event_bytes:
            partial.parts.append(data)
        else:
            partial.parts.clear()
        if partial.missing:
            return
        self._partial = None
        socket = self._socket_of(partial.header.namespace)
        if socket is not None and not socket.closed:
            try:
                self._completed(socket, partial)
            except Malformed as fault:
                socket.endpoint.fault(socket, fault.problem, fault.ack_id)

    def _completed(self, socket: WireSocket, partial: _Partial) -> None:
        """A packet with all its attachments."""
        header, most_bytes = partial.header, self._wire.options.event_bytes
        if partial.bytes > most_bytes:
            raise Malformed(TooLarge(f"an event has at most {most_bytes} bytes"), header.asked)
        if header.kind is Kind.BINARY_ACK:
            self._acknowledged(socket, header, partial.parts)
        else:
            name, arguments = parse_event(header, most_bytes, partial.parts)
            socket.endpoint.event(socket, name, arguments, header.ack_id)

    def _acknowledged(self, socket: WireSocket, header: Header, parts: list[bytes] | None = None) -> None:
        if header.ack_id is None or not socket.asked:
            raise Malformed(Invalid("nothing waits for this ack"))
        arguments = parse_ack(header, self._wire.options.event_bytes, parts or ())
        socket.answered(header.ack_id, arguments)

    def _unheard(self, header: Header) -> None:
        """A packet of a namespace without a socket."""
        if self._left is not None and header.namespace in self._left:
            return
        if not self._is_open or header.namespace == "/":
            raise Violation("CONNECT comes first")
        raise Malformed(Invalid(f"there was no CONNECT to {header.namespace}"), header.asked)

    def _answer(self, fault: Malformed) -> None:
        socket = next(self._open_sockets(), None)
        if socket is None:
            raise Violation(fault.problem.message)
        if not socket.closed:
            socket.endpoint.fault(socket, fault.problem, fault.ack_id)

    # Coming and going

    def _connect(self, header: Header) -> Awaitable[None] | None:
        namespace = header.namespace
        if self._socket_of(namespace) is not None:
            raise Malformed(Conflict("this connection has its CONNECT already"))
        self._count_connect()
        try:
            auth = parse_auth(header, self._wire.options.auth_bytes)
        except Malformed as fault:
            self._refuse(namespace, fault.problem)
            return None
        endpoint = self._wire.endpoint_of(namespace) if len(self._sockets or ()) < _MOST_NAMESPACES else None
        if endpoint is None:
            self._send_refusal(namespace, _INVALID_NAMESPACE)
            return None
        socket = WireSocket(self._new_sid(), namespace, endpoint, self._connection, self)
        self._admitting = socket
        try:
            rest = endpoint.admit(socket, auth)
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._not_admitted(socket, error)
            return None
        if rest is not None:
            return self._admit(socket, rest)
        self._open(socket)
        return None

    def _count_connect(self) -> None:
        """A few at once and then one now and again: who comes anew has new limits, and is checked anew."""
        now = self._connection.now()
        self._connects = max(0.0, self._connects - (now - self._connected_at) / _CONNECT_SECONDS) + 1
        self._connected_at = now
        if self._connects > _MOST_CONNECTS:
            raise Violation("too many CONNECTs")

    async def _admit(self, socket: WireSocket, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._not_admitted(socket, error)
        else:
            self._open(socket)

    def _open(self, socket: WireSocket) -> None:
        self._admitting = None
        if self._connection.closed or socket.closed:
            socket.closed = True
            socket.endpoint.closed(socket, "left while connecting")
            return
        if not self._is_open:
            self._wire.signed_in(self, self._connection)
        if socket.namespace == "/":
            self._root = socket
        else:
            self._sockets = self._sockets or {}
            self._sockets[socket.namespace] = socket
        if self._left is not None:
            self._left.discard(socket.namespace)
        self._connection.send(encode_connect(socket.sid, socket.namespace))
        socket.open = True
        if socket is self._root and self._connection.format is Format.JSON:
            inbox_of = getattr(socket.endpoint, "inbox_of", None)
            socket.inbox = inbox_of(socket) if inbox_of is not None else None
        socket.endpoint.opened(socket)

    def _not_admitted(self, socket: WireSocket, error: Exception) -> None:
        self._admitting = None
        if self._connection.closed:
            return
        if isinstance(error, Refused):
            self._send_refusal(socket.namespace, error.body)
        elif isinstance(error, Problem):
            self._refuse(socket.namespace, error)
        else:
            trace_id = new_trace_id()
            self._wire.faults.tell("connect_failed", error, trace_id=trace_id)
            self._refuse(socket.namespace, Internal("a fault on our side; tell us the trace id"), trace_id)

    def _refuse(self, namespace: str, problem: Problem, trace_id: str | None = None) -> None:
        details = {
            "code": problem.code.value,
            "field": problem.field,
            "retry_after_ms": problem.retry_after_ms,
            "trace_id": trace_id,
        }
        data = {name: value for name, value in details.items() if value is not None}
        self._send_refusal(namespace, {"message": problem.message, "data": data})

    def _send_refusal(self, namespace: str, body: dict[str, object]) -> None:
        self._connection.send(encode_connect_error(body, namespace))

    def _disconnect(self, socket: WireSocket) -> None:
        self._remove(socket)
        self._tell_closed(socket, "client disconnect")

    def leave(self, socket: WireSocket, last: Packet) -> None:
        """The server ends one socket; the connection stays."""
        self._connection.send(last)
        self._remove(socket)
        self._left = self._left or set()
        self._left.add(socket.namespace)
        self._tell_closed(socket, "server disconnect")

    def _remove(self, socket: WireSocket) -> None:
        if socket.namespace == "/":
            self._root = None
        elif self._sockets is not None:
            self._sockets.pop(socket.namespace, None)
        if not self._is_open:
            self._wire.signed_out(self, self._connection)

    def _tell_closed(self, socket: WireSocket, reason: str) -> None:
        socket.closed = True
        socket.open = False
        socket.inbox = None
        socket.drop_expected()
        socket.endpoint.closed(socket, reason)

    # Its sockets

    def _socket_of(self, namespace: str) -> WireSocket | None:
        if namespace == "/":
            return self._root
        return self._sockets.get(namespace) if self._sockets is not None else None

    def sockets(self) -> list[WireSocket]:
        """Those that are open."""
        return list(self._open_sockets())

    def _open_sockets(self) -> Iterator[WireSocket]:
        if self._root is not None:
            yield self._root
        if self._sockets is not None:
            yield from self._sockets.values()

    @property
    def _is_open(self) -> bool:
        return self._root is not None or bool(self._sockets)

    def _new_sid(self) -> str:
        token = secrets.token_urlsafe(_SID_BYTES)
        name = self._wire.options.node_name
        return f"{name}.{token}" if name else token

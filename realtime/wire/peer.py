"""The Socket.IO side of one connection: CONNECT first, then events in order, each fault answered and survived.

A peer that says anything before its CONNECT, or does not CONNECT in time, is not ours: its connection is closed.
"""

import asyncio
import secrets
from enum import Enum, auto

import structlog

from domain.kit.errors import Conflict, Internal, Invalid, Problem
from domain.kit.ids import new_trace_id
from realtime.wire.connection import Connection, Violation
from realtime.wire.doors import Doors
from realtime.wire.interface import SILENT, Endpoint
from realtime.wire.options import WireOptions
from realtime.wire.packets import Arguments, Packet, encode_json
from realtime.wire.parser import Header, Kind, Malformed, parse_auth, parse_event, parse_header
from realtime.wire.socket import WireSocket

_log = structlog.get_logger(__name__)

_LONGEST_NAMESPACE = 100
_MOST_REFUSALS = 20
_BINARY = "binary where text is due: send one JSON object"


class Phase(Enum):
    """Where a peer stands."""

    EXPECTED = auto()
    ADMITTING = auto()
    OPEN = auto()
    ENDED = auto()


class Peer:
    """Reads one connection's packets and keeps its socket."""

    def __init__(self, connection: Connection, endpoint: Endpoint, doors: Doors, options: WireOptions) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._doors = doors
        self._options = options
        self._phase = Phase.EXPECTED
        self._socket: WireSocket | None = None
        self._owed: tuple[Header, str, Arguments] | None = None
        """A binary packet whose attachments are still coming."""
        self._attachments = 0
        self._refusals = 0
        self._timer = self._start_timer()

    @property
    def authenticated(self) -> bool:
        """Whether it has said who it is."""
        return self._phase is Phase.OPEN

    async def message(self, data: str | bytes) -> None:
        """One Engine.IO message. Raises Violation when the connection cannot go on."""
        try:
            if isinstance(data, bytes):
                self._attachment()
            else:
                await self._packet(data)
        except Malformed as fault:
            self._answer(fault)

    def ended(self, reason: str) -> None:
        """The connection is over."""
        self._timer.cancel()
        socket, was_open = self._socket, self._phase is Phase.OPEN
        self._phase = Phase.ENDED
        if socket is not None:
            socket.closed = True
            if was_open:
                self._endpoint.closed(socket, reason)

    # Packets by type

    async def _packet(self, text: str) -> None:
        header = parse_header(text)
        if self._owed is not None:
            self._owed = None
            self._answer(Malformed(Invalid("a packet came before all announced attachments of the one before")))
        if header.namespace != "/":
            self._other_namespace(header)
        elif header.kind is Kind.CONNECT:
            await self._connect(header)
        elif self._phase is not Phase.OPEN:
            raise Violation("CONNECT comes first")
        elif header.kind is Kind.DISCONNECT:
            self._disconnect()
        elif header.kind in (Kind.EVENT, Kind.BINARY_EVENT):
            self._event(header)
        else:
            self._unasked(header)

    def _other_namespace(self, header: Header) -> None:
        if header.kind is not Kind.CONNECT or len(header.namespace) > _LONGEST_NAMESPACE:
            raise Malformed(Invalid("there is only the namespace /"))
        self._send_refusal(header.namespace + ",", {"message": "Invalid namespace"})

    def _event(self, header: Header) -> None:
        name, arguments = parse_event(header, self._options.event_bytes)
        if header.attachments:
            self._owed, self._attachments = (header, name, arguments), header.attachments
        else:
            self._deliver(name, arguments, header.ack_id)

    def _attachment(self) -> None:
        if self._phase is not Phase.OPEN:
            raise Violation("CONNECT comes first")
        if self._owed is None:
            raise Malformed(Invalid(_BINARY))
        self._attachments -= 1
        if self._attachments == 0:
            (header, name, arguments), self._owed = self._owed, None
            self._deliver(name, arguments, header.ack_id)

    def _deliver(self, name: str, arguments: Arguments, ack_id: int | None) -> None:
        if self._socket is not None and not self._socket.closed:
            self._endpoint.event(self._socket, name, arguments, ack_id)

    def _unasked(self, header: Header) -> None:
        if header.kind is Kind.CONNECT_ERROR:
            raise Malformed(Invalid("CONNECT_ERROR is for servers to send"))
        raise Malformed(Invalid("nothing waits for this ack"))

    def _answer(self, fault: Malformed) -> None:
        if self._phase is not Phase.OPEN or self._socket is None:
            raise Violation(fault.problem.message)
        if not self._socket.closed:
            self._endpoint.fault(self._socket, fault.problem, fault.ack_id)

    # Coming and going

    async def _connect(self, header: Header) -> None:
        if self._phase is Phase.OPEN:
            raise Malformed(Conflict("this connection has its CONNECT already"))
        if self._phase is not Phase.EXPECTED:
            raise Violation("two CONNECTs at once")
        try:
            auth = parse_auth(header, self._options.auth_bytes)
        except Malformed as fault:
            self._refuse(fault.problem)
            return
        self._phase = Phase.ADMITTING
        socket = WireSocket(secrets.token_urlsafe(15), self._connection)
        problem = await self._admitted(socket, auth)
        if problem is None:
            self._open(socket)
        elif self._phase is Phase.ADMITTING:
            self._phase = Phase.EXPECTED
            self._refuse(*problem)

    async def _admitted(self, socket: WireSocket, auth: Arguments) -> tuple[Problem, str | None] | None:
        """None when the endpoint let the client in, else why not, with the trace id of a fault of ours."""
        try:
            await self._endpoint.admit(socket, auth)
        except Problem as problem:
            return problem, None
        except Exception:  # noqa: BLE001 - the edge that answers and logs
            trace_id = new_trace_id()
            _log.exception("connect_failed", trace_id=trace_id)
            return Internal("a fault on our side; tell us the trace id"), trace_id
        return None

    def _open(self, socket: WireSocket) -> None:
        if self._phase is Phase.ENDED or socket.closed:
            socket.closed = True
            self._endpoint.closed(socket, "left while connecting")
            return
        self._timer.cancel()
        self._phase, self._socket = Phase.OPEN, socket
        self._doors.signed_in()
        self._connection.send(Packet("40" + encode_json({"sid": socket.sid})))
        self._connection.flush()
        socket.open = True
        self._endpoint.opened(socket)

    def _refuse(self, problem: Problem, trace_id: str | None = None) -> None:
        details = {
            "code": problem.code.value,
            "field": problem.field,
            "retry_after_ms": problem.retry_after_ms,
            "trace_id": trace_id,
        }
        data = {name: value for name, value in details.items() if value is not None}
        self._send_refusal("", {"message": problem.message, "data": data})

    def _send_refusal(self, namespace: str, body: dict[str, object]) -> None:
        """CONNECT_ERROR, so many times and no more: a peer that does not listen is not ours."""
        self._refusals += 1
        if self._refusals > _MOST_REFUSALS:
            raise Violation("too many CONNECTs were refused")
        self._connection.send(Packet(f"44{namespace}" + encode_json(body)))

    def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        self._phase = Phase.EXPECTED
        self._doors.signed_out()
        self._timer = self._start_timer()
        if socket is not None:
            socket.closed = True
            self._endpoint.closed(socket, "client disconnect")

    def _start_timer(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._options.connect_within_seconds, self._silent)

    def _silent(self) -> None:
        self._connection.end(SILENT.code, status=SILENT.status)

"""Runs python-socketio's handlers for the clients of one namespace: the endpoint of a namespace that has no other.

Functions registered with `on` and `event`, and AsyncNamespace objects. One handler at a time runs for a socket, in the
order of arrival; a plain function runs as it comes, a coroutine in a task of its socket. What a handler raises is
logged once, answered where an answer is due, and ends nothing. A client's rooms and session last until its disconnect
handler has ended.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import socketio
import structlog
from socketio.exceptions import ConnectionRefusedError as LibraryRefusal

from domain.kit.errors import Conflict, Internal, Invalid, Problem, RateLimited
from domain.kit.ids import new_trace_id
from realtime.wire.arriving import Arriving
from realtime.wire.interface import Closing, Reconnect, Refused, Socket
from realtime.wire.packets import Arguments, encode_event
from realtime.wire.turns import Turns

if TYPE_CHECKING:
    from realtime.wire.api import SocketioApi

BAD_PACKET = Closing(4002, "bad_packet", "A packet could not be read", Reconnect.LATER)

_BUILTIN_REFUSAL: dict[str, object] = {"message": "Connection refused by server"}
_CATCH_ALL = "*"
_log = structlog.get_logger(__name__)


class Client:
    """A client of handlers."""

    __slots__ = ("session", "socket", "turns")

    def __init__(self, socket: Arriving, turns: Turns) -> None:
        self.socket: Socket = socket
        self.turns = turns
        self.session: dict[str, Any] = {}


class HandlerEndpoint:
    """Implements `interface.Endpoint` for one namespace."""

    def __init__(self, server: "SocketioApi", namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._rooms = server.emitter.rooms(namespace)
        self._clients: dict[str, Client] = {}

    def client(self, sid: str) -> Client:
        """A client from its CONNECT to the end of its disconnect handler. Raises KeyError."""
        return self._clients[sid]

    # What the wire calls

    def admit(self, socket: Socket, auth: Arguments) -> Awaitable[None] | None:
        """See `Endpoint`. What the connect handler emits to its client is sent after the answer to CONNECT."""
        arriving = Arriving(socket)
        self._clients[socket.sid] = Client(arriving, Turns(self._server.tasks, self._namespace))
        self._rooms.add(arriving)
        try:
            rest = self._run("connect", socket.sid, self._server.request_of(socket), _value(auth))
            if inspect.isawaitable(rest):
                return self._admit(socket.sid, rest)
            _check(rest)
        except BaseException as error:
            self._forget(socket.sid)
            _refuse(error)
            raise
        return None

    def opened(self, socket: Socket) -> None:
        """See `Endpoint`."""
        client = self._clients[socket.sid]
        arriving, client.socket = client.socket, socket
        self._rooms.add(socket)
        if isinstance(arriving, Arriving):
            arriving.release()

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """See `Endpoint`."""
        client = self._clients.get(socket.sid)
        if client is None:
            return
        try:
            client.turns.take(lambda: self._handle(socket, name, arguments, ack_id), arguments.size)
        except RateLimited as problem:
            _log.warning("event_refused", namespace=self._namespace, code=problem.code.value)
            _answer_problem(socket, problem, ack_id)

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        """See `Endpoint`. As other servers do, this one ends a connection that sends what is no packet."""
        if isinstance(problem, Conflict):
            _answer_problem(socket, problem, ack_id)
        else:
            _log.info("bad_packet", namespace=self._namespace, code=problem.code.value, message=problem.message)
            socket.close(BAD_PACKET)

    def closed(self, socket: Socket, reason: str) -> None:
        """See `Endpoint`."""
        client = self._clients.get(socket.sid)
        if client is not None:
            client.turns.take_last(lambda: self._disconnect(socket.sid, reason))

    # Connect

    async def _admit(self, sid: str, rest: Awaitable[object]) -> None:
        try:
            _check(await rest)
        except BaseException as error:
            self._forget(sid)
            _refuse(error)
            raise

    # Events

    def _handle(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> Awaitable[None] | None:
        try:
            values = arguments.values()
        except (ValueError, RecursionError) as error:
            self.fault(socket, Invalid(f"arguments that cannot be read: {error}"), ack_id)
            return None
        try:
            result = self._run(name, socket.sid, *values)
            if inspect.isawaitable(result):
                return self._finish(result, socket, name, ack_id)
            self._acknowledge(socket, result, ack_id)
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._failed(socket, name, error, ack_id)
        return None

    async def _finish(self, rest: Awaitable[object], socket: Socket, name: str, ack_id: int | None) -> None:
        try:
            self._acknowledge(socket, await rest, ack_id)
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._failed(socket, name, error, ack_id)

    def _acknowledge(self, socket: Socket, result: object, ack_id: int | None) -> None:
        """A handler's result as the library has it: a tuple is several arguments, None is none."""
        if ack_id is None or result is self._server.not_handled:
            return
        answers = result if isinstance(result, tuple) else () if result is None else (result,)
        socket.send(self._server.manager.encode_answer(ack_id, answers, self._namespace))

    def _failed(self, socket: Socket, name: str, error: Exception, ack_id: int | None) -> None:
        trace_id = self._tell(name, error)
        if ack_id is not None:
            _answer_problem(socket, Internal("a fault on our side; tell us the trace id"), ack_id, trace_id)

    def _tell(self, name: str, error: Exception) -> str:
        """Log what a handler raised; its trace id."""
        trace_id = new_trace_id()
        self._server.faults.tell("handler_failed", error, namespace=self._namespace, event_name=name, trace_id=trace_id)
        return trace_id

    # Disconnect

    def _disconnect(self, sid: str, reason: str) -> Awaitable[None] | None:
        rest: object = None
        try:
            rest = self._run("disconnect", sid, reason)
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._tell("disconnect", error)
        if inspect.isawaitable(rest):
            return self._finish_disconnect(sid, rest)
        self._forget(sid)
        return None

    async def _finish_disconnect(self, sid: str, rest: Awaitable[object]) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._tell("disconnect", error)
        finally:
            self._forget(sid)

    def _forget(self, sid: str) -> None:
        self._rooms.remove(sid)
        self._clients.pop(sid, None)
        if not self._clients:
            self._server.dismiss(self._namespace)

    def _run(self, event: str, *args: object) -> object:
        """Call the handler of an event; what it returns may have to be awaited."""
        handler, found = find_handler(self._server, event, self._namespace, args)
        return self._server.not_handled if handler is None else handler(*found)


def find_handler(
    server: Any, event: str, namespace: str, args: tuple[object, ...]
) -> tuple[Callable[..., object] | None, tuple[object, ...]]:
    """The handler of an event, by python-socketio's rules, and its arguments; for none, None."""
    handler, found = _registered(server, event, namespace, args)
    if handler is None:
        owner, found = server._get_namespace_handler(namespace, args)
        if owner is None:
            return None, args
        handler = _method(owner, event)
        if handler is None:
            return lambda *_: None, found  # an AsyncNamespace answers what it does not know, too
    if event in server.reserved_events:
        found = _fitting(handler, found)
    return handler, found


def _registered(
    server: Any, event: str, namespace: str, args: tuple[object, ...]
) -> tuple[Callable[..., object] | None, tuple[object, ...]]:
    """A function and its arguments; for none, None."""
    if event != _CATCH_ALL:
        handler, found = server._get_event_handler(event, namespace, args)
        return handler, found
    # The library would take it for the name of the catch-all function, and leave out that function's first argument.
    for place, found in ((namespace, (event, *args)), (_CATCH_ALL, (event, namespace, *args))):
        handler = server.handlers.get(place, {}).get(_CATCH_ALL)
        if handler is not None:
            return handler, found
    return None, args


def has_handlers(server: Any, namespace: str) -> bool:
    """Whether a namespace exists for python-socketio's handlers."""
    return (
        namespace in server.handlers
        or namespace in server.namespace_handlers
        or server.namespaces == "*"
        or namespace in server.namespaces
    )


def _method(owner: Any, event: str) -> Callable[..., object] | None:
    """The method of an AsyncNamespace, or its own way to one."""
    if type(owner).trigger_event is socketio.AsyncNamespace.trigger_event:
        method: Callable[..., object] | None = getattr(owner, f"on_{event}", None)
        return method

    def trigger(*args: object) -> object:
        return owner.trigger_event(event, *args)

    return trigger


def _fitting(handler: Callable[..., object], args: tuple[object, ...]) -> tuple[object, ...]:
    """Older handlers take no `auth` and no reason."""
    try:
        inspect.signature(handler).bind(*args)
    except TypeError:
        return args[:-1]
    except ValueError:
        return args  # written in C, it does not say
    return args


def _value(auth: Arguments) -> object:
    if not len(auth):
        return None
    try:
        (value,) = auth.values()
    except (ValueError, RecursionError) as error:
        raise Invalid("`auth` cannot be read", field="auth") from error
    return value


def _refuse(error: BaseException) -> None:
    """Raise what the library's ways to refuse a client come down to, if it is one."""
    if isinstance(error, LibraryRefusal):
        raise Refused(error.error_args) from error
    if isinstance(error, ConnectionRefusedError):
        raise Refused(_BUILTIN_REFUSAL) from error


def _check(result: object) -> None:
    if result is False:
        raise LibraryRefusal


def _answer_problem(socket: Socket, problem: Problem, ack_id: int | None, trace_id: str | None = None) -> None:
    """Say it in the ack that is waited for, or else in an `error` event."""
    details = {
        "code": problem.code.value,
        "message": problem.message,
        "retry_after_ms": problem.retry_after_ms,
        "trace_id": trace_id,
    }
    told = {name: value for name, value in details.items() if value is not None}
    if ack_id is not None:
        socket.acknowledge(ack_id, {"error": told})
    else:
        socket.send(encode_event("error", told, namespace=socket.namespace))

"""python-socketio's server over our sockets: its documented API, in as far as it does not speak of its own transport.

As documented: `on`, `event`, `register_namespace`, `emit`, `send`, `call`, rooms, sessions, `disconnect`, `transport`,
`get_environ`, callbacks, catch-all events. Different, each for a reason:
- rooms are named by str (they are channels to other nodes) that do not read like the id of a socket; `to=[]` is nobody;
- `skip_sid` may name rooms, `emit` may be `volatile`, `emit_nowait` does not wait, and `ask` asks a whole room;
- a callback is forgotten after a minute, and called once for each answer when it was a room that was asked;
- `call` raises TimeoutError at once when the client has left;
- handlers of one client run one at a time; what its connect handler emits to it follows the answer to CONNECT, so that
  `always_connect` has no purpose, and `async_handlers=False` none either;
- a handler that raises is answered `{"error": …}` where an ack is due;
- only namespaces with handlers exist, unless `namespaces` names others;
- other nodes are reached through `nodes`: `emit`, `send`, `call`, `ask`, `enter_room`, `leave_room`, `close_room`,
  `disconnect`. What describes a client (its session, its transport, its rooms) is known on its own node only.
- `instrument` shows the admin UI who is here, and not what is said (see `admin`).
Not offered, with an error that says so: `attach`, and the library's options, in whose place are those of
`WireOptions`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

import socketio
from socketio.exceptions import TimeoutError as LibraryTimeout

from domain.kit.tasks import TaskOwner
from realtime.wire.arriving import Arriving
from realtime.wire.emitting import Emitter, OtherNodes
from realtime.wire.faults import FaultLog
from realtime.wire.handlers import HandlerEndpoint, has_handlers
from realtime.wire.header import ROOT
from realtime.wire.interface import Socket
from realtime.wire.manager import Callback, Names, RoomManager, audience_of, encode_data
from realtime.wire.questions import Answers

_HANDLERS_SECONDS = 5.0
"""What handlers get to end when the server shuts down."""


class SocketioApi(socketio.AsyncServer, ABC):  # type: ignore[misc]  # the library is not typed
    """What `Wire` is for handlers."""

    def __init__(
        self, nodes: OtherNodes | None = None, *, namespaces: Sequence[str] | str | None = None, **options: Any
    ) -> None:
        """`nodes` is the way to the other nodes; `options` are for the library."""
        self.tasks = TaskOwner("handlers")
        self.emitter = Emitter(self.next_ack_id, nodes)
        self._handler_endpoints: dict[str, HandlerEndpoint] = {}
        self.faults = FaultLog()
        super().__init__(client_manager=RoomManager(self.emitter, self.tasks, self.faults), **options)
        self.namespaces = namespaces or ()

    # What the wire has to have

    @abstractmethod
    def next_ack_id(self) -> int:
        """0 to 2**30 - 1, counted once for all sockets."""

    @abstractmethod
    def request_of(self, socket: Socket) -> dict[str, Any]:
        """The request that opened a socket's connection, as WSGI has it."""

    @abstractmethod
    def transport_of(self, socket: Socket) -> str:
        """`websocket` or `polling`."""

    def handler_endpoint(self, namespace: str) -> HandlerEndpoint | None:
        """Who has the clients of a namespace for which there are handlers; None when there are none."""
        endpoint = self._handler_endpoints.get(namespace)
        if endpoint is None and has_handlers(self, namespace):
            endpoint = self._handler_endpoints[namespace] = HandlerEndpoint(self, namespace)
        return endpoint

    def dismiss(self, namespace: str) -> None:
        """Forget what has no client any more: with `namespaces="*"` clients invent names."""
        self._handler_endpoints.pop(namespace, None)
        self.emitter.dismiss(namespace)

    # Sending

    async def emit(
        self,
        event: str,
        data: object = None,
        to: Names = None,
        room: Names = None,
        skip_sid: Names = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
    ) -> None:
        """Emit to everybody, to rooms or to clients; encoded once, whoever gets it.

        `volatile`: whose transport is full does without. `ignore_queue`: on this node only. What JSON has no form for
        is written without a word as what is nearest: NaN and infinity as null, sets as arrays, dates as text. Raises
        TypeError for what has no such form and for rooms that are not named by str, ValueError for a reserved name
        (`disconnect`, `connect_error` …), Unavailable when the other nodes are not known to have been told (those here
        are).
        """
        await self.manager.emit(
            event,
            data,
            namespace,
            room=to if to is not None else room,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            volatile=volatile,
        )

    def emit_nowait(
        self,
        event: str,
        data: object = None,
        *,
        to: Names = None,
        room: Names = None,
        skip_sid: Names = None,
        namespace: str | None = None,
        ignore_queue: bool = False,
        volatile: bool = False,
    ) -> None:
        """Emit without waiting to know whether other nodes were told, as Node's `emit` does; for plain functions too.

        Several of both kinds arrive in the order in which they were made. What Redis does not take after all is lost
        to the other nodes and counted in the metrics; Unavailable when it cannot be told now. Otherwise as
        `emit`, which costs more.
        """
        if type(to) is str and skip_sid is None and namespace is None and not ignore_queue and not volatile:
            self.emitter.say_nowait(to, encode_data(event, data, ROOT))  # nearly always
            return
        audience = audience_of(namespace, to if to is not None else room, skip_sid)
        packet = encode_data(event, data, audience.namespace)
        self.emitter.emit_nowait(audience, packet, volatile=volatile, here_only=ignore_queue)

    async def call(
        self,
        event: str,
        data: object = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float = 60,  # noqa: ASYNC109 - the library's name for it
        ignore_queue: bool = False,
    ) -> object:
        """Emit to one client and return its answer: a value, a tuple of several, or None.

        Raises socketio's TimeoutError when there is none in `timeout` seconds, or can be none any more.
        """
        name = to if to is not None else sid
        if name is None:
            raise ValueError("Cannot use call() to broadcast.")
        answers = await self.ask(event, data, to=name, namespace=namespace, timeout=timeout, ignore_queue=ignore_queue)
        for values in answers.given.values():
            return tuple(values) if len(values) > 1 else values[0] if values else None
        raise LibraryTimeout("the client did not answer")

    async def ask(
        self,
        event: str,
        data: object = None,
        to: Names = None,
        skip_sid: Names = None,
        namespace: str | None = None,
        timeout: float = 60,  # noqa: ASYNC109 - the library's name for it
        ignore_queue: bool = False,
    ) -> Answers:
        """Emit to everybody, to rooms or to clients, and wait for all answers, for `timeout` seconds at most.

        Raises Unavailable when the other nodes are not known to have been told, RateLimited when too much is asked.
        """
        answers: Answers = await self.manager.ask(
            event, data, audience_of(namespace, to, skip_sid), within_seconds=timeout, ignore_queue=ignore_queue
        )
        return answers

    # One client

    async def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """A client's session. Raises KeyError for one that handlers of this node do not have."""
        session: dict[str, Any] = self._client(sid, namespace).session
        return session

    async def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Keep a client's session. Raises KeyError as `get_session`."""
        self._client(sid, namespace).session = session

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """End a client's namespace, on whatever node; its connection stays for others, or ends soon when it has none.

        Raises Unavailable when its node could not be told.
        """
        await self.manager.disconnect(sid, namespace or "/")

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """`polling` or `websocket`. Raises KeyError for a client that is not here."""
        return self.transport_of(self._socket(sid, namespace))

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The request that opened a client's connection, or None when it is not here."""
        try:
            return self.request_of(self._socket(sid, namespace))
        except KeyError:
            return None

    def _client(self, sid: str, namespace: str | None) -> Any:
        return self._handler_endpoints[namespace or "/"].client(sid)

    def _socket(self, sid: str, namespace: str | None) -> Socket:
        socket = self.emitter.rooms(namespace or "/").socket(sid)
        if socket is None:
            raise KeyError(sid)
        return socket.socket if isinstance(socket, Arriving) else socket

    # The end, and what is not offered

    async def shutdown(self) -> None:
        """Let what handlers and CONNECTs have begun end, for five seconds, and cancel what then still runs."""
        await self.tasks.drain(_HANDLERS_SECONDS)
        await self.tasks.close()

    def attach(self, *_: object, **__: object) -> NoReturn:
        """Not offered: WebSockets do not go through the application; serve `app` with `uvicorn_options`."""
        raise NotImplementedError("serve Wire.app() with uvicorn_options()")

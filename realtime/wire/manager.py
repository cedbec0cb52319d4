"""python-socketio's client manager over our rooms: what `emit`, `enter_room` and the rest of its API come down to.

Sockets are kept by their Socket.IO id and nothing else; what the library has for its own packet path (Engine.IO ids,
pending connects, callbacks by number) does not exist here and says so.
"""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NoReturn

import socketio

from domain.kit.ids import new_trace_id
from domain.kit.tasks import TaskOwner
from realtime.wire.emitting import Audience, Emitter
from realtime.wire.faults import FaultLog
from realtime.wire.header import RESERVED, ROOT
from realtime.wire.packets import Packet, encode_ack, encode_event, encode_plain
from realtime.wire.questions import Answers

CALLBACK_SECONDS = 60.0
"""A callback is forgotten when its client has not answered for so long."""

_PLAIN = frozenset((str, int, float, bool, type(None)))

Callback = Callable[..., object]
Names = str | Sequence[str] | None


class RoomManager(socketio.AsyncManager):  # type: ignore[misc]  # the library is not typed
    """Give it to a server as its `client_manager`."""

    def __init__(self, emitter: Emitter, tasks: TaskOwner, faults: FaultLog) -> None:
        super().__init__()
        self.emitter = emitter
        self._tasks = tasks
        self._faults = faults

    # Emits

    async def emit(
        self,
        event: str,
        data: object,
        namespace: str | None = None,
        room: Names = None,
        skip_sid: Names = None,
        callback: Callback | None = None,
        to: Names = None,
        *,
        ignore_queue: bool = False,
        volatile: bool = False,
    ) -> None:
        """As the server's `emit`."""
        audience = audience_of(namespace, to if to is not None else room, skip_sid)
        if callback is None:
            packet = encode_data(event, data, audience.namespace)
            await self.emitter.emit(audience, packet, volatile=volatile, here_only=ignore_queue)
            return
        answered = callback
        await self.emitter.begin(
            audience,
            lambda ack_id: encode_data(event, data, audience.namespace, ack_id),
            within_seconds=CALLBACK_SECONDS,
            here_only=ignore_queue,
            on_answer=lambda _, values: self._call_back(answered, values),
        )

    async def ask(
        self, event: str, data: object, audience: Audience, *, within_seconds: float, ignore_queue: bool = False
    ) -> Answers:
        """Emit and wait for everybody's answer."""
        return await self.emitter.ask(
            audience,
            lambda ack_id: encode_data(event, data, audience.namespace, ack_id),
            within_seconds=within_seconds,
            here_only=ignore_queue,
        )

    @staticmethod
    def encode_answer(ack_id: int, answers: Sequence[object], namespace: str) -> Packet:
        """The ACK with what a handler returned."""
        return encode_ack(ack_id, *answers, namespace=namespace, binary=_may_hold_binary(answers))

    def _call_back(self, callback: Callback, values: list[object]) -> None:
        try:
            rest = callback(*values)
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._callback_failed(error)
        else:
            if inspect.isawaitable(rest):
                self._tasks.start(self._finish(rest), "callback")

    async def _finish(self, rest: Awaitable[object]) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001 - the edge that logs
            self._callback_failed(error)

    def _callback_failed(self, error: Exception) -> None:
        self._faults.tell("callback_failed", error, trace_id=new_trace_id())

    # Rooms

    async def enter_room(self, sid: str, namespace: str, room: str, eio_sid: str | None = None) -> None:
        """Put a client of any node into a room; returns once what others emit to the room is heard by its node.

        Raises ValueError for a client that is nowhere and for names no room can have, TypeError for those that are no
        str. Raises Unavailable when Redis does not confirm: a client of this node is in the room all the same.
        """
        try:
            await self.emitter.enter(sid, room, namespace)
        except KeyError as error:
            raise ValueError("sid is not connected to requested namespace") from error

    async def leave_room(self, sid: str, namespace: str, room: str) -> None:
        """Take a client of any node out of a room. Raises Unavailable for one that could not be told."""
        with contextlib.suppress(KeyError):
            await self.emitter.leave(sid, room, namespace)

    async def close_room(self, room: str, namespace: str) -> None:
        """Take everybody, on all nodes, out of a room. Raises Unavailable when others may not have been told."""
        await self.emitter.close(room, namespace)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        """The rooms of a client of this node."""
        return self.emitter.rooms(namespace).rooms_of(sid)

    def get_namespaces(self) -> Sequence[str]:
        """Those that have had a client on this node."""
        return self.emitter.namespaces

    def get_participants(self, namespace: str, room: Names) -> Iterator[tuple[str, str]]:
        """The clients on this node that are in one of these rooms, each twice: there is no other id."""
        for socket in self.emitter.rooms(namespace).sockets(_names(room)):
            yield socket.sid, socket.sid

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Whether a client is on this node and can be sent to."""
        socket = self.emitter.rooms(namespace).socket(sid)
        return socket is not None and not socket.closed

    async def can_disconnect(self, sid: str, namespace: str) -> bool:
        """See `is_connected`."""
        return self.is_connected(sid, namespace)

    async def disconnect(self, sid: str, namespace: str, **_: object) -> None:
        """End the namespace of a client of any node; its disconnect handler follows its running one.

        Raises Unavailable when its node could not be told.
        """
        await self.emitter.disconnect(sid, namespace)

    # What belongs to the library's own packet path

    def _not_offered(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("clients come and go through the wire, which has no Engine.IO ids to be asked for")

    pre_connect = connect = is_pre_connected = pre_disconnect = _not_offered
    sid_from_eio_sid = eio_sid_from_sid = trigger_callback = _not_offered
    basic_enter_room = basic_leave_room = basic_close_room = basic_disconnect = _not_offered


def audience_of(namespace: str | None, to: Names, skip: Names = None) -> Audience:
    """Whom an emit is for; no `to` is everybody, an empty list nobody."""
    if type(to) is str and skip is None:  # nearly always
        return Audience(namespace or "/", (to,))
    return Audience(namespace or "/", _names(to), _names(skip) or ())


def _names(names: Names) -> Sequence[str] | None:
    """What names rooms and clients, one or several. Raises TypeError."""
    if names is None:
        return None
    chosen = (names,) if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    for name in chosen:
        if not isinstance(name, str):
            raise TypeError(f"a room is named by a str, not by {type(name).__name__}")
    return chosen


def encode_data(event: str, data: object, namespace: str, ack_id: int | None = None) -> Packet:
    """The library's rule: a tuple is several arguments, None is none. Raises ValueError for a reserved name."""
    if event in RESERVED:
        raise ValueError(f"{event!r} is a reserved event name")  # it would throw JavaScript's clients out
    if type(data) is dict and ack_id is None and namespace == ROOT:  # nearly always
        for value in data.values():
            if type(value) not in _PLAIN and _may_hold_binary(value):
                break
        else:
            return encode_plain(event, data)
    arguments = data if isinstance(data, tuple) else () if data is None else (data,)
    return encode_event(event, *arguments, namespace=namespace, ack_id=ack_id, binary=_may_hold_binary(arguments))


def _may_hold_binary(value: object) -> bool:
    """Whether the encoder has to look for binary values, which costs it much; of what is not known here, yes."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if kind is dict:
        values: Iterable[object] = value.values()  # type: ignore[attr-defined]  # `cast` is a call
    elif kind is list or kind is tuple:
        values = value  # type: ignore[assignment]
    else:
        return True
    for one in values:  # noqa: SIM110 - nearly all is plain, and a generator costs more than the look
        if type(one) not in _PLAIN and _may_hold_binary(one):
            return True
    return False

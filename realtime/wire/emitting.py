"""Emits and questions to rooms of any namespace: to the sockets here at once, to those of other nodes through a port.

What other nodes have to do with it is in `OtherNodes`, which the bus implements; without one, a node is alone. Nothing
here knows how packets travel, and a node that emits never waits for another one's sockets.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple, Protocol

from domain.kit.errors import RateLimited, Unavailable
from realtime.wire.header import ROOT
from realtime.wire.packets import Packet
from realtime.wire.questions import Answers, OnAnswer, Question
from realtime.wire.rooms import EVERYBODY, Rooms, check_room

MOST_EXPECTED = 100_000
"""Answers that a node waits for at once, of all sockets and questions together."""
_RETRY_AFTER_MS = 1000


class Audience(NamedTuple):
    """Whom something is for: each socket of the namespace that is in one of `to` and in none of `but`, once.

    Both name rooms and single sockets; `to` is None for everybody.
    """

    namespace: str = "/"
    to: Sequence[str] | None = EVERYBODY
    but: Sequence[str] = ()


class Moving(StrEnum):
    """What can be done with a client, on whatever node it is."""

    ENTER = "enter"
    LEAVE = "leave"
    CLOSE = "close"
    DISCONNECT = "disconnect"


class Move(NamedTuple):
    """Put the client into the room, take it out, take everybody out of it, or end the client's namespace."""

    kind: Moving
    namespace: str
    sid: str = ""
    room: str = ""


class Fault(StrEnum):
    """Why a move could not be made."""

    NOT_HERE = "not_here"
    """The client is not on its node any more."""
    NO_ROOM = "no_room"
    """No room can have this name."""
    UNCONFIRMED = "unconfirmed"
    """It has been made; that the room is heard by that node is not known."""


class MovedIn(Protocol):
    """Hears of the rooms of all namespaces."""

    def __call__(self, namespace: str, room: str, sid: str, *, entered: bool) -> None:
        """A socket has entered or left a room."""
        ...


class ThisNode(Protocol):
    """What other nodes may have done here."""

    def send_here(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> None:
        """Send to the sockets of this node."""
        ...

    def say_here(self, room: str, packet: Packet) -> None:
        """Send to one room of namespace `/`, or to one socket."""
        ...

    def ask_here(self, audience: Audience, packet: Packet, question: Question) -> None:
        """Send to the sockets of this node, and have their answers collected. Raises RateLimited."""
        ...

    async def move_here(self, move: Move) -> Fault | None:
        """Do it with the sockets of this node; never raises."""
        ...


class OtherNodes(Protocol):
    """The way to the other nodes.

    All that is awaited ends in a bounded time; what raises Unavailable may have happened.
    """

    def attach(self, here: ThisNode) -> None:
        """Tell `here` what others emit."""
        ...

    def occupied(self, namespace: str, room: str | None) -> None:
        """This node has a first member of the room; None stands for the whole namespace."""
        ...

    def vacated(self, namespace: str, room: str | None) -> None:
        """This node has no member of the room any more."""
        ...

    def is_elsewhere(self, sid: str) -> bool:
        """Whether the id is that of a socket of another node."""
        ...

    async def hearing(self, namespace: str, room: str) -> None:
        """Return once what others emit to the room is heard here. Raises Unavailable."""
        ...

    def send(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> Awaitable[object]:
        """Have the other nodes send it, in the order of the awaiting. Raises Unavailable."""
        ...

    def send_nowait(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> None:
        """The same without waiting to know whether they were told. Raises Unavailable when they surely cannot be."""
        ...

    def say_nowait(self, room: str, packet: Packet) -> None:
        """The same for one room of namespace `/`, or one socket."""
        ...

    async def move(self, move: Move) -> Fault | None:
        """Have it done on the client's node, or on all that have a member of the room. Raises Unavailable."""
        ...

    async def next_ack_id(self) -> int:
        """An ack id that no node uses: 2**30 to 2**31 - 1. Raises Unavailable."""
        ...

    async def ask(self, audience: Audience, packet: Packet, question: Question) -> None:
        """Have the other nodes ask and tell the question; returns when they have been told. Raises Unavailable."""
        ...


class Emitter:
    """The rooms of all namespaces of this node, and what is sent to them."""

    def __init__(self, next_ack_id: Callable[[], int], nodes: OtherNodes | None = None) -> None:
        """`next_ack_id` counts within 0 to 2**30 - 1, once for all sockets."""
        self._next_ack_id = next_ack_id
        self._nodes = nodes
        self._namespaces: dict[str, Rooms] = {}
        self._expected = 0
        self._moved: MovedIn | None = None
        if nodes is not None:
            nodes.attach(self)

    @property
    def expected(self) -> int:
        """Answers that are waited for."""
        return self._expected

    @property
    def namespaces(self) -> Sequence[str]:
        """Those that have had a socket."""
        return tuple(self._namespaces)

    def rooms(self, namespace: str) -> Rooms:
        """The rooms of a namespace on this node."""
        rooms = self._namespaces.get(namespace)
        if rooms is None:
            rooms = self._namespaces[namespace] = self._new_rooms(namespace)
        return rooms

    def watch(self, moved: MovedIn) -> None:
        """Have `moved` told of each socket here that enters or leaves a room."""
        self._moved = moved
        for namespace, rooms in self._namespaces.items():
            rooms.moved = partial(moved, namespace)

    def dismiss(self, namespace: str) -> None:
        """Forget a namespace that has no socket."""
        rooms = self._namespaces.get(namespace)
        if rooms is not None and not len(rooms):
            del self._namespaces[namespace]

    async def enter(self, sid: str, room: str, namespace: str = "/") -> None:
        """Put a socket of any node into a room; returns once its node hears the room from the others.

        Raises KeyError and ValueError as `Rooms.enter`. Raises Unavailable when that is not known yet: a socket of this
        node is in the room all the same, and hears the others as soon as Redis is back.
        """
        if self._is_elsewhere(sid, namespace):
            await self._move_elsewhere(Move(Moving.ENTER, namespace, sid, room))
            return
        entered = self.rooms(namespace).enter(sid, room)
        if entered and self._nodes is not None:
            await self._nodes.hearing(namespace, room)

    async def leave(self, sid: str, room: str, namespace: str = "/") -> None:
        """Take a socket of any node out of a room. Raises Unavailable for one of another node."""
        if self._is_elsewhere(sid, namespace):
            await self._move_elsewhere(Move(Moving.LEAVE, namespace, sid, room))
        else:
            self.rooms(namespace).leave(sid, room)

    async def close(self, room: str, namespace: str = "/") -> None:
        """Take everybody, on all nodes, out of a room. Raises Unavailable when other nodes may not have been told."""
        self.rooms(namespace).close(room)
        if self._nodes is not None:
            await self._nodes.move(Move(Moving.CLOSE, namespace, room=room))

    async def disconnect(self, sid: str, namespace: str = "/") -> None:
        """End the namespace of a socket of any node, if it is there. Raises Unavailable for one of another node."""
        if self._is_elsewhere(sid, namespace):
            with contextlib.suppress(KeyError):
                await self._move_elsewhere(Move(Moving.DISCONNECT, namespace, sid))
        elif (socket := self.rooms(namespace).socket(sid)) is not None:
            socket.leave()

    async def emit(
        self, audience: Audience, packet: Packet, *, volatile: bool = False, here_only: bool = False
    ) -> None:
        """Send to sockets here, then have other nodes do so. Raises Unavailable when those are not known to have it."""
        self.send_here(audience, packet, volatile=volatile)
        nodes = self._others(audience, here_only=here_only)
        if nodes is not None:
            await nodes.send(audience, packet, volatile=volatile)

    def emit_nowait(
        self, audience: Audience, packet: Packet, *, volatile: bool = False, here_only: bool = False
    ) -> None:
        """The same without waiting to know whether other nodes have it, in the order of all emits.

        What Redis turns out not to have taken is counted and nothing else. Raises Unavailable when it surely cannot be
        told now; sockets here have it all the same.
        """
        rooms = self._namespaces.get(audience.namespace)
        if rooms is not None:
            rooms.send(packet, audience.to, audience.but, volatile=volatile)
        nodes = self._others(audience, here_only=here_only)
        if nodes is not None:
            nodes.send_nowait(audience, packet, volatile=volatile)

    def say_nowait(self, room: str, packet: Packet) -> None:
        """The same for one room of namespace `/`, or one socket."""
        rooms = self._namespaces.get(ROOT)
        if rooms is not None and rooms.send_to_one(packet, room):
            return
        if self._nodes is not None:
            self._nodes.say_nowait(room, packet)

    async def begin(
        self,
        audience: Audience,
        encode: Callable[[int], Packet],
        *,
        within_seconds: float,
        here_only: bool = False,
        on_answer: OnAnswer | None = None,
    ) -> Question:
        """Send a packet that wants answers, made by `encode` for an ack id; returns when it has been sent.

        Raises RateLimited when too many answers are waited for, and Unavailable.
        """
        nodes = self._others(audience, here_only=here_only)
        ack_id = await nodes.next_ack_id() if nodes is not None else self._next_ack_id()
        packet = encode(ack_id)
        question = Question(ack_id, within_seconds, on_answer=on_answer)
        question.hold()
        try:
            self.ask_here(audience, packet, question)
            if nodes is not None:
                await nodes.ask(audience, packet, question)
        except BaseException:
            question.end()
            raise
        question.release()
        return question

    async def ask(
        self,
        audience: Audience,
        encode: Callable[[int], Packet],
        *,
        within_seconds: float,
        here_only: bool = False,
    ) -> Answers:
        """Send a packet that wants answers, and wait for all of them or for the end of the time. Raises as `begin`."""
        question = await self.begin(audience, encode, within_seconds=within_seconds, here_only=here_only)
        try:
            await question.wait()
        finally:
            question.end()
        return question.answers()

    # Here, also for other nodes

    def send_here(self, audience: Audience, packet: Packet, *, volatile: bool = False) -> None:
        """See `ThisNode`."""
        rooms = self._namespaces.get(audience.namespace)
        if rooms is not None:
            rooms.send(packet, audience.to, audience.but, volatile=volatile)

    def say_here(self, room: str, packet: Packet) -> None:
        """See `ThisNode`."""
        rooms = self._namespaces.get(ROOT)
        if rooms is not None:
            rooms.send_to_one(packet, room)

    def ask_here(self, audience: Audience, packet: Packet, question: Question) -> None:
        """See `ThisNode`."""
        rooms = self._namespaces.get(audience.namespace)
        if rooms is None:
            question.put(packet, ())
            return
        if self._expected >= MOST_EXPECTED:
            raise RateLimited("too many answers of clients are waited for", retry_after_ms=_RETRY_AFTER_MS)
        before = len(question.waiting)
        question.put(packet, rooms.sockets(audience.to, audience.but))
        asked = len(question.waiting) - before
        self._expected += asked
        question.over.add_done_callback(lambda _: self._expect_fewer(asked))

    async def move_here(self, move: Move) -> Fault | None:
        """See `ThisNode`."""
        rooms = self._namespaces.get(move.namespace)
        if move.kind is Moving.CLOSE:
            if rooms is not None:
                rooms.close(move.room)
            return None
        if rooms is None or move.sid not in rooms:
            return Fault.NOT_HERE
        if move.kind is Moving.ENTER:
            return await self._enter_here(move)
        if move.kind is Moving.LEAVE:
            rooms.leave(move.sid, move.room)
        else:
            await self.disconnect(move.sid, move.namespace)
        return None

    async def _enter_here(self, move: Move) -> Fault | None:
        try:
            await self.enter(move.sid, move.room, move.namespace)
        except ValueError:
            return Fault.NO_ROOM
        except Unavailable:
            return Fault.UNCONFIRMED
        return None

    def _is_elsewhere(self, sid: str, namespace: str) -> bool:
        """Whether the socket may be another node's: its id names one, and it is not here."""
        if self._nodes is None or sid in self._namespaces.get(namespace, ()):
            return False
        return self._nodes.is_elsewhere(sid)

    async def _move_elsewhere(self, move: Move) -> None:
        """Raises KeyError, ValueError and Unavailable."""
        assert self._nodes is not None  # noqa: S101 - `_is_elsewhere` has seen to it
        fault = await self._nodes.move(move)
        if fault is Fault.NOT_HERE:
            raise KeyError(move.sid)
        if fault is Fault.NO_ROOM:
            check_room(move.room)
            raise ValueError("no room can have this name")
        if fault is Fault.UNCONFIRMED:
            raise Unavailable("the client's node does not hear the room yet", retry_after_ms=_RETRY_AFTER_MS)

    def _expect_fewer(self, number: int) -> None:
        self._expected -= number

    def _others(self, audience: Audience, *, here_only: bool) -> OtherNodes | None:
        """The other nodes, when some of them may have a socket that this is for."""
        if here_only or self._nodes is None:
            return None
        rooms = self._namespaces.get(audience.namespace, ())
        to = audience.to
        if to is not EVERYBODY and (to[0] in rooms if len(to) == 1 else all(name in rooms for name in to)):
            return None
        return self._nodes

    def _new_rooms(self, namespace: str) -> Rooms:
        nodes = self._nodes
        if nodes is None:
            rooms = Rooms()
        else:
            rooms = Rooms(
                occupied=lambda room: nodes.occupied(namespace, room),
                vacated=lambda room: nodes.vacated(namespace, room),
            )
        if self._moved is not None:
            rooms.moved = partial(self._moved, namespace)
        return rooms

"""Who is in which room of one namespace, and writing a packet to everybody in some of them.

Pure and synchronous. An emit is a bare loop of `socket.send(packet)` over the room as it is: no task, no queue and no
copy. A send may close its socket, and so change the room that is being written to; the change then goes to a copy, and
the loop ends over what the room was when it began. A socket's own id is a room that only it is in, and costs nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from realtime.wire.interface import Socket
from realtime.wire.packets import Packet

EVERYBODY = None
"""Stands for the room that every socket of the namespace is in."""
LONGEST_NAME = 200
"""Characters of a room's name."""

_OWN_PART = 20
"""Characters of a socket's id that are not the name of its node."""
_SOCKET_ID = re.compile(rf"(?:(.*)\.)?[A-Za-z0-9_-]{{{_OWN_PART}}}", re.DOTALL)

Members = dict[str, Socket]


class Moved(Protocol):
    """Hears of rooms."""

    def __call__(self, room: str, sid: str, *, entered: bool) -> None:
        """A socket has entered or left a room."""
        ...


class _Room:
    """Sockets by their ids, in the order in which they came."""

    __slots__ = ("members", "readers")

    def __init__(self) -> None:
        self.members: Members = {}
        self.readers = 0
        """Loops that are going over `members` right now."""

    def changing(self) -> Members:
        """The members, to be changed: a copy of them while somebody goes over the others."""
        if self.readers:
            self.members, self.readers = self.members.copy(), 0
        return self.members


class Rooms:
    """The rooms of a namespace on this node.

    `occupied` and `vacated` are told of each room's first and last member here, with EVERYBODY for the namespace.
    """

    def __init__(
        self,
        *,
        occupied: Callable[[str | None], None] = lambda room: None,
        vacated: Callable[[str | None], None] = lambda room: None,
    ) -> None:
        self._everybody = _Room()
        self._rooms: dict[str, _Room] = {}
        self._joined: dict[str, dict[str, None]] = {}
        """Which rooms a socket is in, for those that are in any."""
        self._occupied = occupied
        self._vacated = vacated
        self.moved: Moved | None = None
        """Told of each socket that enters or leaves a room, where somebody wants to know."""

    def __len__(self) -> int:
        return len(self._everybody.members)

    def __contains__(self, sid: object) -> bool:
        return sid in self._everybody.members

    @property
    def names(self) -> Iterator[str]:
        """The rooms that have a member."""
        return iter(self._rooms)

    def socket(self, sid: str) -> Socket | None:
        """The socket with this id, when it is here."""
        return self._everybody.members.get(sid)

    def rooms_of(self, sid: str) -> list[str]:
        """The rooms a socket is in, the one of its own id first; none for a socket that is not here."""
        return [sid, *self._joined.get(sid, ())] if sid in self else []

    # Coming and going

    def add(self, socket: Socket) -> None:
        """Know a socket; or have this one stand in the place of the one that had its id."""
        sid = socket.sid
        if not self._everybody.members:
            self._occupied(EVERYBODY)
        self._everybody.changing()[sid] = socket
        for room in self._joined.get(sid, ()):
            self._rooms[room].changing()[sid] = socket

    def remove(self, sid: str) -> None:
        """Forget a socket: it costs the rooms it is in, however many there are."""
        if sid not in self:
            return
        for room in self._joined.pop(sid, ()):
            self._take_out(sid, room)
        del self._everybody.changing()[sid]
        if not self._everybody.members:
            self._vacated(EVERYBODY)

    def enter(self, sid: str, room: str) -> bool:
        """Put a socket into a room; whether it was not in it before.

        Raises KeyError when the socket is not here, ValueError for a name that no room can have.
        """
        socket = self._everybody.members[sid]
        if room == sid:
            return False
        joined = self._joined.get(sid, {})
        if room in joined:
            return False
        if room in self:
            raise ValueError("nobody but the socket itself can be in the room of its id")
        check_room(room)
        self._joined.setdefault(sid, joined)[room] = None
        if room not in self._rooms:
            self._rooms[room] = _Room()
            self._occupied(room)
        self._rooms[room].changing()[sid] = socket
        if self.moved is not None:
            self.moved(room, sid, entered=True)
        return True

    def leave(self, sid: str, room: str) -> None:
        """Take a socket out of a room; nothing happens when it is not in it."""
        joined = self._joined.get(sid, {})
        if room not in joined:
            return
        del joined[room]
        if not joined:
            del self._joined[sid]
        self._take_out(sid, room)

    def close(self, room: str) -> None:
        """Take everybody out of a room."""
        found = self._rooms.get(room)
        if found is not None:
            for sid in list(found.members):
                self.leave(sid, room)

    def _take_out(self, sid: str, room: str) -> None:
        found = self._rooms[room]
        del found.changing()[sid]
        if not found.members:
            del self._rooms[room]
            self._vacated(room)
        if self.moved is not None:
            self.moved(room, sid, entered=False)

    # Writing

    def send(
        self, packet: Packet, to: Sequence[str] | None = EVERYBODY, but: Sequence[str] = (), *, volatile: bool = False
    ) -> None:
        """Send a packet once to each socket that is in one of `to` and in none of `but`.

        Both name rooms and sockets. A volatile packet goes to those whose transport takes it now.
        """
        if but or volatile or (to is not EVERYBODY and len(to) != 1):
            for socket in self.sockets(to, but):
                socket.send(packet, volatile=volatile)
        else:
            self.send_to_one(packet, to if to is EVERYBODY else to[0])

    def send_to_one(self, packet: Packet, name: str | None) -> bool:
        """Send a packet to everybody, to a room, or to the socket with this id; whether it was for a socket here."""
        room = self._everybody if name is EVERYBODY else self._rooms.get(name)
        if room is None:
            one = self._everybody.members.get(name)  # type: ignore[arg-type]  # it is no longer everybody
            if one is not None:
                one.send(packet)
            return one is not None
        members = room.members
        room.readers += 1
        try:
            for socket in members.values():
                socket.send(packet)
        finally:
            if room.members is members:
                room.readers -= 1
        return False

    def sockets(self, to: Sequence[str] | None = EVERYBODY, but: Sequence[str] = ()) -> Iterator[Socket]:
        """Each socket that is in one of `to` and in none of `but`, once; they may come and go meanwhile."""
        with self._going_over(to) as sources, self._going_over(but) as excepted:
            for place, members in enumerate(sources):
                yield from _without(members, (*sources[:place], *excepted))

    @contextmanager
    def _going_over(self, names: Sequence[str] | None) -> Iterator[list[Members]]:
        """The members of these rooms, which stay as they are until the block ends."""
        kept, sources = self._find(names)
        for room in kept:
            room.readers += 1
        seen = [room.members for room in kept]
        try:
            yield [*seen, *sources]
        finally:
            for room, members in zip(kept, seen, strict=True):
                if room.members is members:
                    room.readers -= 1

    def _find(self, names: Sequence[str] | None) -> tuple[list[_Room], list[Members]]:
        """The rooms that are kept, and what stands for the rooms of single sockets."""
        if names is EVERYBODY:
            return [self._everybody], []
        kept = [self._rooms[name] for name in dict.fromkeys(names) if name in self._rooms]
        single: list[Members] = []
        for name in names:
            socket = self._everybody.members.get(name)
            if socket is not None:
                single.append({name: socket})
        return kept, single


def _without(members: Members, others: Sequence[Members]) -> Iterator[Socket]:
    """The members that are not among the others."""
    if not others:
        yield from members.values()
    elif len(others) == 1:
        (other,) = others
        for sid, socket in members.items():
            if sid not in other:
                yield socket
    else:
        for sid, socket in members.items():
            if not any(sid in other for other in others):
                yield socket


def check_room(name: str) -> None:
    """Raises ValueError for what cannot be a room's name: not text, empty, too long, or like a socket's id."""
    if not isinstance(name, str):
        raise TypeError(f"a room is named by a str, not by {type(name).__name__}")
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"a room's name has 1 to {LONGEST_NAME} characters")
    if node_of(name) is not None:
        raise ValueError("a room's name must not read like a socket's id: nobody but that socket can be in its room")


def node_of(sid: str) -> str | None:
    """The node whose socket has this id; None when it is not the id of a socket of a node with a name."""
    if len(sid) < _OWN_PART or (len(sid) > _OWN_PART and sid[-_OWN_PART - 1] != "."):
        return None
    match = _SOCKET_ID.fullmatch(sid)
    return match.group(1) if match else None

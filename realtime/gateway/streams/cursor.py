"""One stream on one node: who hears it, up to where it was released, and what came too early.

Promises each hearing every event after its start, once and in order, whatever comes twice, late or in another order:
only the next number is released. What is missing is noticed here (`behind`) and read by the keeper. Nothing waits.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from domain.streams.rules import Appended, Event, Head, Slice
from realtime.gateway.streams.early import Early
from realtime.gateway.streams.held import Held, Load
from realtime.gateway.streams.tail import Tail
from realtime.wire.interface import OVERFLOWED, Closing
from realtime.wire.packets import Packet, encode_event

UNPLACED = -1
"""The number of a cursor, or a hearing, of which nobody knows yet where it begins."""
_FEW = 8
"""Hearings that a tuple holds; more are in a dict, from which one is taken at once."""


class Listener(Protocol):
    """One socket."""

    def send(self, packet: Packet) -> None:
        """Queue the packet in order; never waits, never raises for a socket that is gone."""
        ...

    def close(self, closing: Closing) -> None:
        """End it, which leaves its hearings soon, not in here."""
        ...


class Hearing:
    """One listener of one stream: it is sent every event after `start`."""

    __slots__ = ("cursor", "listener", "start")

    def __init__(self, cursor: "Cursor", listener: Listener, start: int) -> None:
        self.cursor = cursor
        self.listener = listener
        self.start = start


class Cursor:
    """A stream's place on this node. Small: there is one for each rider who is connected."""

    __slots__ = ("_ahead", "_early", "_hearings", "_held", "_tail", "epoch", "known", "name", "seq")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = ""
        self.seq = UNPLACED
        """The number that was released last."""
        self.known = UNPLACED
        """The highest number that is known to exist."""
        self._hearings: tuple[Hearing, ...] | dict[Hearing, None] = ()
        self._early: Early | None = None
        self._held: dict[Hearing, Held] | None = None
        self._ahead: dict[Hearing, int] | None = None
        """Those who have had more than was released here, and up to where."""
        self._tail: Tail | None = None

    @property
    def head(self) -> Head:
        """Where it stands."""
        return Head(self.epoch, self.seq)

    @property
    def placed(self) -> bool:
        """Whether it is known where it stands."""
        return self.seq != UNPLACED

    @property
    def behind(self) -> bool:
        """Whether events are known to exist that cannot be released, because those before them are missing."""
        return self.known > self.seq != UNPLACED

    @property
    def idle(self) -> bool:
        """Whether nobody listens."""
        return not self._hearings and not self._held and not self._ahead

    def __iter__(self) -> Iterator[Hearing]:
        """Everybody who listens."""
        yield from tuple(self._hearings)
        yield from tuple(self._held or ())
        yield from tuple(self._ahead or ())

    # Listeners come and go

    def join(self, listener: Listener) -> Hearing:
        """Hear what follows from here on; from where it is placed, if it is not yet."""
        hearing = Hearing(self, listener, self.seq)
        self._add(hearing)
        return hearing

    def leave(self, hearing: Hearing) -> None:
        """Hear it no more."""
        if self._held is not None and self._held.pop(hearing, None) is not None:
            self._held = self._held or None
        elif self._ahead is not None and self._ahead.pop(hearing, None) is not None:
            self._ahead = self._ahead or None
        else:
            self._remove(hearing)

    def hold(self, hearing: Hearing, load: Load) -> Held:
        """Send it nothing until `go_on`; one for which too much is held is closed, and resumes."""
        held = Held(self.seq, load)
        if self._ahead is not None and hearing in self._ahead:
            held.at = self._ahead.pop(hearing)
            self._ahead = self._ahead or None
        else:
            self._remove(hearing)
        self._held = self._held or {}
        self._held[hearing] = held
        return held

    def go_on(self, hearing: Hearing, after: int) -> bool:
        """Send what was held and is not yet known to the listener, which has everything up to `after`; and go on.

        False, and nothing was sent, when the stream began anew since `after` was found: it goes on from there.
        """
        held = self._held.pop(hearing, None) if self._held is not None else None
        if held is None:
            return True  # it has left
        self._held = self._held or None
        if held.restarted:
            hearing.start = self.seq
            self._add(hearing)
            return False
        for seq, packet in held.packets:
            if seq > after:
                hearing.listener.send(packet)
        if self.placed and after > self.seq:
            self._ahead = self._ahead or {}
            self._ahead[hearing] = after
        else:
            self._add(hearing)
        return True

    # What is known of the stream

    def place(self, head: Head) -> None:
        """It stands here: whoever listens hears what follows."""
        if head.epoch != self.epoch:
            self._forget_early(head.epoch)
        self.seq = head.seq
        self.known = max(self.known, self.seq)
        for hearing in self:
            if hearing.start == UNPLACED:
                hearing.start = self.seq
        for held in (self._held or {}).values():
            held.at = max(held.at, self.seq)
        self._release_early()

    def restart(self, head: Head) -> None:
        """It is not what it was (another epoch), or what follows cannot be had: whoever listens goes on from here."""
        self.epoch, self.seq = head
        self.known = self.seq
        self._early = self._tail = None
        for hearing in self:
            hearing.start = self.seq
        for hearing in self._ahead or ():
            self._add(hearing)
        self._ahead = None
        for held in (self._held or {}).values():
            held.at, held.restarted = self.seq, True
            held.packets.clear()

    def tell(self, packet: Packet) -> None:
        """Send something about the stream to all who are not waiting for an answer about it anyway."""
        for hearing in tuple(self._hearings):
            hearing.listener.send(packet)

    def hear(self, appended: Appended) -> bool:
        """Events that somebody says were added; False when they are of another epoch, and the truth is to be asked."""
        if appended.epoch != self.epoch:
            if self.placed:
                return False
            self._forget_early(appended.epoch)
        self._take(appended.events)
        return True

    def fill(self, part: Slice) -> None:
        """Events that were read; the slice begins where this cursor is, or before, and is of its epoch."""
        self._take(part.events)
        self.known = max(self.seq, part.head.seq)  # whoever said that there is more was wrong, or will be found right

    def since(self, seq: int, upto: int) -> list[Event] | None:
        """The events after `seq` up to `upto`, if memory has them all."""
        return self._tail.between(seq, upto) if self._tail is not None else None

    def remember(self) -> None:
        """Keep what is released from now on for those who come back, up to the bounds of a tail."""
        if self._tail is None:
            self._tail = Tail()

    def forget(self) -> None:
        """Keep nothing."""
        self._tail = None

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self.known = max(self.known, event.seq)
            if self.placed and event.seq == self.seq + 1:
                self._release(event)
            elif event.seq > self.seq:
                self._early = self._early or Early()
                self._early.add(event)
        self._release_early()

    def _forget_early(self, epoch: str) -> None:
        """What is known so far is of another epoch than this one."""
        self.epoch = epoch
        self.known = UNPLACED
        self._early = None

    def _release_early(self) -> None:
        early = self._early
        if early is None or not self.placed:
            return
        while (event := early.take(self.seq + 1)) is not None:
            self._release(event)
        early.forget(self.seq)
        if not early:
            self._early = None

    def _release(self, event: Event) -> None:
        """The next event, to everybody who has the one before."""
        self.seq = event.seq
        if self._tail is not None:
            self._tail.add(event)
        if self.idle:
            return
        packet = encode_event(event.name, msgspec.Raw(event.payload))
        for hearing in tuple(self._hearings):
            hearing.listener.send(packet)
        for hearing, held in (self._held or {}).items():
            if not held.add(event.seq, packet):
                hearing.listener.close(OVERFLOWED)
        if self._ahead is not None:
            self._catch_up(event.seq, packet)

    def _catch_up(self, seq: int, packet: Packet) -> None:
        """Those who are ahead are sent nothing until this cursor is where they are."""
        for hearing, after in list((self._ahead or {}).items()):
            if seq > after:
                hearing.listener.send(packet)
            if seq >= after:
                self.leave(hearing)
                self._add(hearing)

    def _add(self, hearing: Hearing) -> None:
        if isinstance(self._hearings, dict):
            self._hearings[hearing] = None
        elif len(self._hearings) < _FEW:
            self._hearings = (*self._hearings, hearing)
        else:
            self._hearings = dict.fromkeys((*self._hearings, hearing))

    def _remove(self, hearing: Hearing) -> None:
        if isinstance(self._hearings, dict):
            self._hearings.pop(hearing, None)
        else:
            self._hearings = tuple(other for other in self._hearings if other is not hearing)

"""The cursors of this node, one for each stream that has a listener here, and for a while after it had one.

What is said of a stream comes in here, from this node and others; what has to be read (where a new one stands, what is
missing of another) is noted for the keeper.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from domain.kit.clock import Clock
from domain.streams.rules import Appended, Head, Slice
from realtime.gateway.client import Client
from realtime.gateway.events.session import SESSION_STREAMS, SessionStreams, StreamHead
from realtime.gateway.streams.cursor import Cursor, Hearing
from realtime.gateway.streams.metrics import StreamMetrics
from realtime.wire.packets import Packet

LINGER_SECONDS = 10.0
"""How long a stream is followed after its last listener has gone: those who come back find it as they left it."""
TAIL_SECONDS = 120.0
"""How long events are kept in memory after a stream's newest one."""
MOST_TAILS = 2000
"""Streams of which events are kept in memory."""


class Ear(Protocol):
    """Where hints are heard (`realtime.bus.stream_hints`)."""

    def listen(self, stream: str) -> None:
        """Hear of this stream from some moment soon on."""
        ...

    def unlisten(self, stream: str) -> None:
        """Hear of it no more."""
        ...


class Work:
    """Streams for which something is to be read, and the sign that there are any."""

    def __init__(self) -> None:
        self._cursors: dict[str, Cursor] = {}
        self.due = asyncio.Event()

    def add(self, cursor: Cursor) -> None:
        """There is something to be read for it."""
        self._cursors[cursor.name] = cursor
        self.due.set()

    def discard(self, cursor: Cursor) -> None:
        """There is not any more."""
        if self._cursors.get(cursor.name) is cursor:
            del self._cursors[cursor.name]

    def take(self, most: int) -> list[Cursor]:
        """Those that have waited longest."""
        taken = [self._cursors.pop(name) for name in list(self._cursors)[:most]]
        if not self._cursors:
            self.due.clear()
        return taken

    def __len__(self) -> int:
        return len(self._cursors)


class Cursors:
    """Every stream that somebody hears on this node."""

    def __init__(self, ear: Ear, clock: Clock, metrics: StreamMetrics) -> None:
        self._ear = ear
        self._clock = clock
        self._metrics = metrics
        self.gap_events = 0
        """Events that no hint brought in time."""
        self._cursors: dict[str, Cursor] = {}
        self._idle: dict[str, float] = {}
        """Cursors without a listener, and since when."""
        self._tails: dict[str, float] = {}
        """Streams of which events are kept in memory, and since when there was no newer one; the oldest first."""
        self.unplaced = Work()
        """Those of which nobody knows where they stand."""
        self.behind = Work()
        """Those with a gap."""
        self.doubt: Callable[[], None] = lambda: None
        """Called when what is said does not agree with what is known."""

    def __len__(self) -> int:
        return len(self._cursors)

    def __iter__(self) -> Iterator[Cursor]:
        return iter(self._cursors.values())

    def get(self, name: str) -> Cursor | None:
        """The cursor of a stream, if it is followed here."""
        return self._cursors.get(name)

    # Listeners

    def join(self, client: Client, name: str) -> Hearing:
        """Have a client hear a stream from where it stands; who may is decided before."""
        cursor = self._cursors.get(name)
        if cursor is None:
            cursor = self._cursors[name] = Cursor(name)
            self._ear.listen(name)
            self.unplaced.add(cursor)
        else:
            self._idle.pop(name, None)
        hearing = cursor.join(client)
        client.hearings = (*client.hearings, hearing)
        return hearing

    def hearing_of(self, client: Client, name: str) -> Hearing | None:
        """How the client hears the stream, if it does."""
        for hearing in client.hearings:
            if hearing.cursor.name == name:
                return hearing
        return None

    def leave(self, client: Client, name: str) -> None:
        """Have the client hear it no more."""
        hearing = self.hearing_of(client, name)
        if hearing is not None:
            client.hearings = tuple(other for other in client.hearings if other is not hearing)
            self._end(hearing)

    def leave_all(self, client: Client) -> None:
        """The client is gone."""
        hearings, client.hearings = client.hearings, ()
        for hearing in hearings:
            self._end(hearing)

    def _end(self, hearing: Hearing) -> None:
        cursor = hearing.cursor
        cursor.leave(hearing)
        if cursor.idle:
            self._idle[cursor.name] = self._clock.monotonic()

    def go_on(self, hearing: Hearing, after: int) -> None:
        """Go on with a hearing that was held; its client has everything up to `after`."""
        cursor = hearing.cursor
        if not cursor.go_on(hearing, after):
            hearing.listener.send(_standing(cursor.name, cursor.head))

    def _follows(self, cursor: Cursor) -> bool:
        """Whether it still stands for its stream: what was read may come when nobody listens any more."""
        return self._cursors.get(cursor.name) is cursor

    def _remember(self, cursor: Cursor) -> None:
        """Keep what is released of this stream, among those that had news last."""
        if not cursor.placed:
            return
        cursor.remember()
        self._tails.pop(cursor.name, None)
        self._tails[cursor.name] = self._clock.monotonic()
        if len(self._tails) > MOST_TAILS:
            self._forget_tail(next(iter(self._tails)))

    def _forget_tail(self, name: str) -> None:
        del self._tails[name]
        if (cursor := self._cursors.get(name)) is not None:
            cursor.forget()

    def forget_old(self) -> None:
        """Keep no more what had no news for a while, and follow those no more that nobody listens to."""
        long_ago = self._clock.monotonic() - TAIL_SECONDS
        for name, since in list(self._tails.items()):
            if since > long_ago:
                break
            self._forget_tail(name)
        self._forget_idle()

    def _forget_idle(self) -> None:
        long_ago = self._clock.monotonic() - LINGER_SECONDS
        for name in [name for name, since in self._idle.items() if since <= long_ago]:
            del self._idle[name]
            cursor = self._cursors.pop(name)
            self._tails.pop(name, None)
            self._ear.unlisten(name)
            self.unplaced.discard(cursor)
            self.behind.discard(cursor)

    # What is known of streams

    def said(self, appended: Appended) -> None:
        """Somebody says that these events were added."""
        cursor = self._cursors.get(appended.stream)
        if cursor is None:
            return
        self._remember(cursor)
        if not cursor.hear(appended):
            self.doubt()
        elif cursor.behind:
            self.behind.add(cursor)

    def place(self, cursor: Cursor, head: Head) -> None:
        """It is known where a stream stands; whoever was let in without that is told."""
        if cursor.placed or not self._follows(cursor):
            return
        self.unplaced.discard(cursor)
        cursor.tell(_standing(cursor.name, head))  # whoever waits for a greeting or an answer reads it there
        cursor.place(head)
        if cursor.behind:
            self.behind.add(cursor)

    def compare(self, cursor: Cursor, head: Head, asked: Head) -> bool:
        """A stream stands at `head` in Postgres; this cursor stood at `asked` when that was asked.

        False, and nothing changes, when the stream has begun anew since: the answer may be older than that.
        """
        if not self._follows(cursor) or _began_anew(cursor, asked):
            return False
        if not cursor.placed:
            self.place(cursor, head)
        elif head.epoch != cursor.epoch or head.seq < asked.seq:
            self.restart(cursor, head)
        elif head.seq > cursor.seq:
            cursor.known = max(cursor.known, head.seq)
            self.behind.add(cursor)
        return True

    def fill(self, cursor: Cursor, part: Slice, asked: Head) -> None:
        """A part of a stream's history was read, from where its cursor stood at `asked`."""
        if not self._follows(cursor) or _began_anew(cursor, asked):
            return
        if part.head.epoch != cursor.epoch or part.pruned_to > cursor.seq:
            self.restart(cursor, part.head)
            return
        before = cursor.seq
        cursor.fill(part)
        filled = max(0, cursor.seq - before)
        self.gap_events += filled
        self._metrics.gap_events.inc(filled)
        if cursor.behind:
            self.behind.add(cursor)

    def restart(self, cursor: Cursor, head: Head) -> None:
        """A stream is not what it was: those who hear it are told to resume."""
        self._metrics.restarts.inc()
        cursor.restart(head)
        packet = _standing(cursor.name, head)
        for hearing in cursor:  # also those who wait for an answer: what they were sent before is of another time
            hearing.listener.send(packet)


def _began_anew(cursor: Cursor, asked: Head) -> bool:
    """Whether the stream is not what it was when the cursor stood there: another epoch, or numbers went back."""
    return cursor.placed and (cursor.epoch != asked.epoch or cursor.seq < asked.seq)


def _standing(name: str, head: Head) -> Packet:
    return SESSION_STREAMS.packet(SessionStreams({name: StreamHead(head.epoch, head.seq)}))

"""The events of a stream that were released last, kept in memory for those who come back after a moment."""

from collections import deque

from domain.streams.rules import Event

MOST_EVENTS = 200
MOST_BYTES = 64 << 10


class Tail:
    """Successive events, the newest of them, within bounds."""

    __slots__ = ("_bytes", "_events")

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0

    def add(self, event: Event) -> None:
        """The next event."""
        self._events.append(event)
        self._bytes += len(event.payload)
        while len(self._events) > MOST_EVENTS or self._bytes > MOST_BYTES:
            self._bytes -= len(self._events.popleft().payload)

    def between(self, seq: int, upto: int) -> list[Event] | None:
        """The events after `seq` up to `upto`, if all of them are here."""
        events = self._events
        if not events or events[0].seq > seq + 1 or events[-1].seq < upto:
            return None
        return [event for event in events if seq < event.seq <= upto]

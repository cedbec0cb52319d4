"""The events of a stream that came before their turn, kept until those in front of them are here, within bounds.

What goes over the bounds is passed over: it is known to exist, and is read with whatever else is missing.
"""

from domain.streams.rules import Event

MOST_EVENTS = 256
MOST_BYTES = 64 << 10
"""Of events. A usual one has a few hundred, so that many come to the number first and few large ones to this."""


class Early:
    """Events by their numbers."""

    __slots__ = ("_bytes", "_events")

    def __init__(self) -> None:
        self._events: dict[int, Event] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event) -> None:
        """Keep it, if it is not here yet and there is room."""
        size = len(event.payload)
        if event.seq in self._events or len(self._events) >= MOST_EVENTS or self._bytes + size > MOST_BYTES:
            return
        self._events[event.seq] = event
        self._bytes += size

    def take(self, seq: int) -> Event | None:
        """The event with this number, which is kept no more."""
        event = self._events.pop(seq, None)
        if event is not None:
            self._bytes -= len(event.payload)
        return event

    def forget(self, upto: int) -> None:
        """Keep nothing up to this number: it was released."""
        for seq in [seq for seq in self._events if seq <= upto]:
            self.take(seq)

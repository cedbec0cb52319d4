"""Who hears: anything with an id that takes packets at once and can say how many it has not written yet."""

from typing import Protocol

from realtime.wire.interface import Packet


class Listener(Protocol):
    """One socket, as the hub sees it."""

    @property
    def id(self) -> str:
        """Unique among the listeners of this node."""
        ...

    def send(self, packet: Packet) -> None:
        """Queue the packet in order; never waits, never raises for a socket that is gone."""
        ...

    def backlog(self) -> int:
        """Packets queued and not yet written."""
        ...

"""What a listener is not sent yet, because an answer is on its way that comes first; bounded for each socket.

Who is over the bound is closed as anybody for whom too much waits, and has what it lacks when it is back. Were it told
to resume on the same connection, it could be sent events twice there: once more if this answer fails after all.
"""

from realtime.wire.packets import Format, Packet

MOST_BYTES = 512 << 10
"""Half of what may wait for a socket: the answer that goes before may be the other half (`resume.MOST_BYTES`)."""


class Load:
    """What is held for one socket, of all the streams that wait for the same answer."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0
        """Of frames; of those, too, that are not held any more because their stream began anew."""


class Held:
    """What is held of one stream for one listener."""

    __slots__ = ("at", "load", "packets", "restarted")

    def __init__(self, at: int, load: Load) -> None:
        self.at = at
        """Up to here it was sent everything after its start."""
        self.load = load
        self.packets: list[tuple[int, Packet]] = []
        self.restarted = False
        """Whether the stream began anew meanwhile: what is known of it is not true any more."""

    def add(self, seq: int, packet: Packet) -> bool:
        """Keep the packet of an event; False, and it is not kept, when that is too much for the socket."""
        self.load.bytes += packet.size(Format.JSON)
        if self.load.bytes > MOST_BYTES:
            return False
        self.packets.append((seq, packet))
        return True

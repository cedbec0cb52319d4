"""What waits for a transport that takes no more, in three lanes: what is urgent overtakes what is not.

Within a lane the order is kept. The sizes are those on the wire, so that the bounds of the options mean memory.
"""

from collections import deque

from realtime.wire.packets import Format, Lane, Packet

_SEPARATOR = "\x1e"


class Outbox:
    """The queue of one connection; made when there is something to keep."""

    __slots__ = ("_lanes", "_since", "bytes")

    def __init__(self) -> None:
        self._lanes: tuple[deque[Packet], ...] = tuple(deque() for _ in Lane)
        self._since: deque[float] = deque()
        """When each packet of the durable lane was put here, by the event loop's clock."""
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def push(self, packet: Packet, size: int, now: float) -> None:
        """Add at the end of the packet's lane."""
        self._lanes[packet.lane].append(packet)
        if packet.lane is Lane.DURABLE:
            self._since.append(now)
        self.bytes += size

    @property
    def oldest(self) -> float | None:
        """Since when the first packet of the durable lane waits."""
        return self._since[0] if self._since else None

    def take_frames(self, form: Format, most_bytes: int) -> bytes:
        """The next packets as WebSocket frames: at least one, and no further one when so many bytes are reached."""
        frames: list[bytes] = []
        taken = 0
        while taken < most_bytes and (packet := self._pop()) is not None:
            frames.append(packet.frames(form))
            taken += len(frames[-1])
        self.bytes -= taken
        return b"".join(frames)

    def take_payload(self, form: Format) -> str:
        """Everything as the payload of one long-polling response."""
        parts: list[str] = []
        while (packet := self._pop()) is not None:
            parts.append(packet.payload(form))
        self.bytes = 0
        return _SEPARATOR.join(parts)

    def _pop(self) -> Packet | None:
        for lane, packets in enumerate(self._lanes):
            if packets:
                if lane == Lane.DURABLE:
                    self._since.popleft()
                return packets.popleft()
        return None

"""Packets that wait for their turn on the transport, in order, with their bytes counted."""

from collections import deque

from realtime.wire.packets import Packet

_SEPARATOR = "\x1e"


class Outbox:
    """A queue of packets of one connection."""

    __slots__ = ("_packets", "bytes")

    def __init__(self) -> None:
        self._packets: deque[Packet] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    def push(self, packet: Packet) -> None:
        """Add at the end."""
        self._packets.append(packet)
        self.bytes += packet.size

    def take_frames(self, most_bytes: int) -> bytes:
        """The next packets as WebSocket frames: as many as fit, and at least one."""
        frames = [self._pop().frame]
        left = most_bytes - len(frames[0])
        while self._packets and self._packets[0].size <= left:
            frames.append(self._pop().frame)
            left -= len(frames[-1])
        return b"".join(frames)

    def take_payload(self) -> str:
        """Everything as the payload of one long-polling response."""
        payload = _SEPARATOR.join(packet.text for packet in self._packets)
        self.clear()
        return payload

    def clear(self) -> None:
        """Forget everything."""
        self._packets.clear()
        self.bytes = 0

    def _pop(self) -> Packet:
        packet = self._packets.popleft()
        self.bytes -= packet.size
        return packet

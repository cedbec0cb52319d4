"""One tick: each topic that changed is encoded once and handed to its listeners, arrivals before departures.

A listener that is slow is passed over, whatever it misses, and given snapshots of what it missed when it has caught up.
"""

from realtime.hub.listeners import Hearing
from realtime.hub.metrics import HubMetrics
from realtime.hub.pace import Slices
from realtime.hub.topic import Encode, Topic
from realtime.wire.packets import Packet

_HANDED_BETWEEN_LOOKS = 64
"""Packets handed over between two looks at the clock."""


class Ticker:
    """Hands frames to listeners."""

    def __init__(self, encode: Encode, metrics: HubMetrics, *, tick_ms: int, slow_packets: int) -> None:
        self._encode = encode
        self._metrics = metrics
        self._tick_ms = tick_ms
        self._slow_packets = slow_packets
        self._slow: set[Hearing] = set()
        self.number = 0
        """The tick we are in."""

    @property
    def slow_listeners(self) -> int:
        """Listeners that are being passed over."""
        return len(self._slow)

    async def run(self, dirty: set[Topic], now_ms: int, slices: Slices) -> None:
        """Send what changed. Nothing but the tick may change topics meanwhile."""
        self.number += 1
        for topic in dirty:
            await self._send(topic, topic.arrivals(self._encode, self.number, now_ms, self._tick_ms), slices)
        for topic in dirty:
            await self._send(topic, topic.departures(self._encode), slices)
        for hearing in list(self._slow):
            self._catch_up(hearing, now_ms)
            if slices.used_up:
                await slices.rest()

    def introduce(self, hearing: Hearing, topic: Topic, now_ms: int) -> None:
        """Begin with a snapshot; a slow listener gets it when it has caught up."""
        topic.waiting.discard(hearing)
        topic.admitted[hearing] = None
        if self._is_slow(hearing):
            hearing.lagging.add(topic)
        else:
            hearing.listener.send(self._snapshot(topic, now_ms))

    def forget(self, hearing: Hearing) -> None:
        """The listener is gone."""
        self._slow.discard(hearing)

    async def _send(self, topic: Topic, packet: Packet | None, slices: Slices) -> None:
        if packet is not None:
            self._metrics.frames_encoded.inc()
            skipped = 0
            for count, hearing in enumerate(list(topic.admitted), 1):
                if self._is_slow(hearing):
                    hearing.lagging.add(topic)
                    skipped += 1
                elif hearing in topic.admitted:
                    hearing.listener.send(packet)
                if count % _HANDED_BETWEEN_LOOKS == 0 and slices.used_up:
                    await slices.rest()
            self._metrics.frames_handed.inc(len(topic.admitted) - skipped)
            self._metrics.frames_skipped.inc(skipped)
        if slices.used_up:
            await slices.rest()

    def _is_slow(self, hearing: Hearing) -> bool:
        """Whether to pass this listener over; looked up once a tick."""
        if hearing.checked_tick != self.number:
            hearing.checked_tick = self.number
            if hearing.listener.backlog() > self._slow_packets:
                self._slow.add(hearing)
        return hearing in self._slow

    def _catch_up(self, hearing: Hearing, now_ms: int) -> None:
        if hearing.listener.backlog() > self._slow_packets // 2:
            return
        self._slow.discard(hearing)
        topics, hearing.lagging = hearing.lagging, set()
        for topic in topics:
            hearing.listener.send(self._snapshot(topic, now_ms))

    def _snapshot(self, topic: Topic, now_ms: int) -> Packet:
        return topic.snapshot(self._encode, self.number, now_ms, self._tick_ms)

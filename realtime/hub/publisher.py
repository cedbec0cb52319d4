"""What other nodes must be told: the newest item of each rider and channel, kept until the bus has taken it.

Promises: nothing is dropped while it is young, memory is bounded by riders (newest wins here too), and no position is
published under a generation that another node has passed. One publication is on its way at a time.
"""

import asyncio
from collections.abc import Callable, Iterator

import structlog

from domain.kit.errors import Unavailable
from realtime.bus.redis_bus import RedisBus, Where
from realtime.hub.metrics import HubMetrics
from realtime.hub.records import Item, moment_ms, outranks, pack

_ROWS_AT_ONCE = 2_000
"""Rows in one call to the bus, so that no call keeps Redis busy for long."""

_log = structlog.get_logger(__name__)


class Place:
    """Which channels this node has put a rider on, under which generation."""

    __slots__ = ("channels", "generation", "policy", "released")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.channels: set[str] = set()
        self.policy = 0
        """The version of the policy that says which channels these are."""
        self.released = False
        """Nobody moves the rider here any more: the place is kept until it has been told."""


class Publisher:
    """Collects during a tick, publishes after it."""

    def __init__(
        self,
        bus: RedisBus,
        metrics: HubMetrics,
        *,
        places: dict[int, Place],
        on_delivered: Callable[[str, int, bytes], None],
        on_superseded: Callable[[int, int], None],
        check_stall: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._metrics = metrics
        self._places = places
        self._on_delivered = on_delivered
        self._on_superseded = on_superseded
        self._check_stall = check_stall
        self._pending: dict[str, dict[int, Item]] = {}
        self._in_flight: dict[str, dict[int, Item]] = {}
        self._unsettled: set[int] = set()
        self._settling: set[int] = set()
        self._wake = asyncio.Event()
        self._failing = False

    def add(self, channel: str, item: Item) -> None:
        """Tell other nodes of this item with the next publication."""
        self._pending.setdefault(channel, {})[item.rider] = item

    def unsettle(self, rider: int) -> None:
        """Ask whether the rider is still ours, and say where it is, before anything of it is published."""
        self._unsettled.add(rider)

    def is_told(self, rider: int) -> bool:
        """Whether Redis has been told where the rider is."""
        return rider not in self._unsettled and rider not in self._settling

    @property
    def waiting(self) -> int:
        """Items that the bus has not taken yet."""
        return sum(map(len, self._pending.values())) + sum(map(len, self._in_flight.values()))

    def wake(self) -> None:
        """Publish what has been collected, if anything."""
        if self._pending or self._unsettled:
            self._wake.set()

    def expire(self, oldest_ms: int) -> None:
        """Drop items that nobody would show any more."""
        for channel, items in list(self._pending.items()):
            for rider in [rider for rider, item in items.items() if moment_ms(item) < oldest_ms]:
                del items[rider]
            if not items:
                del self._pending[channel]

    async def run(self) -> None:
        """Publish whenever woken, until cancelled; what fails is tried again at the next wake."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
            except Unavailable as error:
                self._metrics.publish_failures.inc()
                if not self._failing:
                    _log.warning("publish_failed", waiting=self.waiting, error=error.message)
                self._failing = True
            else:
                if self._failing:
                    _log.info("publish_works_again")
                self._failing = False

    async def flush(self) -> None:
        """Publish what has been collected. Raises Unavailable; what is not known to be published stays collected."""
        self._check_stall()
        pending, self._pending = self._pending, {}
        self._in_flight = pending
        try:
            await self._settle(pending)
            for batch in _batches(pending):
                await self._publish(batch)
                for channel, items in batch.items():
                    for rider in items:
                        del pending[channel][rider]
        finally:
            self._in_flight = {}
            self._put_back(pending)

    async def _settle(self, pending: dict[str, dict[int, Item]]) -> None:
        """Say where the riders are, before anything of them is published: else nobody could take it back."""
        riders, self._unsettled, self._settling = self._unsettled, set(), self._unsettled
        places = {rider: place for rider in riders if (place := self._places.get(rider)) is not None}
        asked = {rider: place.generation for rider, place in places.items()}
        try:
            superseded = await self._bus.settle(
                [
                    Where(rider, place.generation, frozenset(place.channels), place.policy)
                    for rider, place in places.items()
                ]
            )
        except BaseException:
            self._unsettled |= riders
            raise
        finally:
            self._settling = set()
        for rider in superseded:
            place = self._places.get(rider)
            if place is not None and place.generation > asked[rider]:
                continue  # taken over by this node again while Redis was asked
            for items in (*pending.values(), *self._pending.values()):
                items.pop(rider, None)
            self._on_superseded(rider, asked[rider])
        for rider, place in places.items():
            if place.released and rider not in self._unsettled and self._places.get(rider) is place:
                del self._places[rider]

    async def _publish(self, batch: dict[str, dict[int, Item]]) -> None:
        delivered = await self._bus.publish(
            {channel: b"".join(map(pack, items.values())) for channel, items in batch.items()}
        )
        for channel, result in delivered.items():
            self._metrics.rows_published.inc(len(batch[channel]))
            self._on_delivered(channel, result.receivers, result.outranked)

    def _put_back(self, pending: dict[str, dict[int, Item]]) -> None:
        for channel, items in pending.items():
            kept = self._pending.setdefault(channel, {}) if items else {}
            for rider, item in items.items():
                newer = kept.get(rider)
                if newer is None or outranks(item, newer):
                    kept[rider] = item


def _batches(pending: dict[str, dict[int, Item]]) -> Iterator[dict[str, dict[int, Item]]]:
    """The pending items in portions of at most `_ROWS_AT_ONCE`."""
    batch: dict[str, dict[int, Item]] = {}
    room = _ROWS_AT_ONCE
    for channel, items in pending.items():
        for rider, item in list(items.items()):
            batch.setdefault(channel, {})[rider] = item
            room -= 1
            if not room:
                yield batch
                batch, room = {}, _ROWS_AT_ONCE
    if batch:
        yield batch

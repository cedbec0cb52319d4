"""Who hears what: riders are put on channels, listeners hear topics, and ticks carry what changed, newest wins.

Promises: a new listener gets a snapshot first; a rider is one dot at every tick; a listener that does not keep up
costs no memory; without Redis the riders and listeners of this node go on. Who may listen to which topic, and which
riders are on it, is decided above.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from domain.kit.clock import Clock
from domain.kit.tasks import TaskOwner
from realtime.bus.redis_bus import RedisBus
from realtime.hub.audience import Audience
from realtime.hub.census import Census, take_census
from realtime.hub.forgetting import Forgetting, Standstill
from realtime.hub.listeners import Listener
from realtime.hub.metrics import HubLevels, HubMetrics
from realtime.hub.options import HubOptions
from realtime.hub.pace import Slices
from realtime.hub.publisher import Place, Publisher
from realtime.hub.records import Item, LiveRecord, Tombstone, unpack
from realtime.hub.state import LiveState
from realtime.hub.synchroniser import Synchroniser
from realtime.hub.ticks import Ticker
from realtime.hub.topic import Encode, Topic
from realtime.hub.topics import is_region

_log = structlog.get_logger(__name__)


class Hub:
    """The live state of this node and the listeners to it. Everything here is called from the event loop.

    Channels travel between nodes: `region:<res-4 cell>` (public positions; see `topics.region_of`) or a topic's own
    name (`rider:<n>`). Topics are what listeners hear: `cell:<hex>` at resolutions 5, 7 and 9, or `rider:<n>`.
    """

    def __init__(
        self,
        bus: RedisBus,
        clock: Clock,
        encode: Encode,
        options: HubOptions,
        metrics: HubMetrics,
        *,
        superseded: Callable[[int, int], None] = lambda rider, generation: None,
    ) -> None:
        """`superseded` is told of a local rider, and the generation that has passed: another node has taken over."""
        self._clock = clock
        self._options = options
        self._metrics = metrics
        self._superseded_above = superseded
        self._places: dict[int, Place] = {}
        self._standstill = Standstill(clock, options.stall_seconds, self._confirm_places)
        self._publisher = Publisher(
            bus,
            metrics,
            places=self._places,
            on_delivered=self._delivered,
            on_superseded=self._superseded,
            check_stall=self._standstill.check,
        )
        self._state = LiveState(self._publisher.add)
        self._synchroniser = Synchroniser(
            bus, clock, find=self._state.channels.get, merge=self._merge_between_ticks, oldest_ms=self._oldest_ms
        )
        self._forgetting = Forgetting(
            clock,
            bus,
            self._state,
            self._publisher,
            self._synchroniser,
            self._standstill,
            oldest_ms=self._oldest_ms,
            on_expired=self._expired,
        )
        tick_ms = round(options.tick_seconds * 1000)
        self.before_tick: Callable[[], None] = lambda: None
        """Called first: whoever has left something for the tick puts it now."""
        self._ticker = Ticker(encode, metrics, tick_ms=tick_ms, slow_packets=options.slow_packets)
        self._audience = Audience(
            bus,
            self._state,
            self._synchroniser,
            self._ticker,
            epoch_ms=clock.epoch_ms,
            patience_seconds=options.listen_seconds,
        )
        self._between_ticks = asyncio.Event()
        self._between_ticks.set()
        self._deferred: list[tuple[str, Item, bool]] = []
        bus.attach(self._rows_arrived, self._bus_restored)

    # What riders do

    def put(self, channel: str, record: LiveRecord, *, left: Iterable[str] = (), policy: int = 0) -> None:
        """A local rider's newest position: O(1), shown at the next tick and published with it.

        A rider is in one region at a time: put on another region, the dot leaves the previous one by itself. `left`
        names channels that another node (or an earlier audience) had put the rider on, as `Takeover.take` answers;
        the dot is taken off them in the same tick. Versions begin at 1; versions and generations are below 2^53.
        `policy` is the version of what allows the channel: kept beside it for those who know of a newer one.
        """
        place = self._place_of(record.rider, record.generation, policy)
        place.released = False
        if channel not in place.channels:
            if is_region(channel):
                place.channels = {other for other in place.channels if not is_region(other)}
            place.channels.add(channel)
            self._publisher.unsettle(record.rider)
        self._apply(channel, record, own=True)
        for other in left:
            if other not in place.channels:
                self._leave(other, record)

    def remove(self, channel: str, tombstone: Tombstone, *, policy: int = 0) -> None:
        """A local rider has left this channel (audience, zone, end of the track)."""
        place = self._place_of(tombstone.rider, tombstone.generation, policy)
        if channel in place.channels:
            place.channels.discard(channel)
            self._publisher.unsettle(tombstone.rider)
        self._apply(channel, tombstone, own=True)

    def release(self, rider: int) -> None:
        """The rider's socket is gone: the dot stays where it is until its age ends it, or another node takes it.

        Where it is has to be told first: otherwise nobody could take it off the map.
        """
        place = self._places.get(rider)
        if place is not None:
            place.released = True
            if self._publisher.is_told(rider):
                del self._places[rider]

    async def hide(self, rider: int) -> None:
        """Take a rider off everything that this node knows, whoever put it there: for when Redis cannot be asked.

        Other nodes are told when they can be; where a newer position is known, that stays.
        """
        while not self._between_ticks.is_set():
            await self._between_ticks.wait()
        for name, known in self._state.positions_of(rider).items():
            gone = Tombstone(rider, known.generation, known.version + 1, self._clock.epoch_ms())
            self._state.apply(name, gone, own=True)

    def known_on(self, rider: int) -> frozenset[str]:
        """The channels on which this node knows a position of the rider, whoever put it there."""
        return frozenset(self._state.positions_of(rider))

    def channels_of(self, rider: int) -> frozenset[str]:
        """The channels that this node has put the rider on."""
        place = self._places.get(rider)
        return frozenset(place.channels) if place else frozenset()

    def watched(self, rider: int) -> bool:
        """Whether anybody, here or on another node, listened to the rider's channels when last heard of."""
        place = self._places.get(rider)
        if place is None:
            return False
        for name in place.channels:  # noqa: SIM110 - a generator costs more, for every rider every second
            if self._is_heard(name, rider):
                return True
        return False

    def _is_heard(self, name: str, rider: int) -> bool:
        channel = self._state.channels.get(name)
        if channel is None:
            return False
        if channel.receivers > 0:
            return True
        return bool(channel.topics) and any(True for _ in channel.topics_of(channel.items.get(rider)))

    def _place_of(self, rider: int, generation: int, policy: int) -> Place:
        place = self._places.get(rider)
        if place is None:
            place = self._places[rider] = Place(generation)
            self._publisher.unsettle(rider)
        if place.generation < generation or place.policy != policy:
            place.generation = max(place.generation, generation)
            place.policy = policy
            self._publisher.unsettle(rider)
        return place

    def _leave(self, channel: str, record: LiveRecord) -> None:
        """Take the rider off a channel, below the rank of `record`, which may be put on this one, too."""
        if is_region(channel):
            self._apply(channel, record, own=True)
        else:
            gone = Tombstone(record.rider, record.generation, record.version - 1, record.received_ms)
            self._apply(channel, gone, own=True)

    # What other nodes say

    def merge(self, channel: str, items: Iterable[Item]) -> None:
        """What the bus brought: the higher rank wins; never published again."""
        for item in items:
            place = self._places.get(item.rider)
            if place is not None and item.generation > place.generation:
                self._publisher.unsettle(item.rider)
            self._apply(channel, item, own=False)

    def _apply(self, channel: str, item: Item, *, own: bool) -> None:
        """Merge now, or after the tick that is being sent: what a tick shows belongs to one moment."""
        if self._between_ticks.is_set():
            self._state.apply(channel, item, own=own)
        else:
            self._deferred.append((channel, item, own))

    async def learn(self, channel: str, rows: bytes) -> None:
        """What the bus kept of riders who were in doubt. Raises ValueError when these are no whole rows."""
        await self._merge_between_ticks(channel, list(unpack(rows)))

    def _rows_arrived(self, channel: str, rows: bytes) -> None:
        known = self._state.channels.get(channel)
        if known is None or not known.topics:
            return
        try:
            self.merge(channel, unpack(rows))
        except ValueError:
            _log.error("batch_unreadable", channel=channel)

    async def _merge_between_ticks(self, channel: str, items: list[Item]) -> None:
        while not self._between_ticks.is_set():
            await self._between_ticks.wait()
        self.merge(channel, items)

    def _delivered(self, channel: str, receivers: int, outranked: bytes) -> None:
        known = self._state.channels.get(channel)
        if known is not None:
            known.receivers = receivers - bool(known.topics)
        if outranked:
            self.merge(channel, unpack(outranked))

    def _bus_restored(self) -> None:
        """What was said while we did not hear is lost: read it, and say again what we know ourselves."""
        for channel in self._state.channels.values():
            if channel.topics:
                self._synchroniser.renew(channel)
            for rider in channel.own:
                self._publisher.add(channel.name, channel.items[rider])
        self._forgetting.bus_restored()
        self._confirm_places()

    def catches_up(self) -> bool:
        """Whether this process stood still and has not read yet what came meanwhile: dots seem older than they are.

        Without the bus that is assumed for `CATCH_UP_SECONDS`.
        """
        return self._forgetting.catches_up()

    def _confirm_places(self) -> None:
        """Other nodes may have taken riders over unheard: ask before publishing."""
        for rider in self._places:
            self._publisher.unsettle(rider)

    def _superseded(self, rider: int, generation: int) -> None:
        """Another node has the rider: what we put out under the old generation is not true any more.

        Who listens here is shown it until the other node has told, or has had the time to.
        """
        self._metrics.superseded.inc()
        for name in self.channels_of(rider):
            channel = self._state.channels.get(name)
            if channel is None or rider not in channel.own:
                continue
            if not channel.topics:
                self._state.forget(channel, rider)
                continue
            channel.own.discard(rider)
            self._forgetting.hand_over(channel, rider, generation)
        self._places.pop(rider, None)
        self._superseded_above(rider, generation)

    # What listeners do

    async def listen(self, listener: Listener, topics: Iterable[str]) -> None:
        """Hear these topics too: returns when the snapshots have been sent; what follows comes with the ticks.

        When the bus does not answer within `HubOptions.listen_seconds`, the snapshot is of what this node knows, and
        the rest comes as soon as the bus is back. Raises ValueError for a cell that cannot be watched.
        """
        await self._audience.listen(listener, topics)

    def unlisten(self, listener: Listener, topics: Iterable[str]) -> None:
        """Stop hearing these topics. To move a viewport listen to the new ones first."""
        self._audience.unlisten(listener, topics)

    def drop(self, listener: Listener) -> None:
        """The listener is gone: forget it. Also ends a `listen` that still waits."""
        self._audience.drop(listener)

    def sees(self, listener: Listener, rider: int) -> bool:
        """Whether the rider is, at this moment, on a topic that the listener hears."""
        return self._audience.sees(listener, rider)

    async def census(self, *, silent_seconds: float) -> Census:
        """The public riders of this node by region; in doubt are those not heard of for `silent_seconds`."""
        silent_ms = self._clock.epoch_ms() - round(silent_seconds * 1000)
        slices = Slices(self._clock, self._options.slice_seconds)
        return await take_census(self._state, self._places, slices, oldest_ms=self._oldest_ms(), silent_ms=silent_ms)

    def levels(self) -> HubLevels:
        """For metrics and for tests that look for leaks."""
        return HubLevels(
            riders=len(self._places),
            channels=len(self._state.channels),
            topics=len(self._audience.topics),
            listeners=len(self._audience),
            slow_listeners=self._ticker.slow_listeners,
            unpublished=self._publisher.waiting,
            out_of_step=self._synchroniser.waiting,
        )

    # Ticks

    async def tick(self) -> None:
        """Send each listener what changed since the last tick. `run` calls it; tests may."""
        self.before_tick()
        began = self._clock.monotonic()
        self._standstill.check()
        slices = Slices(self._clock, self._options.slice_seconds)
        await self._forgetting.forget_due(slices)
        self._between_ticks.clear()
        try:
            await self._ticker.run(self._take_dirty(), self._clock.epoch_ms(), slices)
        finally:
            self._between_ticks.set()
            deferred, self._deferred = self._deferred, []
            for channel, item, own in deferred:
                self._state.apply(channel, item, own=own)
        self._publisher.wake()
        self._metrics.tick_seconds.observe(self._clock.monotonic() - began)

    def _take_dirty(self) -> set[Topic]:
        """What to send: where a crowd moves, every other tick is enough, the same one for all topics of a listener."""
        every_other = self._ticker.number % 2 == 0
        return self._audience.take_dirty(unless_crowd_of=self._options.crowd_riders if every_other else None)

    def _expired(self, channel: str, rider: int) -> None:
        place = self._places.get(rider)
        if place is not None:
            place.channels.discard(channel)
            if not place.channels:
                del self._places[rider]

    def _oldest_ms(self) -> int:
        return self._clock.epoch_ms() - round(self._options.age_limit_seconds * 1000)

    async def run(self) -> None:
        """Tick and publish until cancelled."""
        async with TaskOwner("hub") as owner:
            await asyncio.gather(
                owner.start(self._tick_for_ever(), "ticks"),
                owner.start(self._publisher.run(), "publisher"),
                owner.start(self._synchroniser.run(), "synchroniser"),
            )

    async def _tick_for_ever(self) -> None:
        """Ticks at fixed times of the monotonic clock; those that cannot be kept are left out, never caught up."""
        length = self._options.tick_seconds
        due = self._clock.monotonic() + length
        while True:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            await self.tick()
            due += length
            late = self._clock.monotonic() - due
            if late > 0:
                missed = int(late // length) + 1
                self._metrics.ticks_missed.inc(missed)
                due += missed * length

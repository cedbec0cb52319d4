"""Who hears what: riders are put on channels, listeners hear topics, and ticks carry what changed, newest wins."""

from collections.abc import Callable, Iterable

from domain.kit.clock import Clock
from realtime.bus.redis_bus import RedisBus
from realtime.hub.listeners import Listener
from realtime.hub.options import HubOptions
from realtime.hub.records import Item, LiveRecord, Tombstone
from realtime.wire.interface import Packet


class Hub:
    """The live state of this node and the listeners to it. Everything here is called from the event loop.

    Channels travel between nodes: `region:<res-4 cell>` (public positions; see `topics.region_of`) or a topic's own
    name (`rider:<n>`). Topics are what listeners hear: `cell:<hex>` at resolutions 5, 7 and 9, or `rider:<n>`.
    """

    def __init__(
        self,
        bus: RedisBus,
        clock: Clock,
        encode: Callable[[str, object], Packet],
        options: HubOptions,
        *,
        superseded: Callable[[int], None] = lambda rider: None,
    ) -> None:
        """`superseded` is told of a local rider whom another node has taken over; its positions are ignored."""
        raise NotImplementedError

    def put(self, channel: str, record: LiveRecord, *, left: Iterable[str] = ()) -> None:
        """A local rider's newest position: O(1), shown at the next tick and published with it.

        A rider is in one region at a time: put on another region, the dot leaves the previous one by itself. `left`
        names channels that another node (or an earlier audience) had put the rider on, as `Takeover.take` answers;
        the dot is taken off them in the same tick.
        """
        raise NotImplementedError

    def remove(self, channel: str, tombstone: Tombstone) -> None:
        """A local rider has left this channel (audience, zone, end of the track)."""
        raise NotImplementedError

    def merge(self, channel: str, items: Iterable[Item]) -> None:
        """What the bus brought: the higher rank wins; never published again."""
        raise NotImplementedError

    def channels_of(self, rider: int) -> frozenset[str]:
        """The channels that this node has put the rider on."""
        raise NotImplementedError

    def release(self, rider: int) -> None:
        """The rider's socket is gone: the dot stays where it is until its age ends it, but is not ours to repeat."""
        raise NotImplementedError

    async def listen(self, listener: Listener, topics: frozenset[str]) -> None:
        """Hear these topics too: returns when the snapshots have been sent; what follows comes with the ticks.

        When the bus does not answer within `HubOptions.listen_seconds`, the snapshot is of what this node knows, and
        the rest comes as soon as the bus is back. Raises Invalid for a topic that is none.
        """
        raise NotImplementedError

    def unlisten(self, listener: Listener, topics: frozenset[str]) -> None:
        """Stop hearing these topics. To move a viewport listen to the new ones first."""
        raise NotImplementedError

    def drop(self, listener: Listener) -> None:
        """The listener is gone: forget it."""
        raise NotImplementedError

    def watched(self, rider: int) -> bool:
        """Whether anybody, here or on another node, listened to the rider's channels when last heard of."""
        raise NotImplementedError

    async def tick(self) -> None:
        """Send each listener what changed since the last tick. `run` calls it; tests may."""
        raise NotImplementedError

    async def run(self) -> None:
        """Tick and publish until cancelled."""
        raise NotImplementedError

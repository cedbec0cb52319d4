"""What this node knows of the channels: the item with the highest rank for each rider, and the topics that show it.

Merging is free of order: whatever arrives, in whatever order and how often, the end is the same. A rider is in one
region at a time: a position in another region is, in this one, a departure. It travels on both channels, so that a
node that hears both moves the dot in one step.
"""

from collections.abc import Callable, Iterable, Iterator

from realtime.hub.records import Item, LiveRecord, moment_ms, outranks
from realtime.hub.topic import Topic
from realtime.hub.topics import is_region, region_of, topic_cells


class Channel:
    """The items of one channel, those that this node has put there among them."""

    __slots__ = ("epoch", "is_region", "items", "name", "own", "receivers", "synced", "topics")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_region = is_region(name)
        self.items: dict[int, Item] = {}
        self.own: set[int] = set()
        """Riders whose item was put here by this node."""
        self.topics: dict[int | str, Topic] = {}
        """Topics with local listeners: by cell in a region, else by name."""
        self.synced = False
        """Whether the bus is heard and the snapshot was merged."""
        self.epoch = 0
        """Counts how often the last listener left."""
        self.receivers = 0
        """Other nodes that listened when something was last published."""

    def position(self, item: Item | None) -> LiveRecord | None:
        """The item when it is a position on this channel; a removal is not, nor a position in another region."""
        if not isinstance(item, LiveRecord) or (self.is_region and region_of(item.cell) != self.name):
            return None
        return item

    def keep(self, item: Item) -> None:
        """Take the item as the truth and tell the topics."""
        before = self.items.get(item.rider)
        self.items[item.rider] = item
        if not self.topics:
            return
        if isinstance(item, LiveRecord) and isinstance(before, LiveRecord) and item.cell == before.cell:
            # On the same topics as before, if on any: most fixes.
            if self.position(item) is not None:
                for key in self._keys(item):
                    if (topic := self.topics.get(key)) is not None:
                        topic.show(item)
            return
        shown_on = list(self.topics_of(item))
        for topic in self.topics_of(before):
            if topic not in shown_on:
                topic.hide(item.rider)
        for topic in shown_on:
            topic.show(item)  # type: ignore[arg-type]  # only positions are on topics

    def forget(self, rider: int) -> None:
        """Drop the rider's item; whoever was shown it is told that it is gone."""
        for topic in self.topics_of(self.items.pop(rider, None)):
            topic.hide(rider)
        self.own.discard(rider)

    def open_topics(self, topics: Iterable[Topic]) -> None:
        """Show the items on topics that have their first listener."""
        opened: dict[int | str, Topic] = {_key(topic): topic for topic in topics}
        self.topics.update(opened)
        for item in self.items.values():
            if (record := self.position(item)) is not None:
                for key in self._keys(record):
                    if (topic := opened.get(key)) is not None:
                        topic.members[record.rider] = record

    def close_topic(self, topic: Topic) -> None:
        """Nobody listens to it any more."""
        del self.topics[_key(topic)]

    def topics_of(self, item: Item | None) -> Iterator[Topic]:
        """The topics with local listeners on which the item is shown."""
        record = self.position(item) if self.topics else None
        if record is not None:
            for key in self._keys(record):
                if (topic := self.topics.get(key)) is not None:
                    yield topic

    def _keys(self, record: LiveRecord) -> tuple[int | str, ...]:
        return topic_cells(record.cell) if self.is_region else (self.name,)


def _key(topic: Topic) -> int | str:
    return topic.name if topic.cell is None else topic.cell


class LiveState:
    """All channels of this node. `on_own` is given each item that other nodes must be told."""

    def __init__(self, on_own: Callable[[str, Item], None]) -> None:
        self.channels: dict[str, Channel] = {}
        self._on_own = on_own
        self._public: dict[int, Channel] = {}
        """In which region each rider is shown."""

    def channel(self, name: str) -> Channel:
        """The channel, made when it is new."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name)
        return channel

    def positions_of(self, rider: int) -> dict[str, LiveRecord]:
        """The rider's positions by channel, those in regions that the rider has left included."""
        found = ((name, channel.items.get(rider)) for name, channel in self.channels.items())
        return {name: item for name, item in found if isinstance(item, LiveRecord)}

    def apply(self, name: str, item: Item, *, own: bool) -> bool:
        """Merge an item into a channel, as this node's own or as another's; whether it was news."""
        channel = self.channel(name)
        known = channel.items.get(item.rider)
        if known is not None and not outranks(item, known):
            return False
        if not channel.is_region:
            self._keep(channel, item, own)
            return True
        if channel.position(item) is not None:
            return self._arrive(channel, item, own)
        self._depart(channel, item, own)
        return True

    def _keep(self, channel: Channel, item: Item, own: bool) -> None:
        channel.keep(item)
        if own:
            channel.own.add(item.rider)
            self._on_own(channel.name, item)
        else:
            channel.own.discard(item.rider)

    def _arrive(self, channel: Channel, item: Item, own: bool) -> bool:
        """A public position in its region: the rider is in no other, unless we know better."""
        other = self._public.get(item.rider)
        if other is not None and other is not channel:
            known = other.items[item.rider]
            if outranks(known, item):
                self._keep(channel, known, own=False)
                return False
            self._keep(other, item, own)
        self._public[item.rider] = channel
        self._keep(channel, item, own)
        return True

    def _depart(self, channel: Channel, item: Item, own: bool) -> None:
        """A removal, or a public position in another region."""
        if self._public.get(item.rider) is channel:
            del self._public[item.rider]
        self._keep(channel, item, own)
        if isinstance(item, LiveRecord):
            home = region_of(item.cell)
            if home in self.channels:
                self.apply(home, item, own=own)

    def forget(self, channel: Channel, rider: int) -> None:
        """Drop what is known of a rider on a channel."""
        if self._public.get(rider) is channel:
            del self._public[rider]
        channel.forget(rider)

    def expire(self, channel: Channel, oldest_ms: int) -> list[int]:
        """Forget items older than this; the riders they were of."""
        riders = [rider for rider, item in channel.items.items() if moment_ms(item) < oldest_ms]
        for rider in riders:
            self.forget(channel, rider)
        self.prune(channel)
        return riders

    def close(self, channel: Channel) -> None:
        """The last listener has left the channel: keep only what this node has put there."""
        for rider in channel.items.keys() - channel.own:
            self.forget(channel, rider)
        channel.synced = False
        channel.epoch += 1
        self.prune(channel)

    def prune(self, channel: Channel) -> None:
        """Let go of a channel with nothing on it and nobody at it."""
        if not channel.items and not channel.topics:
            self.channels.pop(channel.name, None)

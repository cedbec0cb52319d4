"""The listeners of this node and the topics they hear; a topic exists while somebody listens to it."""

import asyncio
from collections.abc import Callable, Iterable

from realtime.bus.redis_bus import RedisBus
from realtime.hub.listeners import Hearing, Listener
from realtime.hub.state import LiveState
from realtime.hub.synchroniser import Synchroniser
from realtime.hub.ticks import Ticker
from realtime.hub.topic import Topic


class Audience:
    """Opens topics (and their channels) with the first listener, and closes them with the last."""

    def __init__(
        self,
        bus: RedisBus,
        state: LiveState,
        synchroniser: Synchroniser,
        ticker: Ticker,
        *,
        epoch_ms: Callable[[], int],
        patience_seconds: float,
    ) -> None:
        self._bus = bus
        self._state = state
        self._synchroniser = synchroniser
        self._ticker = ticker
        self._epoch_ms = epoch_ms
        self._patience_seconds = patience_seconds
        self._hearings: dict[str, Hearing] = {}
        self._dirty: set[Topic] = set()
        self.topics: dict[str, Topic] = {}

    def __len__(self) -> int:
        return len(self._hearings)

    def take_dirty(self, *, unless_crowd_of: int | None = None) -> set[Topic]:
        """The topics that changed since this was last asked, without those of a crowd that can wait another tick."""
        dirty = set(self._dirty)
        if unless_crowd_of is not None:
            dirty = {topic for topic in dirty if not topic.can_wait(unless_crowd_of)}
        self._dirty -= dirty
        return dirty

    async def listen(self, listener: Listener, names: Iterable[str]) -> None:
        """Hear these topics; see `Hub.listen`."""
        hearing = self._hearings.get(listener.id)
        if hearing is None:
            hearing = self._hearings[listener.id] = Hearing(listener)
        topics = self._join(hearing, [name for name in names if name not in hearing.topics])
        await self._until_in_step(topics)
        now_ms = self._epoch_ms()
        for topic in topics:
            if hearing in topic.waiting:
                self._ticker.introduce(hearing, topic, now_ms)

    def unlisten(self, listener: Listener, names: Iterable[str]) -> None:
        """Stop hearing these topics."""
        hearing = self._hearings.get(listener.id)
        if hearing is None:
            return
        for name in names:
            topic = hearing.topics.get(name)
            if topic is not None:
                hearing.leave(topic)
                self._close_if_unheard(topic)
        if not hearing.topics:
            self._ticker.forget(hearing)
            del self._hearings[listener.id]

    def sees(self, listener: Listener, rider: int) -> bool:
        """Whether the rider is on a topic that the listener hears."""
        hearing = self._hearings.get(listener.id)
        return hearing is not None and any(rider in topic.members for topic in hearing.topics.values())

    def drop(self, listener: Listener) -> None:
        """Stop hearing anything."""
        hearing = self._hearings.get(listener.id)
        if hearing is not None:
            self.unlisten(listener, list(hearing.topics))

    def _join(self, hearing: Hearing, names: list[str]) -> list[Topic]:
        joined = [self.topics.get(name) or Topic(name, self._dirty) for name in dict.fromkeys(names)]
        opened: dict[str, list[Topic]] = {}
        for topic in joined:
            hearing.topics[topic.name] = topic
            topic.waiting.add(hearing)
            if topic.name not in self.topics:
                self.topics[topic.name] = topic
                opened.setdefault(topic.channel, []).append(topic)
        for channel, topics in opened.items():
            self._state.channel(channel).open_topics(topics)
        return joined

    def _close_if_unheard(self, topic: Topic) -> None:
        if topic.waiting or topic.admitted:
            return
        del self.topics[topic.name]
        self._dirty.discard(topic)
        channel = self._state.channel(topic.channel)
        channel.close_topic(topic)
        if not channel.topics:
            self._synchroniser.give_up(channel)
            self._state.close(channel)

    async def _until_in_step(self, topics: list[Topic]) -> None:
        """Wait for the other nodes' positions, unless it is known that they cannot come now."""
        channels = {topic.channel: self._state.channel(topic.channel) for topic in topics}
        steps = [self._synchroniser.want(channel) for channel in channels.values() if not channel.synced]
        if steps and self._bus.connected:
            await asyncio.wait(steps, timeout=self._patience_seconds)

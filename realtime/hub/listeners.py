"""Who hears, as the hub sees it: something that takes packets at once, and what it listens to."""

from __future__ import annotations

from typing import Protocol

from realtime.hub.topic import Topic
from realtime.wire.packets import Packet


class Listener(Protocol):
    """One socket."""

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


class Hearing:
    """A listener, its topics, and those of which it has missed something because it was slow."""

    __slots__ = ("checked_tick", "lagging", "listener", "topics")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.topics: dict[str, Topic] = {}
        self.lagging: set[Topic] = set()
        self.checked_tick = -1

    def leave(self, topic: Topic) -> None:
        """Not hear the topic any more."""
        del self.topics[topic.name]
        self.lagging.discard(topic)
        topic.waiting.discard(self)
        topic.admitted.pop(self, None)

"""From which moment on a position of one rider has to reach one watcher, given what was disturbed.

The times that a healing may take are the server's own: how long it waits for an answer before it takes a connection
for dead, and how often it looks.
"""

from dataclasses import dataclass

from loadtests.stress.faults import Happened, Timeline
from loadtests.stress.schedule import Kind, Mending

TICK_SECONDS = 0.2
TWO_TICKS_SECONDS = 2 * TICK_SECONDS
SLACK_SECONDS = 1.2
"""What two busy cores may add, the way of a phone's packets included."""
RECONNECT_SECONDS = 0.3
"""The pause of the bus between two attempts, and an attempt."""
SILENCE_SECONDS = 2.0
"""After so much silence a node gives a call to Redis, or a connection, up."""
TAKE_SECONDS = 5.0
"""A node waits so long for stores that are silent before it shows a rider who has just come to it."""

_REDIS_AWAY = frozenset({Kind.REDIS_KILLED, Kind.REDIS_PAUSED, Kind.REDIS_REFUSES, Kind.REDIS_FAILOVER})
_UNHEARD = frozenset({Kind.SUBSCRIBERS_KILLED, Kind.SUBSCRIBERS_OVERFLOW})
_NODE_AWAY = frozenset({Kind.NODE_PAUSED, Kind.NODE_KILLED, Kind.NODE_STOPPED})
_OF_STORES = _REDIS_AWAY | {Kind.POSTGRES_RESTARTED, Kind.REDIS_SLOW, Kind.NODE_CUT}
_BETWEEN = _REDIS_AWAY | _UNHEARD | {Kind.NODE_CUT, Kind.NODE_DEAF, Kind.REDIS_SLOW}


def healing_seconds(happened: Happened) -> float:
    """How long after the healing the nodes may need until they know of it, two ticks and slack not included."""
    fault = happened.fault
    if fault.kind is Kind.NODE_DEAF:
        return 2 * SILENCE_SECONDS + RECONNECT_SECONDS  # nobody tells it: it has to miss its own voice
    if fault.kind is Kind.NODE_CUT and fault.mending is Mending.FORGETS:
        return 2 * SILENCE_SECONDS + RECONNECT_SECONDS
    if fault.kind is Kind.REDIS_SLOW:
        return 20 * fault.delay  # what is still on its way
    return RECONNECT_SECONDS


@dataclass(frozen=True)
class Path:
    """From a rider's node to a watcher's."""

    rider_node: int
    watcher_node: int
    linked_at: float
    """Since when the rider is connected."""
    watched_since: float

    @property
    def is_local(self) -> bool:
        """Whether both are on one node."""
        return self.rider_node == self.watcher_node

    def clear_since(self, timeline: Timeline, now: float) -> float | None:
        """Since when nothing stands in the way, None while something does."""
        clear = max(self.linked_at, self.watched_since)
        for happened in timeline.happened:
            if not self._concerns(happened):
                continue
            if happened.lasts_at(now):
                return None
            if happened.healed is not None:
                clear = max(clear, happened.healed + healing_seconds(happened))
        if self._came_during(timeline):
            clear = max(clear, self.linked_at + TAKE_SECONDS)
        return clear

    def may_hold_up(self, timeline: Timeline, sent_at: float, now: float) -> bool:
        """Whether what was sent then may be on its way, because something came between, or kept the rider's node."""
        return any(
            self._is_before_the_watcher(happened)
            and happened.began < sent_at + TWO_TICKS_SECONDS
            and (
                happened.healed is None
                or now < happened.healed + healing_seconds(happened) + TWO_TICKS_SECONDS + SLACK_SECONDS
            )
            for happened in timeline.happened
        )

    def _is_before_the_watcher(self, happened: Happened) -> bool:
        if happened.fault.kind in _NODE_AWAY:
            return happened.fault.node == self.rider_node
        return self._concerns(happened)

    def _concerns(self, happened: Happened) -> bool:
        fault = happened.fault
        if fault.node is not None and fault.node not in {self.rider_node, self.watcher_node}:
            return False
        if fault.kind in _NODE_AWAY:
            return True
        return fault.kind in _BETWEEN and not self.is_local

    def _came_during(self, timeline: Timeline) -> bool:
        """Whether a store that is asked when a rider comes was away then."""
        return any(
            happened.fault.kind in _OF_STORES
            and happened.fault.node in {None, self.rider_node}
            and happened.began <= self.linked_at + TAKE_SECONDS
            and (happened.healed is None or happened.healed + healing_seconds(happened) >= self.linked_at)
            for happened in timeline.happened
        )

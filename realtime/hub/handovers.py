"""Riders whom another node has taken over and not shown yet: here the dot stays where it was until then.

A takeover is known in Redis before the next tick of the node that took over tells where the rider is. Promises: what
that node tells is shown at once; what it did not tell within a time in which the bus could have told ends the dot: who
was taken over to be hidden is told so in the same time. While the bus cannot tell, the dot stays, like those of every
other node, and goes by its age at the latest.
"""

from collections import deque
from typing import NamedTuple

from domain.kit.clock import Clock
from realtime.hub.state import Channel, LiveState

HANDOVER_SECONDS = 1.0
"""A tick, the way through Redis, and a look at the rider's policy."""
RETURN_SECONDS = 5.0
"""How long after this node the others may find Redis again, and tell what they could not."""


class _Shown(NamedTuple):
    since: float
    """By the monotonic clock."""
    channel: str
    rider: int
    generation: int
    """That of the dot here, which has passed."""


class Handovers:
    """What this node had put out and shows for a moment longer."""

    def __init__(self, clock: Clock, state: LiveState) -> None:
        self._clock = clock
        self._state = state
        self._shown: deque[_Shown] = deque()
        self._not_before = clock.monotonic()

    def __len__(self) -> int:
        return len(self._shown)

    def begin(self, channel: Channel, rider: int, generation: int) -> None:
        """Another node has the rider, who was shown on this channel under a generation that has passed."""
        self._shown.append(_Shown(self._clock.monotonic(), channel.name, rider, generation))

    def postpone(self) -> None:
        """The bus cannot tell, or could not until now."""
        self._not_before = self._clock.monotonic() + RETURN_SECONDS

    def end_due(self) -> None:
        """Forget what is still as it was when its time is over."""
        now = self._clock.monotonic()
        while now >= self._not_before and self._shown and self._shown[0].since + HANDOVER_SECONDS <= now:
            self._end(self._shown.popleft(), now)

    def _end(self, shown: _Shown, now: float) -> None:
        channel = self._state.channels.get(shown.channel)
        item = None if channel is None else channel.items.get(shown.rider)
        if channel is None or item is None or item.generation > shown.generation or shown.rider in channel.own:
            return
        if not channel.synced:  # what is true has not been read yet
            self._shown.append(shown._replace(since=now))
            return
        self._state.forget(channel, shown.rider)
        self._state.prune(channel)

"""Riders whom another node has taken over and not shown yet: here the dot stays where it was until then.

A takeover is known in Redis before the next tick of the node that took over tells where the rider is. Promises that
nothing stays for longer than that needs: a rider who was taken over to be hidden is told so in the same time.
"""

from collections import deque
from typing import NamedTuple

from domain.kit.clock import Clock
from realtime.hub.state import Channel, LiveState

HANDOVER_SECONDS = 1.0
"""A tick, the way through Redis, and a look at the rider's policy."""


class _Shown(NamedTuple):
    until: float
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

    def __len__(self) -> int:
        return len(self._shown)

    def begin(self, channel: Channel, rider: int, generation: int) -> None:
        """Another node has the rider, who was shown on this channel under a generation that has passed."""
        self._shown.append(_Shown(self._clock.monotonic() + HANDOVER_SECONDS, channel.name, rider, generation))

    def end_due(self) -> None:
        """Forget what is still as it was when its time is over."""
        now = self._clock.monotonic()
        while self._shown and self._shown[0].until <= now:
            self._end(self._shown.popleft())

    def _end(self, shown: _Shown) -> None:
        channel = self._state.channels.get(shown.channel)
        item = None if channel is None else channel.items.get(shown.rider)
        if channel is None or item is None or item.generation > shown.generation or shown.rider in channel.own:
            return
        self._state.forget(channel, shown.rider)
        self._state.prune(channel)

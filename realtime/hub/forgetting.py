"""Dots that end by themselves: by their age, or because another node has the rider and does not tell.

Promises that a process which stood still first reads what it missed, where that can be read: dots seem older to it than
they are. That it stood still it notices when it is asked to look, as it is before each tick and each publication.
"""

import math
from collections.abc import Callable

import structlog

from domain.kit.clock import Clock
from realtime.bus.redis_bus import RedisBus
from realtime.hub.handovers import Handovers
from realtime.hub.pace import Slices
from realtime.hub.publisher import Publisher
from realtime.hub.state import Channel, LiveState
from realtime.hub.synchroniser import Synchroniser

CATCH_UP_SECONDS = 5.0
"""How long a node that stood still may take to read what it missed, before it forgets dots by their age."""
_SWEEP_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Standstill:
    """Whether this process did not run for a while. `on_wake` is called when it runs again."""

    def __init__(self, clock: Clock, seconds: float, on_wake: Callable[[], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._on_wake = on_wake
        self._alive_at = clock.monotonic()
        self._woken_at = -math.inf

    def check(self) -> None:
        """Look at the clock."""
        now = self._clock.monotonic()
        if now - self._alive_at > self._seconds:
            _log.warning("stalled", seconds=round(now - self._alive_at, 3))
            self._on_wake()
            self._woken_at = now
        self._alive_at = now

    @property
    def is_recent(self) -> bool:
        """Whether it ended within the last `CATCH_UP_SECONDS`."""
        return self._clock.monotonic() - self._woken_at < CATCH_UP_SECONDS


class Forgetting:
    """Forgets what is due, once a tick. `on_expired` is told of riders by channel whose dot went by its age."""

    def __init__(
        self,
        clock: Clock,
        bus: RedisBus,
        state: LiveState,
        publisher: Publisher,
        synchroniser: Synchroniser,
        standstill: Standstill,
        *,
        oldest_ms: Callable[[], int],
        on_expired: Callable[[str, int], None],
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._state = state
        self._publisher = publisher
        self._synchroniser = synchroniser
        self._standstill = standstill
        self._oldest_ms = oldest_ms
        self._on_expired = on_expired
        self._handovers = Handovers(clock, state)
        self._swept_at = clock.monotonic()

    def catches_up(self) -> bool:
        """See `Hub.catches_up`."""
        self._standstill.check()
        if not self._standstill.is_recent:
            return False
        # The bus counts as connected once it has heard itself, and what came before that has been read by then.
        return not self._bus.connected or self._synchroniser.waiting > 0

    def hand_over(self, channel: Channel, rider: int, generation: int) -> None:
        """Another node has the rider, who is shown here a moment longer: see `Handovers`."""
        self._handovers.begin(channel, rider, generation)

    def bus_restored(self) -> None:
        """Other nodes may be heard later than the bus itself."""
        self._handovers.postpone()

    async def forget_due(self, slices: Slices) -> None:
        """Forget what is too old, every second, and whom another node did not tell of."""
        now = self._clock.monotonic()
        if now - self._swept_at >= _SWEEP_SECONDS and not self.catches_up():
            self._swept_at = now
            await self._sweep(slices)
        if self._handovers:
            self._end_handovers()

    def _end_handovers(self) -> None:
        if self._bus.connected and not self.catches_up():
            self._handovers.end_due()
        else:
            self._handovers.postpone()

    async def _sweep(self, slices: Slices) -> None:
        oldest = self._oldest_ms()
        for channel in list(self._state.channels.values()):
            for rider in self._state.expire(channel, oldest):
                self._on_expired(channel.name, rider)
            if slices.used_up:
                await slices.rest()
        self._publisher.expire(oldest)

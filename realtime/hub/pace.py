"""Long work in slices, so that it never stands in the way of what cannot wait."""

import asyncio

from domain.kit.clock import Clock


class Slices:
    """Lets the event loop turn whenever a slice of time is used up."""

    __slots__ = ("_clock", "_ends_at", "_seconds")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._ends_at = clock.monotonic() + seconds

    @property
    def used_up(self) -> bool:
        """Whether it is time to `rest`."""
        return self._clock.monotonic() >= self._ends_at

    async def rest(self) -> None:
        """Let everything else that is ready run once, and begin another slice."""
        await asyncio.sleep(0)
        self._ends_at = self._clock.monotonic() + self._seconds

"""Waiting that ends early when the worker is told to stop."""

import asyncio

from domain.kit.clock import Clock
from domain.kit.tasks import TaskOwner


async def pause(clock: Clock, stop: asyncio.Event, seconds: float) -> None:
    """Return after `seconds` of the clock, or as soon as `stop` is set."""
    async with TaskOwner("pause") as tasks:
        waits = [tasks.start(clock.sleep(seconds), "sleep"), tasks.start(stop.wait(), "stop")]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)


class Backoff:
    """The length of the pauses between attempts: doubling from the shortest to the longest, until something works."""

    def __init__(self, shortest_seconds: float = 0.1, longest_seconds: float = 3.0) -> None:
        self._shortest = shortest_seconds
        self._longest = longest_seconds
        self._next = shortest_seconds

    def next_seconds(self) -> float:
        """How long to pause now."""
        seconds = self._next
        self._next = min(seconds * 2, self._longest)
        return seconds

    def reset(self) -> None:
        """It works again."""
        self._next = self._shortest

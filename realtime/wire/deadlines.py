"""Many timers of one duration in one: what began first is due first, so a queue is all that a wheel would be.

A node has thousands of heartbeats and one timer for them. The clock is the event loop's, which nobody sets back.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_SLACK = 0.005
"""The part of the duration by which a wake-up is early, so that the loop's own delay makes nothing late; it also serves
what is due within as much again afterwards, so that few are needed."""


class Deadlines(Generic[T]):
    """Calls `on_due` for each item `seconds` after it was started, up to a hundredth earlier and never later."""

    def __init__(self, seconds: float, on_due: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._slack = seconds * _SLACK
        self._on_due = on_due
        self._due: dict[T, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: T) -> bool:
        return item in self._due

    def start(self, item: T) -> None:
        """Count from now, also when it was counting."""
        self._due.pop(item, None)  # to the end of the queue
        loop = asyncio.get_running_loop()
        self._due[item] = loop.time() + self._seconds
        if self._timer is None:
            self._sleep(loop)

    def stop(self, item: T) -> None:
        """Not count any more; nothing happens to what was not counting."""
        self._due.pop(item, None)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        by = loop.time() + 2 * self._slack
        due: list[T] = []
        for item, at in self._due.items():
            if at > by:
                break
            due.append(item)
        for item in due:
            del self._due[item]
        self._sleep(loop)
        for item in due:
            self._on_due(item)

    def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        first = next(iter(self._due.values()), None)
        if first is not None:
            self._timer = loop.call_at(first - self._slack, self._look)

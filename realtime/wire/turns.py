"""The handlers of one socket: strictly one after another, in the order in which what they handle came.

A plain function runs at once when nothing is before it. A coroutine keeps the turn until it returns; what follows waits
here, bounded in number and bytes. There is one task while a coroutine runs and none otherwise.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from domain.kit.errors import RateLimited
from domain.kit.tasks import TaskOwner

Work: TypeAlias = Callable[[], Awaitable[None] | None]
"""Something to be done that never raises, and gives an awaitable when there is more of it to be awaited."""

MOST_WAITING = 512
MOST_BYTES = 4 << 20
_RETRY_AFTER_MS = 1000


class Turns:
    """Whose turn it is."""

    __slots__ = ("_busy", "_bytes", "_name", "_owner", "_waiting")

    def __init__(self, owner: TaskOwner, name: str) -> None:
        self._owner = owner
        self._name = name
        self._waiting: deque[tuple[Work, int]] | None = None
        self._bytes = 0
        self._busy = False

    def take(self, work: Work, size: int) -> None:
        """Do it now or in turn; `size` is in bytes. Raises RateLimited when too much waits already."""
        waiting = self._waiting
        if waiting and (len(waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES):
            raise RateLimited("too many events wait for an earlier one of this socket", retry_after_ms=_RETRY_AFTER_MS)
        self.take_last(work, size)

    def take_last(self, work: Work, size: int = 0) -> None:
        """The same without a bound, for what comes once."""
        if self._busy:
            self._waiting = self._waiting or deque()
            self._waiting.append((work, size))
            self._bytes += size
            return
        self._busy = True
        rest = self._do(work)
        if rest is not None:
            self._owner.start(self._await(rest), self._name)

    def _do(self, work: Work) -> Awaitable[None] | None:
        """This, and then all that came meanwhile, up to what is to be awaited."""
        rest = work()
        while rest is None and self._waiting:
            following, size = self._waiting.popleft()
            self._bytes -= size
            rest = following()
        if rest is None:
            self._busy, self._waiting = False, None
        return rest

    async def _await(self, rest: Awaitable[None] | None) -> None:
        while rest is not None:
            try:
                await rest
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # otherwise something that it awaited was cancelled: its own affair
            rest = self._do(_nothing)


def _nothing() -> None:
    """The end of what was awaited."""

"""A lane: the calls of one socket that are handled strictly one after another, in the order in which they came.

A plain handler runs at once when nothing is before it, and needs nothing of this. A coroutine keeps its lane busy until
it returns; what follows waits here, bounded in number and bytes. There is one task while a coroutine runs, none else.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from domain.kit.errors import RateLimited
from domain.kit.tasks import TaskOwner

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None] | None]
"""A call ready to run: it answers its client itself, never raises, and gives a coroutine when more is to be awaited."""

_RETRY_AFTER_MS = 1000


@dataclass(frozen=True)
class LaneLimits:
    """How much one lane may hold back while something in it is awaited."""

    calls: int = 512
    bytes: int = 4 << 20


class LaneQueue:
    """A lane of one socket for as long as it is busy: made when a coroutine begins, over when nothing is left."""

    __slots__ = ("_bytes", "_limits", "_over", "_task", "_waiting")

    def __init__(
        self,
        rest: Coroutine[Any, Any, None],
        owner: TaskOwner,
        name: str,
        limits: LaneLimits,
        over: Callable[["LaneQueue"], None],
    ) -> None:
        """`over` is told when the lane is idle again: the next call is not for this object."""
        self._limits = limits
        self._over = over
        self._waiting: deque[tuple[Work, int]] | None = None
        self._bytes = 0
        self._task: asyncio.Task[None] = owner.start(self._drain(rest), name)
        self._task.add_done_callback(lambda _: over(self))

    def hold(self, work: Work, size: int) -> None:
        """Run this in turn; `size` is in bytes. Raises RateLimited when too much waits already."""
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= self._limits.calls or self._bytes + size > self._limits.bytes:
            raise RateLimited("too many events wait for an earlier one of this socket", retry_after_ms=_RETRY_AFTER_MS)
        self._waiting.append((work, size))
        self._bytes += size

    def drop_waiting(self) -> None:
        """Forget what has not begun; what runs goes on to its end."""
        self._waiting = None
        self._bytes = 0

    def when_over(self, done: Callable[[], None]) -> None:
        """Call `done` when what runs has ended."""
        self._task.add_done_callback(lambda _: done())

    async def _drain(self, rest: Coroutine[Any, Any, None] | None) -> None:
        while True:
            if rest is not None:
                await rest
            if not self._waiting:
                break
            work, size = self._waiting.popleft()
            self._bytes -= size
            rest = work()
        # Nothing awaits between the check above and this line, so no call can slip in behind the last one.
        self._over(self)

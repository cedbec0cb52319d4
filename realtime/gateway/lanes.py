"""A lane: the calls of one socket that are handled strictly one after another, in the order in which they came.

A plain handler runs at once when nothing is before it. A coroutine keeps the lane busy until it returns; what follows
waits here, bounded in number and bytes. There is one task while a coroutine runs and none otherwise.
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
    """One lane of one socket."""

    def __init__(self, owner: TaskOwner, name: str, limits: LaneLimits) -> None:
        self._owner = owner
        self._name = name
        self._limits = limits
        self._waiting: deque[tuple[Work, int]] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._task is None

    def admit(self, work: Work, size: int) -> None:
        """Run now or in turn; `size` is in bytes. Raises RateLimited when too much waits already."""
        if self._task is not None:
            self._hold(work, size)
        elif (rest := work()) is not None:
            self._task = self._owner.start(self._drain(rest), self._name)
            self._task.add_done_callback(self._ended)

    def drop_waiting(self) -> None:
        """Forget what has not begun; what runs goes on to its end."""
        self._waiting.clear()
        self._bytes = 0

    def when_idle(self, done: Callable[[], None]) -> None:
        """Call `done` once nothing runs: now, or when what runs has ended."""
        if self._task is None:
            done()
        else:
            self._task.add_done_callback(lambda _: done())

    def _hold(self, work: Work, size: int) -> None:
        if len(self._waiting) >= self._limits.calls or self._bytes + size > self._limits.bytes:
            raise RateLimited("too many events wait for an earlier one of this socket", retry_after_ms=_RETRY_AFTER_MS)
        self._waiting.append((work, size))
        self._bytes += size

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
        self._task = None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            self._task = None

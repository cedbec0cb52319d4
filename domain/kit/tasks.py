"""Background tasks that have an owner: each has a name, is awaited at the end, and is never lost in silence."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class TaskOwner:
    """Starts named tasks and ends them together: leaving the context cancels what still runs and awaits it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` under this owner; a failure is logged with the task's name when nobody else awaits it."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", task=task.get_name(), error=type(error).__name__, exc_info=error)

    def __len__(self) -> int:
        return len(self._tasks)

    async def drain(self, within_seconds: float) -> None:
        """Wait until nothing runs any more, so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_together(name: str, works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run all of these until they have ended; the first that fails ends the others, and its failure is raised.

    Cancelled, it cancels each of them once: what they do to end in good order is not cut short.
    """
    async with TaskOwner(name) as owner:
        running = [owner.start(work, part) for part, work in works.items()]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

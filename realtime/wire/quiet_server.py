"""uvicorn that sleeps while nothing happens: its own loop looks ten times a second whether it is to stop.

With each look an idle process wakes up, with cold caches: of a node that serves little it is most of what it does.
"""

import asyncio
import contextlib

import uvicorn


class QuietServer(uvicorn.Server):
    """The same server; `should_exit` wakes it up, from wherever it is set."""

    tick_seconds = 1.0
    """How often the date in answers is renewed."""
    _ends = False
    _woken: asyncio.Event | None = None
    _running_loop: asyncio.AbstractEventLoop | None = None

    @property
    def should_exit(self) -> bool:
        """Whether it is to end; set by signals between any two instructions."""
        return self._ends

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._ends = value
        if value and self._woken is not None and self._running_loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._running_loop.call_soon_threadsafe(self._woken.set)

    async def main_loop(self) -> None:
        """Look once a second, and when it is to stop."""
        self._woken, self._running_loop = asyncio.Event(), asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.tick_seconds):
                    await self._woken.wait()

"""uvicorn that sleeps while nothing happens: its own loop looks ten times a second whether it is to stop.

With each look an idle process wakes up, with cold caches: of a node that serves little it is most of what it does.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TypeAlias

import uvicorn
from uvicorn.server import ServerState

Headers: TypeAlias = list[tuple[bytes, bytes]]


class QuietServer(uvicorn.Server):
    """The same server; `should_exit` wakes it up, from wherever it is set."""

    _ends = False
    _woken: asyncio.Event | None = None
    _running_loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = DatedState(config)

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
        """Wait until it is to stop; look as often as uvicorn does if uvicorn is asked for what has to be looked at."""
        if self.config.limit_max_requests is not None or self.config.callback_notify is not None:
            await super().main_loop()
            return
        self._woken, self._running_loop = asyncio.Event(), asyncio.get_running_loop()
        if not self.should_exit:
            await self._woken.wait()


class DatedState(ServerState):
    """uvicorn's, with the headers of all answers made when they are asked for: uvicorn renews the date each second."""

    def __init__(self, config: uvicorn.Config, epoch_seconds: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._config = config
        self._epoch_seconds = epoch_seconds
        self._second = -1
        self._headers: Headers = []

    @property
    def default_headers(self) -> Headers:
        """The date, to the second, and those that the configuration names."""
        now = int(self._epoch_seconds())
        if now != self._second:
            date = [(b"date", formatdate(now, usegmt=True).encode())] if self._config.date_header else []
            self._second, self._headers = now, date + self._config.encoded_headers
        return self._headers

    @default_headers.setter
    def default_headers(self, _renewed: Headers) -> None:
        """uvicorn sets them, to what they are."""

"""Engine.IO's heartbeat: the server pings, and a peer that does not answer in time is gone. Monotonic; no task."""

import asyncio
from collections.abc import Callable


class Heartbeat:
    """Calls `ping` every `interval` seconds after the last answer, and `dead` when no answer came within `timeout`."""

    def __init__(self, interval: float, timeout: float, *, ping: Callable[[], None], dead: Callable[[], None]) -> None:
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._dead = dead
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False

    def start(self) -> None:
        """Begin with a pause of one interval."""
        self._wait(self._interval, self._ask)

    def heard(self) -> None:
        """The peer answered; an answer to nothing changes nothing."""
        if self._asked:
            self._asked = False
            self._wait(self._interval, self._ask)

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._asked = True
        self._wait(self._timeout, self._dead)
        self._ping()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, then)

"""How a node ends, from the first signal to the exit: nobody new, then clients by turns, then requests, then itself.

Promises: `/ready` refuses before anybody is sent away; a second signal ends what waits for clients; the process is gone
within `drain_notice_seconds` and `drain_seconds` whatever clients do, and then even if a part of it hangs.
"""

import asyncio
import faulthandler

import structlog

from realtime.gateway.draining import Draining
from server.health import Health
from server.wiring import ServerNode

_LAST = 0.2
_LAST_SECONDS = 2.0
"""What is kept of the limit, as a share and at most, for what the node itself has to finish."""
_HURRIED_SECONDS = 2.0
_ONE_SIGNAL_SECONDS = 0.3
"""Signals that come together are one: Ctrl-C reaches a whole group of processes, whose parents pass it on as well."""

_log = structlog.get_logger(__name__)


class Stopping:
    """One node's way out."""

    def __init__(self, node: ServerNode, health: Health) -> None:
        self._node = node
        self._health = health
        self._notice_seconds = node.settings.drain_notice_seconds
        self._limit_seconds = node.settings.drain_seconds
        self._signalled_at: float | None = None
        self._hurry = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hurried = False
        """Whether a second signal came: nobody is waited for any more."""

    @property
    def seconds_for_requests(self) -> float:
        """What requests that are under way may still take."""
        if self.hurried or self._signalled_at is None:
            return 0.0
        whole = self._notice_seconds + self._limit_seconds
        last = min(_LAST_SECONDS, _LAST * self._limit_seconds)
        return max(0.0, self._signalled_at + whole - last - self._node.clock.monotonic())

    def signalled(self) -> None:
        """A signal came; called between any two instructions, so this sets marks and little else."""
        now = self._node.clock.monotonic()
        if self._signalled_at is None:
            self._signalled_at = now
            self._health.draining = True
            self._node.wire.close_doors()
            _exit_after(self._notice_seconds + self._limit_seconds)
        elif now - self._signalled_at > _ONE_SIGNAL_SECONDS and not self.hurried:
            self.hurried = True
            _exit_after(_HURRIED_SECONDS)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._hurry.set)

    async def send_away(self) -> None:
        """Have every socket closed, in good order unless there is a hurry."""
        self._loop = asyncio.get_running_loop()
        if self._signalled_at is None:
            self.signalled()
        self._node.stores.register.renew()
        _log.info("draining", clients=len(self._node.gateway), limit_seconds=self._limit_seconds)
        if not self.hurried:
            await self._drain_unless_hurried()
        self._node.wire.stop()

    async def _drain_unless_hurried(self) -> None:
        tasks = self._node.tasks
        draining, hurry = tasks.start(self._drain(), "draining"), tasks.start(self._hurry.wait(), "hurry")
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurry):
            task.cancel()
        await asyncio.gather(draining, hurry, return_exceptions=True)

    async def _drain(self) -> None:
        node = self._node
        draining = Draining(
            node.gateway,
            node.recorder.commit,
            node.clock,
            notice_seconds=self._notice_seconds,
            limit_seconds=self._limit_seconds,
        )
        await draining.run()


def _exit_after(seconds: float) -> None:
    """End the process then, if it is still there: with status 1, and with where it stood on standard error."""
    faulthandler.dump_traceback_later(seconds, exit=True)

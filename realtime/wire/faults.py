"""What handlers raise, in the log: the traceback as bounded text without local values, and so many a second at most.

A client may make a handler raise as often as it likes; what that costs, and what it tells of others, is bounded here.
"""

import asyncio
import traceback

import structlog

MOST_A_SECOND = 10
"""Faults that are logged; of the others, how many they were."""
_MOST_FRAMES = 20
_MOST_CHARACTERS = 500
"""Of one line of a traceback: the message of an exception may quote what a client sent."""
_MOST_LINES = 60

_log = structlog.get_logger(__name__)


class FaultLog:
    """Logs faults of handlers; to be used within the event loop."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._told = 0
        self._dropped = 0

    def tell(self, event: str, error: BaseException, **details: object) -> None:
        """Log one, unless there have been too many in this second."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._since >= 1:
            self._since, self._told = loop.time(), 0
        if self._told < MOST_A_SECOND:
            self._told += 1
            _log.error(event, error=type(error).__name__, traceback=traceback_of(error), **details)
            return
        if not self._dropped:
            loop.call_at(self._since + 1, self._tell_dropped)
        self._dropped += 1

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        _log.error("faults_not_logged", number=dropped)


def traceback_of(error: BaseException) -> str:
    """The innermost frames and the message of an exception and of its causes, without the values of variables."""
    told = traceback.TracebackException(
        type(error), error, error.__traceback__, limit=-_MOST_FRAMES, max_group_width=5, max_group_depth=3, compact=True
    )
    lines = "".join(told.format()).splitlines()[-_MOST_LINES:]
    return "\n".join(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …" for line in lines)

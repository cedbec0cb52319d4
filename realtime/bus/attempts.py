"""Attempts to reach Redis: how long to wait before the next one, and why they fail, logged once until one succeeds.

Pauses grow up to a bound, and those of several nodes are never in step. The bound is short. A node that hears nothing
shows dots that stand still, and they are right again within two ticks (0.4 s) of the moment in which Redis can be
reached: the last pause may take the larger part of them, and no more.
"""

import random

import structlog

LONGEST_PAUSE_SECONDS = 0.25
"""A thousand nodes that have waited for a while come to some five thousand attempts a second for each of their ears."""
_MOST_REASONS = 8

_log = structlog.get_logger(__name__)


class Attempts:
    """Those of one connection, or of all the ears of a subscriber."""

    def __init__(self, first_pause_seconds: float) -> None:
        self._first_seconds = first_pause_seconds
        self._next_seconds = first_pause_seconds
        self._reasons: set[str] = set()
        """Logged since the last success."""

    def pause_seconds(self) -> float:
        """How long to wait now: somewhere between half of the next length and all of it."""
        longest = min(self._next_seconds, LONGEST_PAUSE_SECONDS)
        self._next_seconds = 2 * longest
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret, only spread

    def failed(self, error: Exception) -> None:
        """Log why, unless it was logged."""
        reason = str(error) or type(error).__name__
        if reason not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(reason)
            _log.warning("bus_unreachable", reason=reason)

    def succeeded(self) -> None:
        """The next pause is the first again, and the next failure is news."""
        self._next_seconds = self._first_seconds
        self._reasons.clear()

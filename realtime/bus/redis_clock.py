"""What time it is for Redis, also while Redis is silent: the one clock by which nodes can say which came first.

Every answer to TIME bounds the difference to this machine's monotonic clock by its round trip; the tightest of the
recent ones counts. Two nodes agree within half their round trips, however wrong their own clocks are.
"""

from collections import deque
from dataclasses import dataclass

from domain.kit.clock import Clock

_SAMPLES = 30
_RESOLUTION_MS = 1.0


@dataclass(frozen=True)
class _Sample:
    """Redis' clock is ahead of the monotonic one by `ahead_ms`, give or take `error_ms`."""

    ahead_ms: float
    error_ms: float

    def agrees(self, other: "_Sample") -> bool:
        return abs(self.ahead_ms - other.ahead_ms) <= self.error_ms + other.error_ms + _RESOLUTION_MS


class RedisClock:
    """Fed by whoever asks Redis for the time anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)
        self._best: _Sample | None = None

    def now_ms(self) -> int:
        """Milliseconds since 1970 by Redis' clock; by this machine's as long as Redis has never answered."""
        if self._best is None:
            return self._clock.epoch_ms()
        return round(self._clock.monotonic() * 1000 + self._best.ahead_ms)

    def learn(self, asked_at: float, seconds: int, microseconds: int) -> None:
        """Redis answered TIME just now; `asked_at` is when it was asked, by the monotonic clock."""
        half = (self._clock.monotonic() - asked_at) * 1000 / 2
        ahead = seconds * 1000 + microseconds / 1000 - (asked_at * 1000 + half)
        sample = _Sample(ahead, half)
        if self._samples and not sample.agrees(self._samples[-1]):
            self._samples.clear()  # another Redis answers now, or its clock was set
        self._samples.append(sample)
        self._best = min(self._samples, key=lambda sample: sample.error_ms)

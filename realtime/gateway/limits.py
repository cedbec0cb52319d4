"""Token buckets: how often a socket may do something, with bursts; time is passed in, nothing waits."""

from realtime.gateway.contracts import Limit


class TokenBucket:
    """Holds up to `burst` tokens and gains `per_second`; it begins full."""

    __slots__ = ("_burst", "_per_second", "_refilled", "_tokens")

    def __init__(self, limit: Limit, now: float) -> None:
        self._per_second = limit.per_second
        self._tokens = self._burst = float(limit.burst)
        self._refilled = now

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is (and none is taken).

        `now` is monotonic, in seconds.
        """
        tokens, most = self._tokens + (now - self._refilled) * self._per_second, self._burst
        self._refilled = now
        if tokens > most:  # noqa: PLR1730 - min() is a call for every event
            tokens = most
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self._per_second

    def give_back(self) -> None:
        """Put the token back that was just taken."""
        self._tokens += 1.0

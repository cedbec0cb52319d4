"""Token buckets: how often a socket may do something, with bursts; time is passed in, nothing waits."""

from realtime.gateway.contracts import Limit


class TokenBucket:
    """Holds up to `burst` tokens and gains `per_second`; it begins full."""

    __slots__ = ("_limit", "_refilled", "_tokens")

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._refilled = now

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is (and none is taken).

        `now` is monotonic, in seconds.
        """
        per_second, burst = self._limit
        tokens = self._tokens + (now - self._refilled) * per_second
        self._refilled = now
        if tokens > burst:  # not min(): a call for every event
            tokens = float(burst)
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / per_second

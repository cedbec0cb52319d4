"""How often REST may be asked: moving windows in Redis, shared by all nodes; in this process while Redis is away.

Promises never to refuse or delay a request because Redis is away: after a failure it is left alone for some seconds.
"""

import math
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import Redis
from starlette.requests import Request

from domain.kit.clock import Clock
from domain.kit.errors import RateLimited
from domain.kit.redis_clients import create_redis
from domain.kit.redis_sentinels import Followers

_log = structlog.get_logger(__name__)

REDIS_TIMEOUT_SECONDS = 0.25
_LEAVE_REDIS_ALONE_SECONDS = 5.0


class Tier(StrEnum):
    """What is counted: sign-ins of an account, everybody at an address, a signed-in user, or a user's uploads."""

    AUTH = "auth"
    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    UPLOADS = "uploads"


@dataclass(frozen=True)
class LimitOptions:
    """Requests per window of each tier; the window is `window_seconds` where the name says no other."""

    auth_per_minute: int = 5
    public_per_window: int = 100
    signed_in_per_window: int = 1000
    window_seconds: int = 900
    uploads_per_hour: int = 10


@dataclass(frozen=True)
class Allowance:
    """Whether a request may pass, how many there are in a window, how many are left, and seconds until one more is."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int


class _Shared(RedisStorage):
    """The library's counts, through a client that knows where Redis is; its own knows fewer forms of an address."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        super().__init__("redis://", wrap_exceptions=True, implementation="redispy", key_prefix="limits")

    def configure_bridge(self) -> None:
        """Called by the library where it would make a client."""
        bridge: Any = self.bridge
        bridge.storage = self._client
        bridge.connection_getter = lambda readonly: self._client


class RateLimits:
    """Counts requests. `close` it at the end."""

    def __init__(
        self,
        redis_url: str,
        clock: Clock,
        options: LimitOptions,
        *,
        timeout_seconds: float = REDIS_TIMEOUT_SECONDS,
        followers: Followers | None = None,
    ) -> None:
        """Without an answer of Redis within `timeout_seconds` this node counts alone for a while.

        `followers`: with whom to leave a master that sentinels have replaced, and the counts that will be lost there.
        """
        self._clock = clock
        self._items: dict[Tier, RateLimitItem] = {
            Tier.AUTH: RateLimitItemPerSecond(options.auth_per_minute, 60, namespace="auth"),
            Tier.PUBLIC: RateLimitItemPerSecond(options.public_per_window, options.window_seconds, "public"),
            Tier.SIGNED_IN: RateLimitItemPerSecond(options.signed_in_per_window, options.window_seconds, "signed_in"),
            Tier.UPLOADS: RateLimitItemPerSecond(options.uploads_per_hour, 3600, namespace="uploads"),
        }
        self._redis = create_redis(redis_url, name="limits", timeout_seconds=timeout_seconds, followers=followers)
        self._shared = MovingWindowRateLimiter(_Shared(self._redis))
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._redis_away_until = -math.inf

    async def hit(self, tier: Tier, *key: str) -> Allowance:
        """Count one request of this key."""
        if self._clock.monotonic() >= self._redis_away_until:
            try:
                return await self._hit(self._shared, tier, key)
            except StorageError as error:
                self._redis_away_until = self._clock.monotonic() + _LEAVE_REDIS_ALONE_SECONDS
                _log.warning("rate_limits_local", error=type(error.storage_error).__name__)
        return await self._hit(self._alone, tier, key)

    async def _hit(self, limiter: MovingWindowRateLimiter, tier: Tier, key: tuple[str, ...]) -> Allowance:
        item = self._items[tier]
        allowed = await limiter.hit(item, *key)
        stats = await limiter.get_window_stats(item, *key)
        reset = max(1, math.ceil(stats.reset_time - time.time()))  # the library's windows follow the system's clock
        return Allowance(allowed, item.amount, max(0, stats.remaining), reset)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()


async def spend(request: Request, limits: RateLimits, tier: Tier, *key: str) -> None:
    """Count this request and say in the answer's headers what is left. Raises RateLimited."""
    allowance = await limits.hit(tier, *key)
    request.state.headers.update(
        {
            "RateLimit-Limit": str(allowance.limit),
            "RateLimit-Remaining": str(allowance.remaining),
            "RateLimit-Reset": str(allowance.reset_seconds),
        }
    )
    if not allowance.allowed:
        raise RateLimited("too many requests; wait before the next", retry_after_ms=allowance.reset_seconds * 1000)

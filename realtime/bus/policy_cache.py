"""Sealed policies in Redis, for the time when Postgres is away. Implements `domain.location.ports.PolicyCache`."""

from uuid import UUID

from realtime.bus.connections import BusOptions, RedisLink, Script

KEPT_SECONDS = 24 * 3600
"""A rider who has not been seen for this long is hidden while Postgres is away."""


def policy_key(user_id: UUID) -> str:
    """The hash that holds a rider's policy."""
    return f"policy:{{user:{user_id}}}"


class RedisPolicyCache:
    """Keeps the newest policy of each rider."""

    def __init__(self, options: BusOptions) -> None:
        self._put, self._drop = Script("policy_put"), Script("policy_drop")
        self._link = RedisLink(options, name="policies", scripts=[self._put, self._drop])

    async def read(self, user_id: UUID) -> bytes | None:
        """The newest policy that was kept, or None. Raises Unavailable."""
        sealed: bytes | None = await self._link.call("HGET", policy_key(user_id), "sealed")
        return sealed

    async def write(self, user_id: UUID, version: int, sealed: bytes) -> None:
        """Keep a policy, unless one of a higher version is there. Raises Unavailable."""
        await self._link.call(*self._put.call([policy_key(user_id)], version, sealed, KEPT_SECONDS))

    async def drop_older(self, user_id: UUID, version: int) -> bool:
        """Forget, and keep no more, a policy older than this version; whether none as new is kept. Raises Unavailable.

        True once for each version: whoever reads a policy then keeps it.
        """
        return bool(await self._link.call(*self._drop.call([policy_key(user_id)], version, KEPT_SECONDS)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()

"""What the location feature needs from outside."""

from typing import Protocol
from uuid import UUID


class PolicyCache(Protocol):
    """Sealed policies kept outside Postgres, so that riders are shown (and hidden) rightly while it is away."""

    async def read(self, user_id: UUID) -> bytes | None:
        """The newest policy that was kept, or None. Raises Unavailable."""
        ...

    async def drop_older(self, user_id: UUID, version: int) -> bool:
        """Forget, and keep no more, a policy older than this version; whether none as new is kept. Raises Unavailable.

        True once for each version: whoever reads a policy then keeps it.
        """
        ...

    async def write(self, user_id: UUID, version: int, sealed: bytes) -> None:
        """Keep a policy, unless one of a higher version is there. Raises Unavailable."""
        ...
